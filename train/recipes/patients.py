"""Who teaches and who steers: the `[data]` table of a recipe, of phantoms or of a data set."""

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import Discriminator, Field, PrivateAttr, Tag, model_validator
from rich.console import Console

from inference import bundle
from inference.mammogram import Projection, Side
from inference.preparing.prepare import Preparation
from train.data import phantom, real
from train.data.divided import Division, called, read_division, require_of
from train.data.leaks import Print, prints, require_apart
from train.data.lesson import Lesson
from train.data.misplaced import misplaced
from train.data.readers.by_name import samples
from train.data.sample import Sample
from train.data.splits import PITCHES_MM, Seeds, overlapping
from train.errors import Refused
from train.recipes.table import Table

PHANTOMS_ONLY = (
    "Research and testing on synthetic data only. Not a medical device, not for clinical use: "
    "the model never saw a real mammogram, and its figures say nothing about real ones."
)
RESEARCH_ONLY = (
    "Research only. Not a medical device, not for clinical use. The model learned from {data_set} "
    "alone; its figures hold for images like those, and were not confirmed by anybody else."
)


SYNTHETIC = "It learned from synthetic images alone: no figure here holds for a patient."
TERMS = {  # as docs/datasets.md has them
    "cbis_ddsm": "CC BY 3.0",
    "vindr_mammo": "restricted access, by agreement",
    "rsna_2022": "not commercial",
    "inbreast": "on request, for research",
    "bcdr": "on registration, for research",
    "mini_mias": "for research",
    "ddsm": "free, with citation",
}
CREDITS = {  # whom weights that learned from it have to name
    "cbis_ddsm": (
        'Lee et al., "A curated mammography data set for use in computer-aided detection and '
        'diagnosis research", Scientific Data 4:170177 (2017); The Cancer Imaging Archive, doi '
        "10.7937/K9/TCIA.2016.7O02S9CY; resized"
    ),
}
_BY_READERS = (
    "What it learned to call a cancer is what radiologists took for one, BI-RADS 4 and above; no "
    "pathology was known."
)
SHORTCOMINGS = {  # of a data set, which are those of whatever learned from it alone
    "cbis_ddsm": (
        "Its images are digitized films of the 1990s; no image of a detector was among them.",
        "Each of its images shows a lesion, so nobody knows how often it marks a healthy breast.",
    ),
    "inbreast": (_BY_READERS,),
    "vindr_mammo": (_BY_READERS,),
}
VIEWS = [f"{side}{projection}" for projection in Projection for side in Side]


def taken_of(
    name: str,
    terms: tuple[str, str],
    use: str,
    patients: Iterable[object],
    count: int,
    images: int,
) -> bundle.DataSet:
    """Tell of patients what a card does; the list of their names is known by its digest.

    The terms are the license, and whom it wants to be named.
    """
    names = "\n".join(sorted(map(str, patients)))
    digest = hashlib.sha256(names.encode()).hexdigest()
    return bundle.DataSet(
        name=name,
        license=terms[0],
        sha256=digest,
        patients=count,
        images=images,
        use=use,
        credit=terms[1],
    )


class Phantoms(Table):
    """Which phantoms teach and which steer."""

    pitch_mm: float = Field(ge=PITCHES_MM[0], le=PITCHES_MM[1])
    training: Seeds
    validation: Seeds

    @model_validator(mode="after")
    def _apart(self) -> Self:
        if overlapping([self.training, self.validation]):
            raise ValueError("training and validation share patients: move a first_seed")
        return self

    @property
    def told(self) -> str:
        """Say what a card says of it."""
        return f"{self.training}, synthetic, at {self.pitch_mm:g} mm"

    @property
    def patients(self) -> int:
        """Count who teaches."""
        return self.training.studies

    @property
    def intended_use(self) -> str:
        """Say what a bundle that learned from them is for."""
        return PHANTOMS_ONLY

    @property
    def limits(self) -> list[str]:
        """Say where such a bundle ends."""
        return [SYNTHETIC]

    @property
    def contract(self) -> bundle.Contract:
        """Say what the images are like."""
        pitches = [self.pitch_mm, self.pitch_mm]
        return bundle.Contract(spacing_mm=pitches, views=VIEWS, devices=["phantom"])

    def taken(self) -> list[bundle.DataSet]:
        """Tell who teaches and who steers."""
        return [
            taken_of(
                str(split),
                ("Apache-2.0", ""),
                use,
                split.seeds,
                split.studies,
                split.studies * len(VIEWS),
            )
            for use, split in (("training", self.training), ("validation", self.validation))
        ]

    def some(self, studies: int) -> Seeds:
        """Return the first so many of those who teach."""
        return self.training.model_copy(update={"studies": min(studies, self.training.studies)})

    def lessons(
        self,
        split: "Split",
        how: Preparation,
        cache: Path,
        *,
        workers: int,
        judging: bool,  # noqa: ARG002 - of a phantom everything is known
    ) -> list[Lesson]:
        """Return the lessons of a split's patients."""
        assert isinstance(split, Seeds)
        return phantom.lessons(split.seeds, self.pitch_mm, how, cache, workers=workers)


class Part(Table):
    """A part of a data set, as its split divides it."""

    data_set: str
    name: str
    digest: str

    def __str__(self) -> str:
        """Name it as a card does."""
        return called(self.data_set, self.name, self.digest)


class DataSet(Table):
    """Which part of a data set teaches, and which steers."""

    set: str  # the reader's name
    split: Path = Field(strict=False)
    train_on: str = "training"
    validate_on: str = "validation"
    # Of images of which nobody knows it: rows, columns.
    spacing_mm: tuple[float, float] | None = Field(default=None, strict=False)

    _folder: Path | None = PrivateAttr(default=None)
    _read: dict[tuple[str, str], list[Lesson]] = PrivateAttr(default_factory=dict)
    _compared: bool = PrivateAttr(default=False)  # with those who neither teach nor steer

    @model_validator(mode="after")
    def _apart(self) -> Self:
        if self.train_on == self.validate_on:
            raise ValueError(
                f"the part {self.train_on!r} would steer what it teaches: let train_on and "
                "validate_on name two parts of the split"
            )
        return self

    def lie_in(self, folder: Path) -> None:
        """Say where the data set lies; a recipe does not know the machine."""
        self._folder = folder

    @property
    def training(self) -> Part:
        """Name the part that teaches."""
        return self._part(self.train_on)

    @property
    def validation(self) -> Part:
        """Name the part that steers."""
        return self._part(self.validate_on)

    @property
    def told(self) -> str:
        """Say what a card says of it."""
        return str(self.training)

    @property
    def patients(self) -> int:
        """Count who teaches."""
        return len(self._division().of(self.train_on))

    @property
    def intended_use(self) -> str:
        """Say what a bundle that learned from them is for."""
        return RESEARCH_ONLY.format(data_set=self._division().data_set)

    @property
    def limits(self) -> list[str]:
        """Say where such a bundle ends."""
        name = self._division().data_set
        alone = f"It learned from {name} alone: elsewhere its figures may not hold."
        return [alone, *SHORTCOMINGS.get(self.set, ())]

    @property
    def contract(self) -> bundle.Contract | None:
        """Say what the images are like, where the recipe knows it."""
        if self.spacing_mm is None:
            return None
        return bundle.Contract(spacing_mm=sorted(self.spacing_mm), views=VIEWS)

    def taken(self) -> list[bundle.DataSet]:
        """Tell who teaches and who steers, once their lessons were read."""
        division = self._division()
        found = []
        for use, part in (("training", self.training), ("validation", self.validation)):
            patients = division.of(part.name)
            images = max(
                (len(ones) for (name, _), ones in self._read.items() if name == part.name),
                default=0,
            )
            found.append(
                taken_of(
                    str(part),
                    (TERMS.get(self.set, "as its owner says"), CREDITS.get(self.set, "")),
                    use,
                    patients,
                    len(patients),
                    images,
                )
            )
        return found

    def some(self, _: int) -> Part:
        """Return those who teach: a data set is small enough for all of them."""
        return self.training

    def lessons(
        self, split: "Split", how: Preparation, cache: Path, *, workers: int, judging: bool
    ) -> list[Lesson]:
        """Return the lessons of a part, once it is sure that nobody is in another part too."""
        assert isinstance(split, Part)
        both = {
            part.name: self._lessons(part, how, cache, workers=workers, judging=judging)
            for part in (self.training, self.validation)
        }
        parts = {name: prints(ones) for name, ones in both.items()}
        if not self._compared:
            parts |= self._others(how, cache, workers)
        require_apart(parts)
        self._compared = True
        return both[split.name]

    def _others(self, how: Preparation, cache: Path, workers: int) -> dict[str, list[Print]]:
        """Take the prints of those who neither teach nor steer: they are measured one day.

        Who is among them under another name would flatter that figure, and nobody could see it.
        """
        division, found = self._division(), {}
        names = sorted(division.parts.keys() - {self.train_on, self.validate_on})
        there = self._samples() if names else []
        for name in names:
            wanted = division.of(name)
            some = [one for one in there if one.patient in wanted]
            if absent := len(wanted - {one.patient for one in some}):
                Console().print(
                    f"{absent} of {len(wanted)} patients of {self._part(name)} are not in "
                    f"{self._folder}, and are compared with nobody.",
                    highlight=False,
                )
            fit, _ = real.teachable(some, judging=False)
            found[name] = prints(
                real.one_by_one(fit, how, cache, workers=workers, spacing_mm=self.spacing_mm)
            )
        return found

    def _lessons(
        self, part: Part, how: Preparation, cache: Path, *, workers: int, judging: bool
    ) -> list[Lesson]:
        key = part.name, how.model_dump_json()
        if key not in self._read:
            wanted = self._division().of(part.name)
            there = self._samples()
            require_of(self._division(), there[0].data_set, self.split)
            found = [one for one in there if one.patient in wanted]
            if absent := len(wanted - {one.patient for one in found}):
                Console().print(
                    f"{absent} of {len(wanted)} patients of {part} are not in {self._folder}.",
                    highlight=False,
                )
            fit, left = real.teachable(found, judging=judging)
            for why, count in left.items():
                Console().print(f"{count} images of {part} teach nothing: {why}.", highlight=False)
            if not fit:
                raise Refused(f"no image of {part} is in {self._folder}: is it the whole data set?")
            self._read[key] = real.lessons(
                fit, how, cache, workers=workers, spacing_mm=self.spacing_mm
            )
            beside, lesions = misplaced(self._read[key])
            if beside:
                Console().print(
                    f"{beside} of {lesions} lesions of {part} lie beside the breast: look whether "
                    "their rows and columns are exchanged, or were counted in other images.",
                    highlight=False,
                )
        return self._read[key]

    def _samples(self) -> list[Sample]:
        if self._folder is None:
            raise Refused(
                f"this recipe learns from {self.set}: say where it lies, with --data FOLDER"
            )
        return samples(self.set, self._folder)

    def _part(self, name: str) -> Part:
        division = self._division()
        division.of(name)
        return Part(data_set=division.data_set, name=name, digest=division.digest)

    def _division(self) -> Division:
        return read_division(self.split)


def require_both(lessons: list[Lesson], split: Part) -> None:
    """Refuse who can neither teach nor steer now, and not when all steps are taken."""
    cancers = sum(lesson.cancer for lesson in lessons)
    if not 0 < cancers < len(lessons):
        raise Refused(
            f"{split} is of no use to who judges: {cancers} of its {len(lessons)} images show a "
            "cancer, and images with one and without are needed; look at `train data`, or draw "
            "another split"
        )


def require_marked(lessons: list[Lesson], split: Part) -> None:
    """Refuse who cannot teach or steer a system that marks lesions."""
    if not any(lesson.boxes and lesson.outlined for lesson in lessons):
        raise Refused(
            f"no image of {split} has lesions that are marked, all of them, and this system learns "
            "to mark: all_conv learns from labels alone, if it begins with a bundle or has "
            "without_patches"
        )


Split = Seeds | Part


def _which(value: Any) -> str:  # noqa: ANN401 - whatever the recipe's file holds
    named = isinstance(value, DataSet) or (isinstance(value, dict) and "set" in value)
    return "(data set)" if named else "(phantoms)"


Data = Annotated[
    Annotated[Phantoms, Tag("(phantoms)")] | Annotated[DataSet, Tag("(data set)")],
    Discriminator(_which),
]
