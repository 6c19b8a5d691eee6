"""One exposure on the coarse grid: Beer and Lambert, and a grey scale for the finished picture.

Lesions, noise and the finest texture come later, on the pixels. So neither the pitch nor a lesion
moves the grey scale of the rest of the picture.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from phantom.breast import Breast, Projection
from phantom.fields import Field, spread
from phantom.patient import Patient
from phantom.tissue import GRID_MM, GRID_SHAPE, fraction, muscle

FAT_PER_MM, GLAND_PER_MM = 0.046, 0.080  # attenuation, about 20 keV
_SKIN_MM, _SKIN = 1.6, 0.035  # how thick the skin is, and what it adds
_NIPPLE_MM = (4.2, 4.5)  # half its height and how far it stands out
_BUMP_MM = 4.5


@dataclass(frozen=True, slots=True, eq=False)
class Exposure:
    """A view without lesions, noise and the finest texture."""

    skin_mm: Field  # depth below the skin line, negative outside
    flat: Field  # attenuation, evened out towards the skin
    gain: Field  # by how much it was evened out
    attenuation: Field
    gland: Field  # what one more part of gland adds to `flat`
    roughness: Field  # how strong the finest texture is, in parts of gland
    black: float  # the ends of the grey scale, in the unit of `flat`
    white: float


def exposed(woman: Patient, breast: Breast, projection: Projection, volume: Field) -> Exposure:
    """Expose one breast in one projection."""
    skin, bump = _depth_mm(breast, projection)
    full = np.float32(woman.thickness_mm)
    # Flat between the paddles, rounded within about half a thickness of the skin.
    part = 1 - np.clip(skin / (full * 0.42), 0, 1)
    thickness = np.maximum(full * np.sqrt(1 - part**2), _BUMP_MM * bump)
    deep = np.maximum(skin, 3 * bump)
    gland, roughness = fraction(volume, woman, breast, projection, deep)
    inner = skin > 10
    if projection == "MLO":
        inside = _muscle_depth_mm(breast)
        pectoral = muscle(woman, breast, inside)
        gland = np.maximum(gland, pectoral) + 0.25 * np.minimum(gland, pectoral)
        inner &= inside < -2
    more = GLAND_PER_MM - FAT_PER_MM
    attenuation = thickness * (FAT_PER_MM + more * np.clip(gland, 0, 1.3))
    attenuation += _SKIN * np.clip(skin * 4, 0, 1) * np.clip((_SKIN_MM - skin) * 4, 0, 1)
    # Finished pictures are evened out where the breast thins, so that the skin stays visible.
    even = np.clip(full / np.maximum(_smoothed(thickness), full / 4), 1, 4)
    gain = 1 + np.float32(0.75) * (even - 1)
    flat = attenuation * gain
    black, white = np.percentile(flat[inner], (1, 99.7))
    return Exposure(
        skin_mm=deep,
        flat=flat,
        gain=gain,
        attenuation=attenuation,
        gland=thickness * gain * np.float32(more),
        roughness=roughness,
        black=float(black),
        # A fatty breast has little to show; stretching it fully would only show noise.
        white=float(max(white, black + 0.42 * more * full)),
    )


def _smoothed(field: Field) -> Field:
    """Blur over 4 mm, on every fourth point: nothing finer is left."""
    few = field.reshape(GRID_SHAPE[0] // 4, 4, GRID_SHAPE[1] // 4, 4).mean(axis=(1, 3))
    return spread(ndimage.gaussian_filter(few, 1 / GRID_MM), GRID_SHAPE)


def _depth_mm(breast: Breast, projection: Projection) -> tuple[Field, Field]:
    """Return the depth below the skin, negative outside, and the bump of the nipple, 0 to 1."""
    above = breast.nipple_down_mm(projection) - (np.arange(GRID_SHAPE[0]) + 0.5) * GRID_MM
    across = (np.arange(GRID_SHAPE[1]) + 0.5) * GRID_MM
    body = across[None, :] < breast.skin_mm(projection, above)[:, None]
    # The chest wall and the upper edge of the detector cut the breast; there is no skin there.
    padded = np.pad(body, 1, mode="edge")
    depth = _distance(padded)[1:-1, 1:-1]
    depth = ndimage.gaussian_filter(depth, 1.2, truncate=3) * np.float32(GRID_MM)
    tip = breast.skin_mm(projection, np.zeros(1))[0] - 1.5
    radius = np.hypot(above[:, None] / _NIPPLE_MM[0], (across - tip)[None, :] / _NIPPLE_MM[1])
    bump = np.sqrt(np.clip(1 - radius**2, 0, 1)).astype(np.float32)
    depth = np.maximum(depth, np.where(radius < 1.5, (1 - radius) * _NIPPLE_MM[0], -math.inf))
    return depth.astype(np.float32), bump


def _distance(region: NDArray[np.bool_]) -> Field:
    """Return the signed distance to the rim in grid points, exact inside, cut off outside."""
    distance = np.asarray(ndimage.distance_transform_edt(region), dtype=np.float32)
    rim = ndimage.binary_dilation(region) & ~region
    return np.where(region, distance - np.float32(0.5), np.where(rim, -0.5, -1.5)).astype(
        np.float32
    )


def _muscle_depth_mm(breast: Breast) -> Field:
    """Return how far inside the pectoral muscle each point lies, negative outside."""
    above = breast.nipple_down_mm("MLO") - (np.arange(GRID_SHAPE[0]) + 0.5) * GRID_MM
    across = (np.arange(GRID_SHAPE[1]) + 0.5) * GRID_MM
    edge = breast.pectoral_edge_mm(above)
    lean = np.sqrt(1 + np.gradient(edge, GRID_MM) ** 2)
    return np.asarray((edge[:, None] - across[None, :]) / lean[:, None], dtype=np.float32)
