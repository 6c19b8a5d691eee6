"""Lesions that lie on no breast: what a mistake in the marks' coordinates looks like."""

import math
from collections.abc import Sequence

from train.data.lesson import Lesson

_AIR = 10  # of 255, as the search for the breast has it: darker is no breast
_LEAST = 0.25  # of a lesion's box lies on the breast, at its edge too


def misplaced(lessons: Sequence[Lesson]) -> tuple[int, int]:
    """Count the lesions that lie beside the breast, and all of them."""
    beside = [
        not _on_breast(lesson, number) for lesson in lessons for number in range(len(lesson.boxes))
    ]
    return sum(beside), len(beside)


def _on_breast(lesson: Lesson, number: int) -> bool:
    place = lesson.placement.box_to_picture(lesson.boxes[number])
    top, left = max(0, math.floor(place.top)), max(0, math.floor(place.left))
    bottom, right = math.ceil(place.bottom), math.ceil(place.right)
    shown = lesson.picture[0, top:bottom, left:right]
    return bool(shown.size) and float((shown > _AIR).mean()) >= _LEAST
