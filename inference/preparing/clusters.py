"""From single calcifications to clusters: those that lie close together are one finding."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, sparse, spatial

from inference.findings import Box, Mask

LINKING_MM = 10.0
LEAST_MEMBERS = 3

_EIGHT = np.ones((3, 3), dtype=np.bool_)  # pixels that touch at a corner are one calcification

Points = NDArray[np.float64]  # n 2


@dataclass(frozen=True, slots=True, eq=False)
class Group:
    """A cluster of calcifications, or a single one, in pixels of the mask it was found in."""

    mask: Mask
    members: int

    @property
    def box(self) -> Box:
        """Return the rectangle around its calcifications."""
        rows, columns = self.mask.pixels.shape
        left, top = self.mask.left, self.mask.top
        return Box(left, top, left + columns, top + rows)


def grouped(
    calcium: NDArray[np.bool_],
    spacing_mm: tuple[float, float],
    *,
    linking_mm: float = LINKING_MM,
    least_members: int = LEAST_MEMBERS,
    least_px: int = 3,
) -> tuple[Group, ...]:
    """Join calcifications whose centers lie near; too few together stay single.

    A chain of near neighbors is one cluster, however long: so run the ducts. Specks of fewer than
    the least pixels are left out before anything is joined.
    """
    parts, count = ndimage.label(calcium, structure=_EIGHT)
    sizes = np.bincount(parts.ravel(), minlength=count + 1)[1:]
    kept = np.flatnonzero(sizes >= least_px)
    if not kept.size:
        return ()
    places = ndimage.find_objects(parts)
    middles = ndimage.center_of_mass(calcium, parts, kept + 1)
    group_of = _linked(np.asarray(middles) * spacing_mm, linking_mm)
    together = [kept[group_of == group] for group in range(group_of.max() + 1)]
    return tuple(
        _group(parts, places, members)
        for near in together
        for members in ([near] if near.size >= least_members else near[:, None])
    )


def _linked(points_mm: Points, linking_mm: float) -> NDArray[np.int32]:
    """Give each point the number of its group, by single linkage."""
    reach_mm = linking_mm * (1 + 1e-9)  # the products of pitch and pixels are rounded
    near = spatial.cKDTree(points_mm).query_pairs(reach_mm, output_type="ndarray")
    count = len(points_mm)
    ones = np.ones(len(near), dtype=np.int8)
    links = sparse.coo_array((ones, (near[:, 0], near[:, 1])), shape=(count, count))
    group_of: NDArray[np.int32] = sparse.csgraph.connected_components(links, directed=False)[1]
    return group_of


def _group(
    parts: NDArray[np.signedinteger], places: list[tuple[slice, ...]], members: NDArray[np.intp]
) -> Group:
    """Cut out a group's calcifications."""
    here = [places[member] for member in members]
    top, left = (min(place[axis].start for place in here) for axis in (0, 1))
    bottom, right = (max(place[axis].stop for place in here) for axis in (0, 1))
    pixels = np.isin(parts[top:bottom, left:right], members + 1)
    return Group(Mask(left, top, pixels), len(members))
