"""What `train forest` measures: the two-step baseline of Shen and others (section 3.1.4)."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.progress import track

from inference.bundle import Measurement
from inference.networks.all_conv import PatchNet
from train.baselines.heatmap_forest import described, grown, heatmap
from train.data.lesson import Lesson
from train.errors import Refused
from train.metrics.auc import auc
from train.metrics.bootstrap import interval, widened
from train.recipes.all_conv import Recipe
from train.recipes.recipe import Common
from train.run_folder import Run

_RULE = "cancer in the view against a random forest's chance, on what stands out of the heatmap"

Views = list[tuple[bool, float]]  # of one patient: whether it shows a cancer, and its score


def on_heatmaps(course: Common, run: Run, cache: Path, *, workers: int) -> Measurement:
    """Grow a forest on the patients who taught a run's patch network, and measure who steered it.

    So the forest stands beside what the same run's whole networks reach on the same pictures.
    """
    if not (isinstance(course, Recipe) and course.patch_stages):
        raise Refused(
            f"{run.folder} has taught no patch network, and the forest reads its heatmaps: "
            "take a run of all_conv with patch_stages"
        )
    network = course.patches(run)
    teach = course.lessons(course.data.training, course.preparation, cache, workers)
    steer = course.lessons(course.data.validation, course.preparation, cache, workers)
    chance = grown(_read(network, teach), [one.cancer for one in teach], seed=course.seed)
    seen: dict[str, Views] = {}
    for lesson, score in zip(steer, chance(_read(network, steer)), strict=True):
        seen.setdefault(lesson.patient, []).append((lesson.cancer, float(score)))
    patients = list(seen.values())
    value = _area(patients)
    low, high = widened(value, *interval(_area, patients), _rests(patients))
    return Measurement(
        name="image_auc",
        value=round(value, 4),
        low=round(low, 4),
        high=round(high, 4),
        on=str(course.data.validation),
        studies=len(patients),
        images=len(steer),
        rule=_RULE,
    )


def _read(network: PatchNet, lessons: Sequence[Lesson]) -> NDArray[np.float64]:
    return np.array([described(heatmap(network, one)) for one in track(lessons, "Reading")])


def _area(patients: Sequence[Views]) -> float:
    views = [view for of_one in patients for view in of_one]
    return auc([cancer for cancer, _ in views], [score for _, score in views])


def _rests(patients: Sequence[Views]) -> int:
    """Count the patients of the rarer kind."""
    return min(
        sum(any(cancer is kind for cancer, _ in views) for views in patients)
        for kind in (True, False)
    )
