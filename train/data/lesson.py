"""What a network learns from: one prepared view and its truth, and how lessons are kept.

Where lessons come from, phantoms or data sets, is a matter of the modules beside this one. Prepared
pictures are kept in a cache in 8 bits: an epoch reads small files, and decodes no image.
"""

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from types import ModuleType

import numpy as np
from numpy.typing import NDArray

import inference
from inference import preparing
from inference.findings import Box, Kind, Mask
from inference.mammogram import Mammogram, Side
from inference.preparing.placement import Placement
from inference.preparing.prepare import Preparation, prepare
from train import data

_LEVELS = 255
# What of the reading room decides how a picture comes out.
_PREPARING = ("artefacts", "breast", "placement", "prepare", "tissue", "tones")


@dataclass(frozen=True, slots=True, eq=False)
class Truth:
    """One lesion that is really there."""

    box: Box
    mask: Mask
    kind: Kind
    malignant: bool | None  # None: nobody said
    sort: str = ""  # what kind of its kind, as "vascular"; of no account for what is learned


@dataclass(frozen=True, slots=True, eq=False)
class Lesson:
    """One prepared view and its truth; boxes in source pixels, labels in the picture's."""

    patient: str
    side: Side
    picture: NDArray[np.uint8]  # C H W
    labels: NDArray[np.uint8]  # H W, the five classes
    placement: Placement
    boxes: tuple[Box, ...]
    kinds: tuple[Kind, ...]  # of each box
    malignant: tuple[bool | None, ...]  # of each box; None: nobody said
    told: bool | None = None  # whether it shows a cancer, where that is known without its boxes
    outlined: bool = True  # all its lesions are marked; else it teaches nothing about boxes
    image: str = ""  # the file that it was made of; a phantom has none

    @property
    def cancer(self) -> bool:
        """Tell whether the view shows a cancer."""
        return any(self.malignant) if self.told is None else self.told

    @property
    def classes(self) -> tuple[int, ...]:
        """Return the class of each box among the five of Le, section 2, as `labels` has it."""
        return tuple(
            _label(kind, malignant, self.told)
            for kind, malignant in zip(self.kinds, self.malignant, strict=True)
        )


@dataclass(frozen=True, slots=True, eq=False)
class Known:
    """One view before it is prepared, and all that is known of it."""

    view: Mammogram
    truths: tuple[Truth, ...]
    told: bool | None = None
    outlined: bool = True


def label_of(kind: Kind, *, malignant: bool) -> int:
    """Return a lesion's class among the five of Le, section 2; 0 is healthy."""
    return (1 if kind is Kind.MASS else 3) + malignant


def _label(kind: Kind, malignant: bool | None, told: bool | None) -> int:  # noqa: FBT001 - facts
    """Return the class that is taught: of whose nature nobody says, it is as its image is."""
    return label_of(kind, malignant=bool(told if malignant is None else malignant))


def keep(path: Path, shown: Sequence[Known], how: Preparation) -> None:
    """Prepare views, and keep them with their truth in one file."""
    pictures, labels, facts = [], [], []
    for one in shown:
        prepared = prepare(one.view, how)
        label = np.zeros((how.height_px, how.width_px), np.uint8)
        for truth in one.truths:
            area = prepared.placement.mask_to_picture(truth.mask, how.height_px, how.width_px)
            label[area] = _label(truth.kind, truth.malignant, one.told)
        pictures.append(np.rint(prepared.picture * _LEVELS).astype(np.uint8))
        labels.append(label)
        facts.append(
            {
                "side": one.view.side,
                "placement": asdict(prepared.placement),
                "boxes": [asdict(truth.box) for truth in one.truths],
                "kinds": [truth.kind for truth in one.truths],
                "malignant": [truth.malignant for truth in one.truths],
                "told": one.told,
                "outlined": one.outlined,
            }
        )
    begun = path.with_suffix(".part.npz")
    np.savez_compressed(
        begun, pictures=np.stack(pictures), labels=np.stack(labels), facts=json.dumps(facts)
    )
    begun.replace(path)  # a cache that was interrupted holds whole files only


def kept(path: Path, patient: str, image: str = "") -> Iterator[Lesson]:
    """Return the lessons of a file, which are one patient's."""
    with np.load(path) as file:
        pictures, labels = file["pictures"], file["labels"]
        facts = json.loads(str(file["facts"]))
    for picture, label, fact in zip(pictures, labels, facts, strict=True):
        yield Lesson(
            patient=patient,
            side=Side(fact["side"]),
            picture=picture,
            labels=label,
            placement=Placement(**fact["placement"]),
            boxes=tuple(Box(**box) for box in fact["boxes"]),
            kinds=tuple(map(Kind, fact["kinds"])),
            malignant=tuple(fact["malignant"]),
            told=fact["told"],
            outlined=fact["outlined"],
            image=image,
        )


def digest_of(lessons: Sequence[Lesson]) -> str:
    """Return the digest of all that a network is taught."""
    digest = hashlib.sha256()
    for lesson in lessons:
        truths = (lesson.patient, lesson.side, lesson.placement, lesson.boxes, lesson.kinds)
        digest.update(repr((truths, lesson.malignant, lesson.picture.shape)).encode())
        digest.update(np.ascontiguousarray(lesson.picture).data)
        digest.update(np.ascontiguousarray(lesson.labels).data)
    return digest.hexdigest()


def code_of(*names: str, room: Sequence[str] = ()) -> bytes:
    """Return the code that prepares pictures, and that of these modules beside this one.

    `room` names what else of the reading room a lesson depends on.
    """
    parts = [
        *(folder_of(preparing) / f"{name}.py" for name in _PREPARING),
        *(folder_of(inference) / f"{name}.py" for name in ("findings", "mammogram", *room)),
        *(folder_of(data) / f"{name}.py" for name in names),
    ]
    return b"".join(path.read_bytes() for path in parts)


def folder_of(package: ModuleType) -> Path:
    """Return where a package's modules lie."""
    return Path(next(iter(package.__path__)))
