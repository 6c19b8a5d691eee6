"""The same image in two parts of a data set: what would make a figure too good.

Names can be wrong: one woman under two names, one film scanned twice. So pictures are compared,
each as the pattern of what is brighter than its neighbor.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from train.data.lesson import Lesson
from train.errors import Refused

_SIDE = 24  # brighter or darker at so many places down and across
_BRIGHTER = 0.5  # grey levels; less is the noise of the air, and would tell two copies apart
# Of what is brighter in either, so much may be so in one alone. Two scans of a film, or a copy with
# noise, stay below 0.2; of 757,000 pairs among the films of CBIS-DDSM none comes below 0.33.
_ALIKE = 0.25
_SHOWN = 3  # pairs that are named

Pattern = NDArray[np.bool_]


def require_apart(parts: Mapping[str, Sequence[Lesson]]) -> None:
    """Refuse parts that share a patient, or a picture."""
    names = list(parts)
    for at, one in enumerate(names):
        for other in names[at + 1 :]:
            both = {lesson.patient for lesson in parts[one]} & {
                lesson.patient for lesson in parts[other]
            }
            if both:
                raise Refused(
                    f"{len(both)} patients are in {one} and in {other}, as {min(both)}: "
                    "make a split by patient with `train split`"
                )
            pairs = twins(parts[one], parts[other])
            if pairs:
                told = "; ".join(f"{here} and {there}" for here, there in pairs[:_SHOWN])
                raise Refused(
                    f"{len(pairs)} pictures of {one} are in {other} too, under other names: "
                    f"{told}. Leave these patients out, or give them one name"
                )


def twins(some: Sequence[Lesson], others: Sequence[Lesson]) -> list[tuple[str, str]]:
    """Return the patients whose pictures are nearly the same."""
    if not some or not others:
        return []
    here, there = (
        np.stack([pattern(one) for one in lot]).astype(np.float32) for lot in (some, others)
    )
    # For all pairs at once. Air is brighter nowhere, and counts for nothing.
    both = here @ there.T
    either = here.sum(axis=1)[:, None] + there.sum(axis=1) - both
    found = np.argwhere(either - both <= _ALIKE * either)
    return [(some[one].patient, others[other].patient) for one, other in found.tolist()]


def pattern(lesson: Lesson) -> Pattern:
    """Say at each place of a picture whether it is brighter than the place beside it."""
    shown = lesson.picture[0, : lesson.placement.rows, : lesson.placement.columns]
    if min(shown.shape) <= _SIDE:
        shown = lesson.picture[0]
    rows, columns = (
        np.linspace(0, length, parts + 1).astype(int)
        for length, parts in zip(shown.shape, (_SIDE, _SIDE + 1), strict=True)
    )
    sums = np.add.reduceat(np.add.reduceat(shown.astype(np.int64), rows[:-1]), columns[:-1], axis=1)
    means = sums / (np.diff(rows)[:, None] * np.diff(columns))
    brighter: Pattern = (means[:, 1:] > means[:, :-1] + _BRIGHTER).ravel()
    return brighter
