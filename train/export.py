"""From a run folder to a bundle, with a card made of what was measured."""

import math
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import torch
from pydantic import BaseModel, ConfigDict
from torch import Tensor

from inference.bundle import Calibration, Card, Measurement, OperatingPoint, Training, save_bundle
from train.data.splits import Seeds, named_in
from train.metrics.froc import Marked, threshold_at


class Naming(BaseModel):
    """What a recipe calls the bundle it makes."""

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid")

    name: str
    version: str
    license: str


@dataclass(frozen=True, slots=True)
class Described:
    """The parts of a card that are the system's own."""

    system: str
    network: BaseModel
    preparation: BaseModel
    decision: BaseModel


# Name: false marks per image, on the patients that steered the training.
POINTS = {"quiet": 0.02, "balanced": 0.1, "sensitive": 1.0}
DEFAULT_POINT = "balanced"


def operating_points(images: Sequence[Marked], on: str) -> dict[str, OperatingPoint]:
    """Choose the named thresholds."""
    return {
        name: OperatingPoint(
            finding_score=min(math.ceil(threshold_at(images, rate) * 1e6) / 1e6, 1.0),
            chosen_for=f"at most {rate:g} false marks per image on {on}",
        )
        for name, rate in POINTS.items()
    }


def export(  # noqa: PLR0913 - a card has many sources
    folder: Path,
    weights: Mapping[str, Tensor],
    *,
    naming: Naming,
    described: Described,
    intended_use: str,
    training: Training,
    calibration: Calibration | None,
    points: dict[str, OperatingPoint],
    metrics: list[Measurement],
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
        weights_sha256="0" * 64,  # known once the weights are written
        default_operating_point=DEFAULT_POINT,
        training=training,
        network=described.network.model_dump(),
        preparation=described.preparation.model_dump(),
        decision=described.decision.model_dump(),
        calibration=calibration,
        operating_points=points,
        metrics=metrics,
    )
    return save_bundle(folder, card, weights)


def seen_by(card: Card) -> list[Seeds]:
    """Return the patients that a bundle has seen: who taught it or its trunk, and who steered."""
    told = [card.training.data, card.training.begun_from]
    told += [point.chosen_for for point in card.operating_points.values()]
    return [seeds for text in told for seeds in named_in(text)]


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
