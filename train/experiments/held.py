"""What a row's network said of the patients held out, and how that is kept."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path

import numpy as np
import torch
from pydantic import TypeAdapter

from inference.findings import Kind, Mask
from inference.scores import exam_score
from inference.systems.shared_trunk import SharedTrunk
from inference.systems.views import Reader, Scope, Seen
from train.data.augment import unchanged
from train.data.lesson import Lesson
from train.evaluation import Lesion, SeenPatient, SeenView, compared
from train.experiments.plan import Hit
from train.metrics.average_precision import Judged, judged
from train.metrics.dice import Dice
from train.metrics.froc import finds, overlaps
from train.metrics.iop import by_prediction
from train.recipes.recipe import prepared_view

LENIENT, STRICT = 0.2, 0.5  # of boxes, for the average precision


@dataclass(frozen=True, slots=True)
class Held:
    """One patient, and all that the measures ask."""

    seen: SeenPatient
    lenient: tuple[Judged, ...]  # each view, at an IoU above 0.2
    strict: tuple[Judged, ...]  # at an IoU above 0.5
    # Of all views together: pixels by their true class and the one that was said.
    pixels: tuple[tuple[int, ...], ...] | None = None


@dataclass(frozen=True, slots=True)
class Kept:
    """What is known of a row, for one seed."""

    recipe_sha256: str
    weights_sha256: tuple[str, ...]
    held_out: str
    marks: tuple[Kind, ...]
    hit: Hit
    judges: tuple[Kind, ...]
    code: str
    patients: tuple[Held, ...]

    @property
    def scope(self) -> Scope:
        """Tell what was asked for."""
        return Scope(self.marks, self.judges)


_KEPT = TypeAdapter(Kept)


def keep(path: Path, kept: Kept) -> None:
    """Write it whole or not at all."""
    begun = path.with_name(f"{path.name}.part")
    begun.write_text(json.dumps(_KEPT.dump_python(kept, mode="json")), encoding="utf-8")
    begun.replace(path)


def kept_in(path: Path) -> Kept | None:
    """Read it, where there is one."""
    if not path.exists():
        return None
    return _KEPT.validate_python(json.loads(path.read_text(encoding="utf-8")))


def held(
    reader: Reader, lots: Sequence[Sequence[Lesson]], marks: Sequence[Kind], hit: Hit
) -> Iterator[Held]:
    """Let a reader look at patients whose views are prepared in each of its ways."""
    views = zip(*lots, strict=True)
    for _, of_one in groupby(views, key=lambda view: view[0].patient):
        yield _patient(reader, list(of_one), Scope(tuple(marks), reader.scope.judges), hit)


def _patient(reader: Reader, views: Sequence[tuple[Lesson, ...]], scope: Scope, hit: Hit) -> Held:
    lessons = [view[0] for view in views]
    seen = [
        asked(reader.read([prepared_view(lesson) for lesson in view]), scope.marks)
        for view in views
    ]
    pairs = list(zip(lessons, seen, strict=True))
    score = exam_score([lesson.side for lesson in lessons], [one.cancer for one in seen], "mean")
    return Held(
        seen=SeenPatient(
            patient=lessons[0].patient,
            score=score,
            views=tuple(_compared(lesson, one, scope, hit) for lesson, one in pairs),
        ),
        lenient=tuple(_judged(lesson, one, scope, LENIENT) for lesson, one in pairs),
        strict=tuple(_judged(lesson, one, scope, STRICT) for lesson, one in pairs),
        pixels=_pixels(reader, lessons) if isinstance(reader, SharedTrunk) else None,
    )


def _compared(lesson: Lesson, seen: Seen, scope: Scope, hit: Hit) -> SeenView:
    lesions = lesions_of(lesson)
    found_by = overlaps if hit == "overlap" else finds
    view = compared(seen.cancer, seen.findings, lesions, scope, found_by=found_by)
    if hit != "prediction":
        return view
    there = [lesion.mask for lesion in lesions if lesion.kind in scope.marks]
    marks = [(one.mask, one.score) for one in seen.findings]
    return replace(view, marked=by_prediction(marks, there))


def asked(seen: Seen, marks: Sequence[Kind]) -> Seen:
    """Keep the findings of these kinds."""
    return seen._replace(findings=tuple(one for one in seen.findings if one.kind in marks))


def lesions_of(lesson: Lesson) -> list[Lesion]:
    """Return what is really there; outlines are as fine as the picture's pixels."""
    return [
        Lesion(box, kind, malignant, _outline(lesson, number))
        for number, (box, kind, malignant) in enumerate(
            zip(lesson.boxes, lesson.kinds, lesson.malignant, strict=True)
        )
    ]


def _outline(lesson: Lesson, number: int) -> Mask | None:
    """Return the pixels of a lesion's class in its box."""
    shown = lesson.placement.box_to_picture(lesson.boxes[number])
    area = lesson.labels == lesson.classes[number]
    rows, columns = np.arange(area.shape[0])[:, None], np.arange(area.shape[1])[None]
    area &= (rows >= int(shown.top)) & (rows < shown.bottom)
    area &= (columns >= int(shown.left)) & (columns < shown.right)
    area[lesson.placement.rows :] = False
    area[:, lesson.placement.columns :] = False
    return lesson.placement.mask_to_source(area) if area.any() else None


def _judged(lesson: Lesson, seen: Seen, scope: Scope, iou_above: float) -> Judged:
    boxes = [
        box for box, kind in zip(lesson.boxes, lesson.kinds, strict=True) if kind in scope.marks
    ]
    marks = [(one.box, one.score) for one in seen.findings]
    return judged(marks, boxes, iou_above=iou_above)


def _pixels(reader: SharedTrunk, lessons: Sequence[Lesson]) -> tuple[tuple[int, ...], ...]:
    """Count the pixels of a patient's pictures, for the mean Dice of Le's table 1."""
    dice = Dice(5)
    batch = unchanged(lessons)
    with torch.inference_mode():
        said = reader.network(batch.pictures).pixels.argmax(dim=1)
    dice.add(batch.labels.numpy(), said.numpy())
    return tuple(tuple(map(int, line)) for line in dice.pairs)
