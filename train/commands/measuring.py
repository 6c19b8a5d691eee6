"""Whom `train evaluate` measures on, and whether the bundle knows them."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import typer

from inference.analyzer import Analyzer
from inference.bundle import Card
from train.data.divided import SHORT, Division, called, read_division, require_of
from train.data.readers.by_name import samples
from train.data.real import teachable
from train.data.sample import Sample
from train.data.splits import Seeds, overlapping
from train.errors import Refused
from train.evaluation import SeenPatient, examined_samples
from train.export import parts_seen_by, seen_by
from train.metrics.froc import overlaps

KEPT = Path("config/splits")


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """Which images of a data set are asked for."""

    folder: Path
    name: str  # the reader's
    split: Path | None
    part: str
    taught: Path | None  # the split that taught the bundle, where it is another one
    spacing_mm: tuple[float, float] | None
    allowed: bool  # to have been seen


def acquaintance(card: Card, split: Seeds, *, allowed: bool) -> str:
    """Say whether the bundle has seen these phantoms, and refuse if nobody asked for that."""
    known = [str(seeds) for seeds in seen_by(card) if overlapping([seeds, split])]
    if not known:
        return "unseen"
    if not allowed:
        raise Refused(
            f"{card.name} {card.version} was trained or steered with {known[0]}, and {split} "
            "are among them: choose another --first-seed, or say --seen"
        )
    return "seen in training"


def on_data(analyzer: Analyzer, asked: Asked) -> tuple[list[SeenPatient], str]:
    """Read images of a data set, and say which they were, and whether the bundle knows them."""
    found, left = teachable(samples(asked.name, asked.folder), judging=analyzer.card.judges)
    for why, count in left.items():
        typer.echo(f"{count} images are left out: {why}.")
    if not found:
        raise Refused(f"{asked.folder} has no image to measure on")
    data_set = found[0].data_set
    on, division = f"all of {data_set}", None
    if asked.split is not None:
        division = read_division(asked.split)
        require_of(division, data_set, asked.split)
        wanted = division.of(asked.part)
        found = [one for one in found if one.patient in wanted]
        on = called(data_set, asked.part, division.digest)
        if absent := len(wanted - {one.patient for one in found}):
            typer.echo(f"{absent} of {len(wanted)} patients of {on} have no image that can be read")
    if not found:
        raise Refused(f"{asked.folder} has no image to measure on: {on}")
    on += _known(analyzer.card, found, division, asked, on)
    return examined_samples(analyzer.system, found, asked.spacing_mm, overlaps), on


def _kept() -> list[Division]:
    """Read the splits that recipes here have learned by; a bundle knows its own by the digest."""
    return [read_division(path) for path in sorted(KEPT.glob("*.json"))]


def _known(
    card: Card, found: Sequence[Sample], division: Division | None, asked: Asked, on: str
) -> str:
    """Say what these patients were to the bundle; refuse those who taught it."""
    data_set = found[0].data_set
    taught, steered = parts_seen_by(card, data_set)
    named = [read_division(asked.taught)] if asked.taught else _kept()
    divisions = [*named, *([division] if division else [])]
    by_digest = {one.digest[:SHORT]: one for one in divisions}
    unknown = [part for part in (*taught, *steered) if part.digest not in by_digest]
    if unknown:
        if not asked.allowed:
            raise Refused(
                f"{card.name} {card.version} learned from {data_set}, by split "
                f"{unknown[0].digest}, and nobody can tell which patients of {on} were among "
                "them: name that split with --split, or beside another one with --taught, or say "
                "--seen"
            )
        return ", some of whom may have taught it"
    patients = {one.patient for one in found}
    pupils = {one for part in taught for one in by_digest[part.digest].of(part.name)} & patients
    if pupils and not asked.allowed:
        raise Refused(
            f"{card.name} {card.version} was trained on {data_set}, and {len(pupils)} of the "
            f"{len(patients)} patients of {on} taught it: choose another --part, or say --seen"
        )
    judges = {one for part in steered for one in by_digest[part.digest].of(part.name)} & patients
    if pupils:
        return ", which taught it" if pupils == patients else f", {len(pupils)} of whom taught it"
    if judges:
        whole = judges == patients
        return ", which steered the training" if whole else f", {len(judges)} of whom steered it"
    return ""
