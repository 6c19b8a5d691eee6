"""From a run folder to a bundle, with a card made of what was measured."""

import re
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

import torch
from pydantic import BaseModel, ConfigDict
from torch import Tensor

from inference.bundle import (
    Aggregation,
    Card,
    Contract,
    DataSet,
    Measurement,
    Reference,
    Training,
    save_bundle,
)
from inference.findings import Kind
from train.data.divided import SHORT, called
from train.data.splits import Seeds, named_in
from train.deciding import DEFAULT_POINT, Decided
from train.errors import Refused


class Naming(BaseModel):
    """What a recipe calls the bundle it makes."""

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid")

    name: str
    version: str
    license: str
    half: bool = False  # the weights in half precision: half the room, and measured so


@dataclass(frozen=True, slots=True)
class Described:
    """The parts of a card that are the system's own."""

    system: str
    network: BaseModel
    preparation: BaseModel
    decision: BaseModel


@dataclass(frozen=True, slots=True)
class Rests:
    """What a hospital asks of a model: what it learned from, what it marks, and where it ends."""

    kinds: tuple[Kind, ...]
    limits: list[str] = field(default_factory=list)
    data_sets: list[DataSet] = field(default_factory=list)
    contract: Contract | None = None
    reference: Reference | None = None


def export(  # noqa: PLR0913 - a card has many sources
    folder: Path,
    weights: Mapping[str, Tensor],
    *,
    naming: Naming,
    described: Described,
    intended_use: str,
    training: Training,
    decided: Decided,
    aggregation: Aggregation,
    metrics: list[Measurement],
    rests: Rests,
) -> Card:
    """Write the bundle and return its card."""
    card = Card(
        format="fourviews-bundle-1",
        system=described.system,
        name=naming.name,
        version=naming.version,
        license=naming.license,
        intended_use=intended_use,
        created=datetime.now(UTC),
        kinds=[kind.value for kind in rests.kinds],
        weights_sha256="0" * 64,  # known once the weights are written
        default_operating_point=DEFAULT_POINT,
        training=training,
        network=described.network.model_dump(),
        preparation=described.preparation.model_dump(),
        decision=described.decision.model_dump(),
        calibration=decided.calibration,
        finding_calibration=decided.finding_calibration,
        aggregation=aggregation,
        operating_points=decided.points,
        metrics=metrics,
        limits=rests.limits,
        data_sets=rests.data_sets,
        contract=rests.contract,
        reference=rests.reference,
    )
    return save_bundle(folder, card, halved(weights) if naming.half else weights)


def halved(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Round real numbers to half precision: three digits, and none above 65,504."""
    half = {name: one.half() if one.is_floating_point() else one for name, one in weights.items()}
    if spoiled := [name for name, one in half.items() if not bool(one.isfinite().all())]:
        raise Refused(
            f"{spoiled[0]} holds numbers that half precision does not: leave out bundle.half"
        )
    return half


def seen_by(card: Card) -> list[Seeds]:
    """Return the patients that a bundle has seen: who taught it or its trunk, and who steered."""
    told = [card.training.data, card.training.begun_from]
    told += [point.chosen_for for point in card.operating_points.values()]
    return [seeds for text in told for seeds in named_in(text)]


class SeenPart(NamedTuple):
    """A part of a data set that a bundle has seen, as its card names it."""

    name: str
    digest: str  # as much of the split's as cards hold


def parts_seen_by(card: Card, data_set: str) -> tuple[list[SeenPart], list[SeenPart]]:
    """Return the parts of a data set that taught a bundle or its trunk, and those that steered."""
    named = re.compile(called(re.escape(data_set), "(.+?)", "") + f"([0-9a-f]{{{SHORT}}})")

    def parts(texts: Iterable[str]) -> list[SeenPart]:
        found = (SeenPart(*words) for text in texts for words in named.findall(text))
        return list(dict.fromkeys(found))

    chosen = (point.chosen_for for point in card.operating_points.values())
    return parts([card.training.data, card.training.begun_from]), parts(chosen)


def code_version() -> str:
    """Name the code that trained: the release, and the commit where there is one."""
    released = version("fourviews")
    asked = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"],  # noqa: S607 - git is where the user has it
        cwd=Path(__file__).parent,
        capture_output=True,
        text=True,
        check=False,
    )
    return f"{released}+{asked.stdout.strip()}" if asked.returncode == 0 else released


def torch_version() -> str:
    """Name the torch that trained."""
    return str(torch.__version__)
