"""Synthetic patients as lessons: what the network will be served, and what it should say.

Every phantom takes the way of a patient: pixels, `Mammogram`, `prepare`. So there is no skew
between training and service. Prepared pictures are kept in a cache in 8 bits.
"""

import hashlib
import json
import multiprocessing
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.progress import track

import inference
import phantom
from inference import preparing
from inference.findings import Box, Kind, Mask
from inference.mammogram import Exam, GreyScale, Mammogram, Projection, Side
from inference.preparing.placement import Placement
from inference.preparing.prepare import Preparation, prepare
from phantom.study import SeenLesion, Study, View, study
from phantom.view import TOP
from train import data

# The full range of 12 bits, as the phantoms' headers say: center 2048, width 4096.
_GREY = GreyScale(0, np.linspace(0, 1, TOP + 1, dtype=np.float32))
_LEVELS = 255


@dataclass(frozen=True, slots=True, eq=False)
class Truth:
    """One lesion that is really there."""

    box: Box
    mask: Mask
    kind: Kind
    malignant: bool

    @property
    def label(self) -> int:
        """Return its class among the five of Le, section 2."""
        return label_of(self.kind, malignant=self.malignant)


@dataclass(frozen=True, slots=True, eq=False)
class Case:
    """One synthetic exam with the truth about each of its views."""

    seed: int
    exam: Exam
    truths: tuple[tuple[Truth, ...], ...]


@dataclass(frozen=True, slots=True, eq=False)
class Lesson:
    """One prepared view and its truth; boxes in source pixels, labels in the picture's."""

    seed: int
    side: Side
    picture: NDArray[np.uint8]  # C H W
    labels: NDArray[np.uint8]  # H W, the five classes
    placement: Placement
    boxes: tuple[Box, ...]
    kinds: tuple[Kind, ...]  # of each box
    malignant: tuple[bool, ...]  # of each box

    @property
    def cancer(self) -> bool:
        """Tell whether the view shows a cancer."""
        return any(self.malignant)

    @property
    def classes(self) -> tuple[int, ...]:
        """Return the class of each box among the five of Le, section 2, as `labels` has it."""
        return tuple(
            label_of(kind, malignant=malignant)
            for kind, malignant in zip(self.kinds, self.malignant, strict=True)
        )


def label_of(kind: Kind, *, malignant: bool) -> int:
    """Return a lesion's class among the five of Le, section 2; 0 is healthy."""
    return (1 if kind is Kind.MASS else 3) + malignant


def case(seed: int, pitch_mm: float) -> Case:
    """Image one patient."""
    seen = study(seed, pitch_mm=pitch_mm)
    return Case(seed, _exam(seen), tuple(_truths(view) for view in seen.views))


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
    return [lesson for seed in seeds for lesson in _kept(_file(folder, seed), seed)]


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
    )


def _make(seed: int, pitch_mm: float, how: Preparation, folder: Path) -> None:
    """Image, prepare and keep one patient's views."""
    patient = case(seed, pitch_mm)
    pictures, labels, facts = [], [], []
    for view, truths in zip(patient.exam.views, patient.truths, strict=True):
        prepared = prepare(view, how)
        label = np.zeros((how.height_px, how.width_px), np.uint8)
        for truth in truths:
            area = prepared.placement.mask_to_picture(truth.mask, how.height_px, how.width_px)
            label[area] = truth.label
        pictures.append(np.rint(prepared.picture * _LEVELS).astype(np.uint8))
        labels.append(label)
        facts.append(
            {
                "side": view.side,
                "placement": asdict(prepared.placement),
                "boxes": [asdict(truth.box) for truth in truths],
                "kinds": [truth.kind for truth in truths],
                "malignant": [truth.malignant for truth in truths],
            }
        )
    path = _file(folder, seed)
    begun = path.with_suffix(".part.npz")
    np.savez_compressed(
        begun, pictures=np.stack(pictures), labels=np.stack(labels), facts=json.dumps(facts)
    )
    begun.replace(path)  # a cache that was interrupted holds whole files only


def _kept(path: Path, seed: int) -> Iterator[Lesson]:
    with np.load(path) as kept:
        pictures, labels = kept["pictures"], kept["labels"]
        facts = json.loads(str(kept["facts"]))
    for picture, label, fact in zip(pictures, labels, facts, strict=True):
        yield Lesson(
            seed=seed,
            side=Side(fact["side"]),
            picture=picture,
            labels=label,
            placement=Placement(**fact["placement"]),
            boxes=tuple(Box(**box) for box in fact["boxes"]),
            kinds=tuple(map(Kind, fact["kinds"])),
            malignant=tuple(fact["malignant"]),
        )


def _file(folder: Path, seed: int) -> Path:
    return folder / f"{seed:08d}.npz"


def _fingerprint(pitch_mm: float, how: Preparation) -> str:
    """Name a cache by everything its lessons depend on, the code that makes them included."""
    digest = hashlib.sha256(f"{pitch_mm} {how.model_dump_json()}".encode())
    for folder, names in (
        # How a phantom is written to DICOM changes no pixel.
        (phantom, "breast exposure fields grid lesions marker patient study tissue view"),
        (preparing, "artefacts breast placement prepare"),
        (inference, "findings mammogram"),
        (data, "phantom"),
    ):
        for name in names.split():
            digest.update((Path(next(iter(folder.__path__))) / f"{name}.py").read_bytes())
    return digest.hexdigest()[:16]
