"""What all recipes have in common: their tables, their lessons, and the way to a bundle."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import ClassVar, Self, TypeVar

import numpy as np
from pydantic import BaseModel, Field, PrivateAttr, model_validator
from rich.console import Console
from rich.progress import track
from torch import Tensor, nn

from inference.bundle import (
    MARKS,
    Aggregation,
    Calibration,
    Card,
    Training,
    load_card,
    load_weights,
)
from inference.errors import BadBundle
from inference.networks.trunks import parameters_in
from inference.platt import FLATTEST
from inference.preparing.prepare import Preparation, PreparedView
from inference.scores import Breast, exam_score, logit_of, sigmoid
from inference.systems.views import BOTH, Reader, Scope, Seen
from train.data.augment import Augmentation
from train.data.lesson import Lesson, digest_of
from train.data.splits import named_in, overlapping
from train.deciding import ReadView, decided
from train.engine import OptimizerKind, Options, Run, Schedule
from train.errors import Refused
from train.evaluation import Lesion, SeenPatient, compared
from train.export import (
    Described,
    Naming,
    Rests,
    code_version,
    export,
    halved,
    parts_seen_by,
    seen_by,
    torch_version,
)
from train.figures import marking, measured, unmeasured
from train.fixture import reference
from train.parallel import first_alone
from train.recipes.patients import Data, Part, Split, require_both, require_marked
from train.recipes.table import Table


class Changes(Table):
    """How far lessons are changed."""

    turn_deg: float = Field(ge=0)
    zoom: float = Field(ge=0)
    contrast: float = Field(ge=0)
    flip: bool

    def augmentation(self) -> Augmentation:
        """Return them as the batches want them."""
        return Augmentation(**self.model_dump())


class Optimizer(Table):
    """How steps are taken."""

    kind: OptimizerKind = "adamw"
    momentum: float = Field(default=0.0, ge=0, lt=1)
    schedule: Schedule = "cosine"
    weight_decay: float = Field(ge=0)
    clip_norm: float = Field(gt=0)
    accumulate: int = Field(default=1, ge=1)
    average: float = Field(default=0.0, ge=0, lt=1)
    amp: bool
    validate_every: int = Field(ge=1)

    @model_validator(mode="after")
    def _momentum_is_of_sgd(self) -> Self:
        if self.momentum and self.kind != "sgd":
            raise ValueError(
                f'momentum is a part of SGD: set kind = "sgd", or leave it out of {self.kind}'
            )
        return self

    def options(self, seed: int, device: str) -> Options:
        """Return them as the engine wants them."""
        return Options(seed=seed, device=device, **self.model_dump())


class Course(Table):
    """What every stage says: how long, and how fast."""

    name: str
    steps: int = Field(ge=1)
    learning_rate: float = Field(gt=0)


T = TypeVar("T")
_SAW = ", which saw "


def at_most_all(table: T, cancers: float, benign: float) -> T:
    """Refuse parts of one whole that are more than it."""
    if cancers + benign > 1 + 1e-9:
        raise ValueError(
            f"{cancers:g} with a cancer and {benign:g} with benign lesions are more than all views"
        )
    return table


class Begin(Table):
    """The bundle whose trunk a training begins with, in place of chance."""

    bundle: Path = Field(strict=False)

    def fill(self, trunk: nn.Module) -> None:
        """Copy the bundle's trunk into a network's, as far as the network's goes.

        Of a bundle of several networks it is the first one's.
        """
        weights = load_weights(self.bundle, load_card(self.bundle))
        stopped = tuple(
            f"{name}." for name, part in trunk.named_children() if not part.state_dict()
        )
        own = {
            name.removeprefix("trunk."): tensor
            for name, tensor in ((name.removeprefix("0."), one) for name, one in weights.items())
            if name.startswith("trunk.") and not name.removeprefix("trunk.").startswith(stopped)
        }
        try:
            trunk.load_state_dict(own)
        except RuntimeError as fault:
            raise BadBundle(
                f"the trunk of {self.bundle} does not fit the recipe's: {fault}"
            ) from fault

    def taught(self, patients: Split) -> bool:
        """Tell whether any of these patients taught the bundle; to have steered it is no harm."""
        card = load_card(self.bundle)
        if not isinstance(patients, Part):
            return any(overlapping([patients, one]) for one in named_in(card.training.data))
        taught, _ = parts_seen_by(card, patients.data_set)
        if other := [one for one in taught if not patients.digest.startswith(one.digest)]:
            raise Refused(
                f"{self.bundle} learned from {patients.data_set} by split {other[0].digest}, and "
                f"nobody can tell who of {patients} was among them: train by that split too"
            )
        return patients.name in {one.name for one in taught}

    def __str__(self) -> str:
        """Name the bundle, and whom it saw, as a card does."""
        card = load_card(self.bundle)
        seen = dict.fromkeys(map(str, seen_by(card)))
        if not named_in(card.training.data):  # a part of a data set, and what was there before it
            before = card.training.begun_from.partition(_SAW)[2]
            seen = dict.fromkeys([card.training.data, *([before] if before else seen)])
        told = ", ".join(seen)
        return f"{card.name} {card.version}, weights {card.weights_sha256}{_SAW}{told}"


class Common(Table, ABC):
    """What every recipe says, and what can be done with it."""

    judges: ClassVar[bool] = True  # it says whether a view shows a cancer

    system: str  # each recipe says its own
    seed: int = Field(ge=0)
    bundle: Naming
    data: Data
    begin: Begin | None = None
    aggregation: Aggregation = Aggregation()
    changes: Changes
    optimizer: Optimizer

    _read: dict[str, str] = PrivateAttr(default_factory=dict)

    @model_validator(mode="after")
    def _channels_fit(self) -> Self:
        network, preparation = (getattr(self, name, None) for name in ("network", "preparation"))
        if wrong := "; ".join(_channel_faults(network, preparation, ())):
            raise ValueError(wrong)
        return self

    @property
    def read(self) -> dict[str, str]:
        """Return the digest of each lot of lessons that was asked for, by its name."""
        return dict(self._read)

    def lessons(self, split: Split, how: Preparation, cache: Path, workers: int) -> list[Lesson]:
        """Return the lessons of a split's patients."""
        if split == self.data.validation and self.begin and self.begin.taught(split):
            raise Refused(
                f"{self.begin.bundle} learned from patients among {split}, who are to steer this "
                "training: what is chosen on them would flatter; move data.validation"
            )
        with first_alone():
            found = self.data.lessons(split, how, cache, workers=workers, judging=self.judges)
        if isinstance(split, Part):
            if self.judges:
                require_both(found, split)
            if MARKS.get(self.system, BOTH):
                require_marked(found, split)
        name = f"{split}, {how.height_px} x {how.width_px} at {how.pitch_mm:g} mm"
        self._read[name] = digest_of(found)
        return found

    def weights_of(self, run: Run) -> dict[str, Tensor]:
        """Load what a finished run has learned, as exactly as its bundle will hold it."""
        weights = run.weights()
        return halved(weights) if self.bundle.half else weights

    @abstractmethod
    def train(self, run: Run, cache: Path, *, device: str, workers: int) -> None:
        """Train, or go on training, into a run folder."""

    @abstractmethod
    def reader(self, run: Run) -> Reader:
        """Open what a finished run has learned, as the service would, but not calibrated."""

    @abstractmethod
    def export(self, run: Run, cache: Path, folder: Path, *, workers: int) -> Card:
        """Calibrate a finished run on its validation patients, and write the bundle."""


View = tuple[Sequence[Lesson], Seen]  # one view in each preparation, and what was seen


def read_validation(recipe: Common, reader: Reader, cache: Path, *, workers: int) -> list[View]:
    """Let a reader look at the patients that steered its training, as the service would."""
    split = recipe.data.validation
    lots = [recipe.lessons(split, how, cache, workers) for how in reader.preparations]
    return [
        (views, reader.read([prepared_view(view) for view in views]))
        for views in track(list(zip(*lots, strict=True)), "Reading the validation patients")
    ]


def finished(  # noqa: PLR0913 - a bundle has many sources
    recipe: Common,
    run: Run,
    folder: Path,
    *,
    reader: Reader,
    described: Described,
    network: nn.Module,
    views: Sequence[View],
    courses: Sequence[Course],
) -> Card:
    """Calibrate on the validation patients, choose operating points, write the bundle."""
    scope, split = reader.scope, recipe.data.validation
    each = _by_patient(views)
    patients = [_patient(of_one, reader, recipe.aggregation.breast) for of_one in each]
    try:
        chosen = decided(
            [[_read_view(view, scope) for view in of_one] for of_one in each],
            scope,
            str(split),
            recipe.aggregation.breast,
        )
    except ValueError as fault:
        raise Refused(f"{split} cannot steer: {fault}; validate on more patients") from fault
    scores = marking(chosen.points)
    for name, needs in unmeasured(patients, scores, scope).items():
        Console().print(f"{name} is not in the card: it needs {needs} among {split}.")
    if chosen.calibration is not None and chosen.calibration.slope <= FLATTEST:
        Console().print(
            f"On {split} the network gives views with a cancer no higher scores than others: its "
            "calibration is flat, and the score of an exam says nothing."
        )
    return export(
        folder,
        network.state_dict(),
        naming=recipe.bundle,
        described=described,
        intended_use=recipe.data.intended_use,
        training=Training(
            recipe=f"{recipe.system}: {', '.join(course.name for course in courses)}",
            recipe_sha256=run.recipe_sha256,
            data=recipe.data.told,
            studies=recipe.data.patients,
            seed=recipe.seed,
            steps=sum(course.steps for course in courses),
            parameters=parameters_in(network),
            torch_version=torch_version(),
            code_version=code_version(),
            begun_from="" if recipe.begin is None else str(recipe.begin),
        ),
        decided=chosen,
        aggregation=recipe.aggregation,
        metrics=measured(patients, scores, f"{split}, which steered the training", scope),
        rests=Rests(
            scope.marks,
            recipe.data.limits,
            recipe.data.taken(),
            recipe.data.contract,
            reference(_healthy(patients, chosen.calibration), f"{split}, without cancer"),
        ),
    )


def _healthy(patients: Sequence[SeenPatient], line: Calibration | None) -> list[float]:
    """Return the scores of patients without cancer, as the card calibrates them."""
    return [
        sigmoid(line.logit(logit_of(one.score)))
        for one in patients
        if line is not None and one.score is not None and not one.cancer
    ]


def marked_throughout(lessons: Sequence[Lesson]) -> list[Lesson]:
    """Return the lessons for a system that learns places alone.

    In a picture where some lesions may not be marked they would be learned as healthy.
    """
    return [lesson for lesson in lessons if lesson.outlined]


def lesions_of(lesson: Lesson) -> list[Lesion]:
    """Return what is really there."""
    return [
        Lesion(box, kind, malignant)
        for box, kind, malignant in zip(lesson.boxes, lesson.kinds, lesson.malignant, strict=True)
    ]


def _channel_faults(network: object, preparation: object, path: tuple[str, ...]) -> Iterator[str]:
    """Say where a network wants other channels than its preparation makes."""
    if isinstance(preparation, Preparation):
        wanted, made = getattr(network, "in_channels", None), len(preparation.channels)
        if wanted is not None and wanted != made:
            yield (
                f"{'.'.join(('network', *path, 'in_channels'))} is {wanted}, but "
                f"{'.'.join(('preparation', *path, 'channels'))} makes {made}: they must agree"
            )
    elif isinstance(preparation, BaseModel):
        for name in type(preparation).model_fields:
            inner = getattr(network, name, None), getattr(preparation, name)
            yield from _channel_faults(*inner, (*path, name))


def prepared_view(lesson: Lesson) -> PreparedView:
    """Return a lesson's picture as the service would have it."""
    return PreparedView(lesson.picture.astype(np.float32) / np.float32(255), lesson.placement)


def _by_patient(views: Sequence[View]) -> list[list[View]]:
    """Put each patient's views together: a data set lists its images as it likes."""
    patients: dict[str, list[View]] = {}
    for view in views:
        patients.setdefault(_of(view), []).append(view)
    return list(patients.values())


def _of(view: View) -> str:
    return view[0][0].patient


def _patient(views: Sequence[View], reader: Reader, breast: Breast) -> SeenPatient:
    """Put one patient's views together; the order of scores does not ask for calibration."""
    score = exam_score(
        [lessons_[0].side for lessons_, _ in views], [seen.cancer for _, seen in views], breast
    )
    return SeenPatient(
        patient=_of(views[0]),
        score=score,
        views=tuple(
            replace(
                compared(
                    seen.cancer,
                    seen.findings,
                    lesions_of(lessons_[0]),
                    reader.scope,
                    told=lessons_[0].told,
                ),
                outlined=lessons_[0].outlined,
            )
            for lessons_, seen in views
        ),
    )


def _read_view(view: View, scope: Scope) -> ReadView:
    lessons_, seen = view
    lesions = lesions_of(lessons_[0])
    cancer = lessons_[0].told
    if cancer is None:
        cancer = any(one.malignant and one.kind in scope.judges for one in lesions)
    outlined = lessons_[0].outlined
    return ReadView(lessons_[0].side, seen.cancer, seen.findings, lesions, cancer, outlined)
