"""Shen and others 2019: patches teach a network, which then reads whole pictures.

Lesions are looked at while patches teach. All later stages know of a picture only whether it shows
a cancer, so that a network can go on with pictures on which nobody has drawn a lesion.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Literal, Self, cast

import numpy as np
import torch
from pydantic import Field, model_validator
from torch import Tensor

from inference.bundle import Card, load_card, load_weights
from inference.errors import BadBundle
from inference.networks.all_conv import PatchNet
from inference.networks.trunks import channels_last
from inference.preparing.prepare import Preparation
from inference.systems.all_conv import NAME, AllConv, Decision, Network, WholeNet
from inference.systems.views import loaded
from train.data.lesson import Lesson
from train.data.patches import Change, Patch, changed, cut, sampled
from train.engine import Run, Stage, fit
from train.errors import Refused
from train.export import Described
from train.recipes.all_conv_learning import (
    Labeled,
    Patches,
    Picture,
    Pictures,
    below,
    labeled,
    patch_figures,
    patch_losses,
    picture_figures,
    picture_losses,
)
from train.recipes.recipe import Begin, Changes, Common, Course, finished, read_validation
from train.recipes.table import Table

_MOST_VALIDATED = 1000  # patches


class Changing(Changes):
    """How far patches and pictures are changed (section 3.1.2)."""

    mirror: bool
    shear_rad: float = Field(ge=0)
    shift: float = Field(ge=0)

    def augmentation(self) -> Change:
        """Return them as patches and pictures want them."""
        return Change(**self.model_dump())


class Sampling(Table):
    """How many patches a lesion gives, and the background as many: 1 is S1, 10 is S10."""

    per_lesion: int = Field(ge=1)


class OnPatches(Course):
    """A stage of the patch network, and how much of it learns, from the top."""

    learns: Literal["classifier", "upper", "all"]
    batch: int = Field(ge=1)


class OnPictures(Course):
    """A stage of the network that reads whole pictures."""

    learns: Literal["top", "all"]
    weight_decay: float = Field(ge=0)  # of the new layers alone, as a loss
    batch: int = Field(ge=1)
    cancers: float = Field(gt=0, lt=1)  # part of a batch that shows a cancer


class Recipe(Common):
    """Everything that a run depends on.

    Without stages on patches, the networks of another bundle go on learning, from pictures alone
    (section 3.2).
    """

    system: Literal["all_conv"]
    preparation: Preparation
    network: Network
    decision: Decision
    changes: Changing
    sampling: Sampling
    without_patches: bool = False  # whole pictures teach all layers, the trunk's too
    patch_stages: Annotated[tuple[OnPatches, ...], Field(strict=False)] = ()
    picture_stages: Annotated[tuple[OnPictures, ...], Field(strict=False, min_length=1)]

    @property
    def size(self) -> tuple[int, int]:
        """Return rows and columns of a picture."""
        return self.preparation.height_px, self.preparation.width_px

    @model_validator(mode="after")
    def _begins_somewhere(self) -> Self:
        if self.without_patches and self.patch_stages:
            raise ValueError(
                "without_patches and patch_stages contradict each other: leave one out"
            )
        if not (self.patch_stages or self.begin or self.without_patches):
            raise ValueError("nothing teaches a trunk: add patch_stages, or a bundle to begin with")
        return self

    def train(self, run: Run, cache: Path, *, device: str, workers: int) -> None:
        """Train, or go on training; each network has a folder of its own in the run's."""
        teach = self.lessons(self.data.training, self.preparation, cache, workers)
        steer = self.lessons(self.data.validation, self.preparation, cache, workers)
        pictures = labeled(teach)
        going = _Going(self, teach, steer, run, device)
        for number, network in enumerate(_beginnings(going)):
            fit(
                network,
                [_on_pictures(course, self, pictures, device) for course in self.picture_stages],
                self.optimizer.options(_seed(self, 1, number), device),
                run.part(_folder(number)),
                partial(picture_figures, lessons=steer, device=device),
            )

    def reader(self, run: Run) -> AllConv:
        """Open what a finished run has learned, as the service would."""
        networks = self.network.build(self.preparation)
        for number, network in enumerate(networks):
            network.load_state_dict(self.weights_of(run.part(_folder(number))))
        return AllConv(
            networks=networks.eval(),
            preparation=self.preparation,
            decision=self.decision,
            device=torch.device("cpu"),
        )

    def patches(self, run: Run) -> PatchNet:
        """Open the first member's patch network, as its own training left it."""
        network = self.network.members[0].build(self.network.in_channels)
        network.load_state_dict(run.part("patches_0").weights())
        return network.eval()

    def export(self, run: Run, cache: Path, folder: Path, *, workers: int) -> Card:
        """Calibrate a finished run on its validation patients, and write the bundle."""
        reader = self.reader(run)
        taught = len({member.patches for member in self.network.members})
        return finished(
            self,
            run,
            folder,
            reader=reader,
            described=Described(NAME, self.network, self.preparation, self.decision),
            network=reader.networks,
            views=read_validation(self, reader, cache, workers=workers),
            courses=[*self.patch_stages * taught, *self.picture_stages * len(reader.networks)],
        )


@dataclass(frozen=True, slots=True, eq=False)
class _Going:
    """A training as it goes: what it is to do, with whom, and where it is kept."""

    recipe: Recipe
    teach: Sequence[Lesson]
    steer: Sequence[Lesson]
    run: Run
    device: str


def _beginnings(going: _Going) -> Iterator[WholeNet]:
    """Make each member as its first stage on pictures finds it."""
    recipe = going.recipe
    if recipe.without_patches:
        yield from _untaught(recipe)
        return
    if not recipe.patch_stages:
        assert recipe.begin is not None
        yield from _taken_over(recipe, recipe.begin)
        return
    members = recipe.network.members
    for number, member in enumerate(members):
        # Members on one patch network share it, as the paper's four share two.
        first = next(at for at, other in enumerate(members) if other.patches == member.patches)
        network = _taught(going, first)
        torch.manual_seed(_seed(recipe, 1, number))
        yield member.converted(network, recipe.size)


def _untaught(recipe: Recipe) -> Iterator[WholeNet]:
    for number, member in enumerate(recipe.network.members):
        torch.manual_seed(_seed(recipe, 1, number))
        network = member.build(recipe.network.in_channels)
        if recipe.begin is not None:
            recipe.begin.fill(network.trunk)
        yield member.converted(network, recipe.size)


def _taken_over(recipe: Recipe, begin: Begin) -> Iterator[WholeNet]:
    card = load_card(begin.bundle)
    if card.system != NAME:
        raise BadBundle(
            f"{begin.bundle} is a bundle of {card.system}: without patch_stages, "
            f"begin with one of {NAME}"
        )
    networks = recipe.network.build(recipe.preparation)
    loaded(networks, load_weights(begin.bundle, card), torch.device("cpu"))
    for network in networks:
        yield cast("WholeNet", network)


def _taught(going: _Going, number: int) -> PatchNet:
    """Train a member's patch network, or load it where that is done."""
    recipe, seed = going.recipe, _seed(going.recipe, 0, number)
    member, per_lesion = recipe.network.members[number], recipe.sampling.per_lesion
    torch.manual_seed(seed)
    network = member.build(recipe.network.in_channels)
    if recipe.begin is not None:
        recipe.begin.fill(network.trunk)
    chosen = sampled(going.teach, member.patch_px, per_lesion, seed)
    check = sampled(going.steer, member.patch_px, per_lesion, seed)
    if not (chosen and check):
        raise Refused(
            f"no lesion of {recipe.data.training if not chosen else recipe.data.validation} is "
            "marked, and patches are of lesions: begin with a bundle and leave out patch_stages, "
            "or set without_patches"
        )
    some = np.random.default_rng(seed).permutation(len(check))[:_MOST_VALIDATED]
    fit(
        network,
        [
            _on_patches(course, going, network, chosen, member.patch_px)
            for course in recipe.patch_stages
        ],
        recipe.optimizer.options(seed, going.device),
        going.run.part(f"patches_{number}"),
        partial(
            patch_figures,
            lessons=going.steer,
            chosen=[check[at] for at in some],
            patch_px=member.patch_px,
        ),
    )
    return network.cpu()


def _on_patches(
    course: OnPatches, going: _Going, network: PatchNet, chosen: Sequence[Patch], patch_px: int
) -> Stage[Patches]:
    change = going.recipe.changes.augmentation()

    def batch(rng: np.random.Generator) -> Patches:
        drawn = [chosen[at] for at in rng.integers(len(chosen), size=course.batch)]
        labels = torch.tensor([patch.label for patch in drawn])
        windows = cut(going.teach, drawn, patch_px, change, rng)
        return Patches(windows.to(going.device), labels.to(going.device))

    frozen = {"classifier": ("trunk",), "upper": below(network), "all": ()}[course.learns]
    return Stage(course.name, course.steps, course.learning_rate, batch, patch_losses, frozen)


def _on_pictures(course: OnPictures, recipe: Recipe, lot: Labeled, device: str) -> Stage[Pictures]:
    change, (rows, columns) = recipe.changes.augmentation(), recipe.size

    def one(group: Sequence[Picture], rng: np.random.Generator) -> Tensor:
        picture = group[int(rng.integers(len(group)))]
        return changed(picture, (rows / 2, columns / 2), (rows, columns), change, rng)

    def batch(rng: np.random.Generator) -> Pictures:
        truths = rng.random(course.batch) < course.cancers
        drawn = [one(lot.cancers if truth else lot.others, rng) for truth in truths]
        pictures = channels_last(torch.stack(drawn)).to(device)
        return Pictures(pictures, torch.from_numpy(truths).long().to(device))

    return Stage(
        course.name,
        course.steps,
        course.learning_rate,
        batch,
        partial(picture_losses, weight_decay=course.weight_decay),
        frozen=("trunk",) if course.learns == "top" else (),
    )


def _folder(number: int) -> str:
    return f"pictures_{number}"


def _seed(recipe: Recipe, *place: int) -> int:
    """Draw each network's seed from the recipe's."""
    return int(np.random.SeedSequence([recipe.seed, *place]).generate_state(1)[0])
