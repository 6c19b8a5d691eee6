"""What a breast is made of, on a coarse grid of its own that no pixel pitch touches."""

import math

import numpy as np
from PIL import Image, ImageDraw
from scipy import ndimage, sparse

from phantom.breast import Breast, Curve, Projection
from phantom.fields import Field, power_law, ridges, spread, stream
from phantom.patient import Density, Patient

GRID_MM = 0.4
GRID_SHAPE = (600, 300)  # 240 x 120 mm: the part of the detector that a breast can cover
_HALF = (GRID_SHAPE[0] // 2, GRID_SHAPE[1] // 2)  # twice as coarse, for what is smooth
_VOXELS = (40, 56, 56)  # from the chest wall, lateral, superior
_THRESHOLDS: dict[Density, float] = {"A": 1.25, "B": 0.65, "C": 0.05, "D": -0.70}
_WIDTHS: dict[Density, float] = {"A": 0.95, "B": 1.0, "C": 1.08, "D": 1.22}


def axes_mm(breast: Breast, projection: Projection) -> tuple[Curve, Curve]:
    """Return how far above the nipple each row of the grid lies, and each column from the chest."""
    down, across = ((np.arange(count, dtype=np.float64) + 0.5) * GRID_MM for count in GRID_SHAPE)
    return breast.nipple_down_mm(projection) - down, across


def glands(woman: Patient, breast: Breast) -> Field:
    """Draw the fibroglandular part of a breast in three dimensions, 0 to 1.

    Most of it is shared by both breasts, so they look alike.
    """
    common = power_law(stream(woman.seed, "glands"), _VOXELS, 1.0, 3.2)
    own = power_law(stream(woman.seed, "glands", breast.side), _VOXELS, 1.0, 3.2)
    deep = np.linspace(0, 1, _VOXELS[0], dtype=np.float32)[:, None, None]
    lateral = np.linspace(-1, 1, _VOXELS[1], dtype=np.float32)[None, :, None]
    superior = np.linspace(-1, 1, _VOXELS[2], dtype=np.float32)[None, None, :]
    wide = _WIDTHS[woman.density]
    envelope = np.exp(
        -(((deep - 0.52) / (0.33 * wide)) ** 2) - (lateral**2 + superior**2) / (0.62 * wide) ** 2
    )
    field = 0.75 * common + 0.66 * own + 1.9 * envelope - 1.0 - _THRESHOLDS[woman.density]
    density = (0.12 + 0.88 * envelope) / (1 + np.exp(-3.0 * field))
    return np.asarray(density, dtype=np.float32)


def projected(volume: Field, projection: Projection, angle_deg: float) -> Field:
    """Sum a volume along the beam: rows from the chest wall, columns from below to above."""
    if projection == "CC":
        return np.asarray(volume.mean(axis=2), dtype=np.float32)
    beams = _beams(angle_deg)
    return np.asarray((beams @ volume.reshape(_VOXELS[0], -1).T).T, dtype=np.float32)


def _beams(angle_deg: float) -> sparse.csr_array:
    """Return the weight of each voxel of a slab (lateral, superior) in each oblique beam."""
    side, angle = _VOXELS[1], math.radians(angle_deg)
    steps = np.arange(side) - (side - 1) / 2
    above, along = (grid.ravel() for grid in np.meshgrid(steps, steps, indexing="ij"))
    lateral = above * math.cos(angle) - along * math.sin(angle) + (side - 1) / 2
    superior = above * math.sin(angle) + along * math.cos(angle) + (side - 1) / 2
    beam = np.repeat(np.arange(side), side)
    left, low = np.floor(lateral).astype(int), np.floor(superior).astype(int)
    parts = []
    for more_lateral in (0, 1):
        for more_superior in (0, 1):
            column, row = left + more_lateral, low + more_superior
            weight = (1 - np.abs(lateral - column)) * (1 - np.abs(superior - row)) / side
            held = (column >= 0) & (column < side) & (row >= 0) & (row < side)
            voxel = column[held] * side + row[held]
            parts.append((weight[held].astype(np.float32), beam[held], voxel))
    weights, rows, columns = (np.concatenate(part) for part in zip(*parts, strict=True))
    return sparse.csr_array((weights, (rows, columns)), shape=(side, side * side))


def fraction(
    volume: Field, woman: Patient, breast: Breast, projection: Projection, skin_mm: Field
) -> tuple[Field, Field]:
    """Return how glandular each point of a view is, and how strong its finest texture is."""
    rng = stream(woman.seed, "texture", breast.side, projection)
    coarse = _laid_out(projected(volume, projection, woman.mlo_angle_deg), breast, projection)
    texture = power_law(rng, GRID_SHAPE, GRID_MM, 3.0, low=0.012)
    web = ridges(spread(power_law(rng, _HALF, 2 * GRID_MM, 1.5, low=0.05, high=0.35), GRID_SHAPE))
    fine_web = ridges(power_law(rng, GRID_SHAPE, GRID_MM, 1.5, low=0.12, high=0.90))
    lobules = spread(power_law(rng, _HALF, 2 * GRID_MM, 2.2, low=0.05, high=0.5), GRID_SHAPE)
    strands = _strands(rng, breast, projection)
    below_skin = np.clip((skin_mm - 4) / 10, 0, 1)  # a layer of fat lies under the skin
    part = coarse * (1 + 0.34 * texture + 0.10 * lobules)
    part = part + 0.045 * strands * np.sqrt(coarse + 0.04)
    part = np.clip(part, 0, 1) * below_skin
    ligaments = np.maximum(web * 0.8, fine_web * 0.55) * (0.55 + 0.45 * np.clip(texture, -1, 1))
    ligaments *= (0.35 + 0.65 * np.clip(coarse * 3, 0, 1)) * np.clip((skin_mm - 2) / 6, 0, 1)
    part = part + 0.085 * ligaments + (0.016 * texture + 0.010 * lobules) * below_skin + 0.035
    part = part + 0.07 * _vessels(rng, breast, projection) * below_skin
    roughness = (0.34 * coarse + 0.016) * below_skin
    return (
        np.clip(part, 0, 1.2).astype(np.float32),
        np.asarray(roughness, dtype=np.float32),
    )


def muscle(woman: Patient, breast: Breast, inside_mm: Field) -> Field:
    """Return how glandular the pectoral muscle looks; fibers run along its edge."""
    rng = stream(woman.seed, "muscle", breast.side)
    fibers = power_law(rng, GRID_SHAPE, GRID_MM, 2.4, low=0.02)
    strength = rng.uniform(0.20, 0.29)
    part = 0.85 + 0.35 * np.clip(inside_mm / 25, 0, 1) + 0.07 * fibers
    ramp = np.clip((inside_mm + 0.8) / 2.6, 0, 1)
    return np.asarray(strength * part * ramp, dtype=np.float32)


def _laid_out(flat: Field, breast: Breast, projection: Projection) -> Field:
    """Lay a projected volume on the grid of the view."""
    down = (np.arange(_HALF[0]) + 0.5) * 2 * GRID_MM
    above = (breast.nipple_down_mm(projection) - down) / breast.half_mm
    across = (np.arange(_HALF[1]) + 0.5) * 2 * GRID_MM / breast.depth_mm
    rows = np.clip(across, 0, 1) * (flat.shape[0] - 1)
    columns = np.clip(above * 0.5 + 0.5, 0, 1) * (flat.shape[1] - 1)
    laid = ndimage.map_coordinates(
        flat, np.meshgrid(rows, columns, indexing="xy"), order=1, output=np.float32
    )
    return spread(ndimage.gaussian_filter(laid, 0.75 / GRID_MM, truncate=3), GRID_SHAPE)


def _strands(rng: np.random.Generator, breast: Breast, projection: Projection) -> Field:
    """Draw ducts and stroma that converge to the nipple: noise in polar coordinates."""
    polar = power_law(rng, (128, 720), 1.0, 2.2, low=0.01)
    down = (np.arange(_HALF[0], dtype=np.float32) + 0.5) * 2 * GRID_MM
    across = (np.arange(_HALF[1], dtype=np.float32) + 0.5) * 2 * GRID_MM
    dy = (down - breast.nipple_down_mm(projection))[:, None]
    dx = (breast.depth_mm + 8 - across)[None, :]
    radius = np.clip(np.hypot(dy, dx) / 1.6, 0, 127)
    turn = (np.arctan2(dy, dx) + math.pi) / (2 * math.pi) * 719
    strands = ndimage.map_coordinates(polar, [radius, turn], order=1, output=np.float32)
    return spread(strands, GRID_SHAPE)


def _vessels(rng: np.random.Generator, breast: Breast, projection: Projection) -> Field:
    """Draw a few vessels that wander towards the nipple, 0 to 1."""
    fine = 2
    picture = Image.new("L", (GRID_SHAPE[1] * fine, GRID_SHAPE[0] * fine), 0)
    pen, scale = ImageDraw.Draw(picture), fine / GRID_MM
    goal_down = breast.nipple_down_mm(projection)
    for _ in range(int(rng.integers(2, 5))):
        across = rng.uniform(0.05, 0.4) * breast.depth_mm
        down = goal_down + rng.uniform(-0.85, 0.75) * breast.half_mm
        angle = math.atan2(goal_down - down, breast.depth_mm - across) + rng.normal(0, 0.5)
        points = [(across, down)]
        for _ in range(int(rng.uniform(30, 55))):
            angle += rng.normal(0, 0.07)
            across, down = across + 1.5 * math.cos(angle), down + 1.5 * math.sin(angle)
            points.append((across, down))
        width = max(2, round(2 * rng.uniform(0.45, 0.85) * scale))
        pen.line([(x * scale, y * scale) for x, y in points], fill=255, width=width)
    drawn = np.asarray(picture.reduce(fine), dtype=np.float32) / 255
    return np.asarray(ndimage.gaussian_filter(drawn, 0.35 / GRID_MM), dtype=np.float32)
