"""The same image in two parts of a data set: what would make a figure too good.

Names can be wrong: one woman under two names, one film scanned twice. So pictures are compared,
each as the pattern of what is brighter than its neighbor.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

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
_AT_ONCE = 1024  # pictures that are compared with all others: a table of all pairs may be large

Pattern = NDArray[np.bool_]


class Print(NamedTuple):
    """What is kept of a picture to know it again: a thousandth of its bytes."""

    patient: str
    image: str
    pattern: Pattern

    def __str__(self) -> str:
        """Name it for a person who is to look at it."""
        return f"{self.image} of {self.patient}" if self.image else self.patient


def prints(lessons: Iterable[Lesson]) -> list[Print]:
    """Take the print of each picture."""
    return [Print(one.patient, one.image, pattern(one)) for one in lessons]


def require_apart(parts: Mapping[str, Sequence[Print]]) -> None:
    """Refuse parts that share a patient, or a picture."""
    names = list(parts)
    for at, one in enumerate(names):
        for other in names[at + 1 :]:
            both = {each.patient for each in parts[one]} & {each.patient for each in parts[other]}
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


def twins(some: Sequence[Print], others: Sequence[Print]) -> list[tuple[Print, Print]]:
    """Return the pictures that are nearly the same."""
    if not some or not others:
        return []
    here, there = (
        np.stack([one.pattern for one in lot]).astype(np.float32) for lot in (some, others)
    )
    found = []
    for first in range(0, len(some), _AT_ONCE):
        # For many pairs at once. Air is brighter nowhere, and counts for nothing.
        lot = here[first : first + _AT_ONCE]
        both = lot @ there.T
        either = lot.sum(axis=1)[:, None] + there.sum(axis=1) - both
        alike = np.argwhere(either - both <= _ALIKE * either)
        found += [(some[first + one], others[other]) for one, other in alike.tolist()]
    return found


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
