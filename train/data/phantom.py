"""Synthetic patients as lessons: what the network will be served, and what it should say.

Every phantom takes the way of a patient: pixels, `Mammogram`, `prepare`. So there is no skew
between training and service.
"""

import hashlib
import multiprocessing
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from rich.progress import track

import phantom
from inference.findings import Box, Kind, Mask
from inference.mammogram import Exam, GreyScale, Mammogram, Projection, Side
from inference.preparing.prepare import Preparation
from phantom.study import SeenLesion, Study, View, study
from phantom.view import TOP
from train.data.lesson import Known, Lesson, Truth, code_of, folder_of, keep, kept

# The full range of 12 bits, as the phantoms' headers say: center 2048, width 4096.
_GREY = GreyScale(0, np.linspace(0, 1, TOP + 1, dtype=np.float32))


@dataclass(frozen=True, slots=True, eq=False)
class Case:
    """One synthetic exam with the truth about each of its views."""

    seed: int
    exam: Exam
    truths: tuple[tuple[Truth, ...], ...]
    density: str = ""  # as BI-RADS has it


def case(seed: int, pitch_mm: float) -> Case:
    """Image one patient."""
    seen = study(seed, pitch_mm=pitch_mm)
    truths = tuple(_truths(view) for view in seen.views)
    return Case(seed, _exam(seen), truths, seen.patient.density)


def lessons(
    seeds: Sequence[int], pitch_mm: float, how: Preparation, cache: Path, *, workers: int
) -> list[Lesson]:
    """Return the lessons of these patients, made now where the cache has none."""
    folder = cache / _fingerprint(pitch_mm, how)
    folder.mkdir(parents=True, exist_ok=True)
    missing = [seed for seed in seeds if not _file(folder, seed).exists()]
    if missing:
        make = partial(_make, pitch_mm=pitch_mm, how=how, folder=folder)
        # Forking a process that already runs torch's threads may hang; spawning does not.
        with ProcessPoolExecutor(workers, multiprocessing.get_context("spawn")) as pool:
            made = pool.map(make, missing, chunksize=4)
            for _ in track(made, "Imaging patients", total=len(missing)):
                pass
    return [lesson for seed in seeds for lesson in kept(_file(folder, seed), str(seed))]


def _exam(seen: Study) -> Exam:
    uid = f"2.25.{seen.patient.seed}"
    return Exam(
        uid,
        tuple(_mammogram(view, f"{uid}.{number}") for number, view in enumerate(seen.views, 1)),
    )


def _mammogram(view: View, uid: str) -> Mammogram:
    return Mammogram(
        sop_instance_uid=uid,
        side=Side(view.side),
        projection=Projection(view.projection),
        pixels=view.pixels,
        grey=_GREY,
        spacing_mm=(view.pitch_mm, view.pitch_mm),
    )


def _truths(view: View) -> tuple[Truth, ...]:
    return tuple(_truth(lesion) for lesion in view.lesions)


def _truth(seen: SeenLesion) -> Truth:
    return Truth(
        box=Box(seen.left, seen.top, seen.right, seen.bottom),
        mask=Mask(seen.left, seen.top, seen.mask),
        kind=Kind(seen.lesion.kind),
        malignant=seen.lesion.malignant,
        sort=seen.lesion.shape,
    )


def _make(seed: int, pitch_mm: float, how: Preparation, folder: Path) -> None:
    """Image, prepare and keep one patient's views."""
    patient = case(seed, pitch_mm)
    shown = [
        Known(view, truths) for view, truths in zip(patient.exam.views, patient.truths, strict=True)
    ]
    keep(_file(folder, seed), shown, how)


def _file(folder: Path, seed: int) -> Path:
    return folder / f"{seed:08d}.npz"


def _fingerprint(pitch_mm: float, how: Preparation) -> str:
    """Name a cache by everything its lessons depend on, the code that makes them included."""
    digest = hashlib.sha256(f"{pitch_mm} {how.model_dump_json()}".encode())
    # How a phantom is written to DICOM changes no pixel.
    names = [
        "breast",
        "exposure",
        "fields",
        "grid",
        "lesions",
        "marker",
        "patient",
        "study",
        "tissue",
        "view",
    ]
    for name in names:
        digest.update((folder_of(phantom) / f"{name}.py").read_bytes())
    digest.update(code_of("lesson", "phantom"))
    return digest.hexdigest()[:16]
