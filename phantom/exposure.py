"""One exposure on the coarse grid: Beer and Lambert, and a grey scale for the finished picture.

Lesions, noise and the finest texture come later, on the pixels. So neither the pitch nor a lesion
moves the grey scale of the rest of the picture.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial import KDTree

from phantom.breast import Breast, Projection
from phantom.fields import Field, spread
from phantom.patient import Patient
from phantom.tissue import GRID_MM, GRID_SHAPE, axes_mm, fraction, muscle

FAT_PER_MM, GLAND_PER_MM = 0.046, 0.080  # attenuation, about 20 keV
_LEAST = 0.36  # of a breast's thickness: the gland that the grey scale spans at least
_FAR_MM = 10.0
_RIM_MM = 4.0  # within it, the depth below the skin is exact
_SKIN_MM, _SKIN = 1.6, 0.035  # how thick the skin is, and what it adds
_NIPPLE_MM = (4.2, 4.5)  # half its height, and how far it reaches
_SUNK_MM = 1.5  # how far its middle lies below the skin line
_BUMP = 0.15  # of the compressed thickness


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
    skin = _depth_mm(breast, projection)
    tip = _nipple(breast, projection)
    bump = np.sqrt(np.clip(1.5 * tip, 0, 1))
    full = np.float32(woman.thickness_mm)
    # Flat between the paddles, rounded within about half a thickness of the skin.
    part = 1 - np.clip(skin / (full * 0.42), 0, 1)
    thickness = np.maximum(full * np.sqrt(1 - part**2), _BUMP * full * bump)
    deep = np.maximum(skin, tip * _NIPPLE_MM[0])
    gland, roughness = fraction(volume, woman, breast, projection, deep)
    inner = skin > _FAR_MM
    if projection == "MLO":
        inside = _muscle_depth_mm(breast)
        pectoral = muscle(woman, breast, inside)
        gland = np.maximum(gland, pectoral) + np.float32(0.25) * np.minimum(gland, pectoral)
        inner &= inside < -_SKIN_MM
    more = GLAND_PER_MM - FAT_PER_MM
    attenuation = thickness * (FAT_PER_MM + more * np.clip(gland, 0, 1.3))
    attenuation += _SKIN * np.clip(skin * 4, 0, 1) * np.clip((_SKIN_MM - skin) * 4, 0, 1)
    # Finished pictures are evened out where the breast thins, so that the skin stays visible.
    even = np.clip(full / np.maximum(_smoothed(thickness), full / 4), 1, 4)
    gain = np.asarray(1 + 0.75 * (even - 1), dtype=np.float32)
    flat = attenuation * gain
    black, white = np.percentile(flat[inner], (1, 99.7))
    # A fatty breast has little to show; stretching it fully would only show noise.
    white = max(white, black + _LEAST * more * full)
    # In profile the nipple is a thin cone of skin and duct, as grey as the skin beside it.
    flat += np.clip(2 * tip, 0, 1) * np.clip(black + 0.13 * (white - black) - flat, 0, None)
    return Exposure(
        skin_mm=deep,
        flat=flat,
        gain=gain,
        attenuation=attenuation,
        gland=thickness * gain * np.float32(more),
        roughness=roughness,
        black=float(black),
        white=float(white),
    )


def _smoothed(field: Field) -> Field:
    """Blur over 4 mm, on every fourth point: nothing finer is left."""
    few = field.reshape(GRID_SHAPE[0] // 4, 4, GRID_SHAPE[1] // 4, 4).mean(axis=(1, 3))
    return spread(ndimage.gaussian_filter(few, 1 / GRID_MM), GRID_SHAPE)


def _depth_mm(breast: Breast, projection: Projection) -> Field:
    """Return the depth below the skin, negative outside, the nipple left aside."""
    above, across = axes_mm(breast, projection)
    body = across[None, :] < breast.skin_mm(projection, above)[:, None]
    # The chest wall and the upper edge of the detector cut the breast; there is no skin there.
    padded = np.pad(body, 1, mode="edge")
    depth = np.asarray(ndimage.distance_transform_edt(padded)[1:-1, 1:-1] * GRID_MM, np.float32)
    rim = body & (depth < _RIM_MM)
    near = (rim | ndimage.binary_dilation(rim, iterations=3)) & ((depth < _RIM_MM) | ~body)
    depth -= np.float32(GRID_MM / 2)
    depth[~body] = -3 * GRID_MM
    # Near the skin the curve itself is asked: the grid alone would leave steps along it.
    rows, columns = np.nonzero(near)
    exact, _ = KDTree(_skin_line(breast, projection)).query(
        np.stack([across[columns], above[rows]], axis=1)
    )
    depth[rows, columns] = np.where(body[rows, columns], exact, -exact)
    return depth


def _skin_line(breast: Breast, projection: Projection) -> NDArray[np.float64]:
    """Return points of the skin line, (across, above), a quarter of a grid step apart."""
    above = breast.nipple_down_mm(projection) - np.linspace(-5, GRID_SHAPE[0] * GRID_MM + 5, 2500)
    across = breast.skin_mm(projection, above)
    along = np.cumsum(
        np.hypot(np.diff(across, prepend=across[0]), np.diff(above, prepend=above[0]))
    )
    even = np.arange(0, along[-1], GRID_MM / 4)
    return np.stack([np.interp(even, along, across), np.interp(even, along, above)], axis=1)


def _nipple(breast: Breast, projection: Projection) -> Field:
    """Return 1 in the middle of the nipple, 0 at its edge, negative outside."""
    above, across = axes_mm(breast, projection)
    tip = breast.skin_mm(projection, np.zeros(1))[0] - _SUNK_MM
    radius = np.hypot(above[:, None] / _NIPPLE_MM[0], (across - tip)[None, :] / _NIPPLE_MM[1])
    return np.asarray(1 - radius, dtype=np.float32)


def _muscle_depth_mm(breast: Breast) -> Field:
    """Return how far inside the pectoral muscle each point lies, negative outside."""
    above, across = axes_mm(breast, "MLO")
    edge = breast.pectoral_edge_mm(above)
    lean = np.sqrt(1 + np.gradient(edge, GRID_MM) ** 2)
    inside = (edge[:, None] - across[None, :]) / lean[:, None]
    return np.where(edge[:, None] > 0, inside, -_FAR_MM).astype(np.float32)
