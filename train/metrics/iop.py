"""Marks judged by intersection over prediction (Cao, section 4.2.2).

Annotated regions may be far larger than the calcifications in them, so a mark is judged by the part
of itself that lies in the annotation, and a region counts once, however often it is hit.
"""

from collections.abc import Sequence

from inference.findings import Mask
from train.metrics.froc import Marked

IOP_ABOVE = 0.25


def by_prediction(
    marks: Sequence[tuple[Mask | None, float]], regions: Sequence[Mask | None]
) -> Marked:
    """Judge marks, each with its score; what has no outline lies in nothing, and holds nothing."""
    hits = [[inside(mark, region) > IOP_ABOVE for region in regions] for mark, _ in marks]
    return Marked(
        found=tuple(
            max(
                (score for (_, score), hit in zip(marks, hits, strict=True) if hit[number]),
                default=float("-inf"),
            )
            for number in range(len(regions))
        ),
        false=tuple(score for (_, score), hit in zip(marks, hits, strict=True) if not any(hit)),
    )


def inside(mark: Mask | None, region: Mask | None) -> float:
    """Return which part of a mark lies in a region."""
    if mark is None or region is None:
        return 0.0
    top, left = min(mark.top, region.top), min(mark.left, region.left)
    rows = max(one.top + one.pixels.shape[0] for one in (mark, region)) - top
    columns = max(one.left + one.pixels.shape[1] for one in (mark, region)) - left
    here, there = (
        Mask(one.left - left, one.top - top, one.pixels).on(rows, columns) for one in (mark, region)
    )
    return float((here & there).sum() / here.sum())
