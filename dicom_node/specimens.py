"""Synthetic studies on the disk, for trying things out."""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from pydicom import Dataset
from rich.console import Console
from rich.table import Table

from dicom_node.errors import Misconfigured
from phantom.dicom import PRESETS, write
from phantom.kinds import KINDS, Kind, specimen
from phantom.patient import Wanted
from phantom.study import Study, study

SCREENING = "screening"
LESIONS = {
    f"{name}-{kind}": Wanted(kind=kind, malignant=name == "malignant")
    for name in ("malignant", "benign")
    for kind in ("mass", "calcification")
}


def wanted(lesions: str | None) -> Sequence[Wanted] | None:
    """Read a wish list; None leaves it to the seed."""
    if lesions is None:
        return None
    words = [word.strip() for word in lesions.split(",") if word.strip() not in {"", "none"}]
    unknown = sorted(set(words) - set(LESIONS))
    if unknown:
        known = ", ".join((*LESIONS, "none"))
        raise Misconfigured([f"--lesions: no such lesion: {', '.join(unknown)}; known: {known}"])
    return [LESIONS[word] for word in words]


def phantoms(  # noqa: PLR0913, PLR0917 - what one may ask for
    console: Console,
    folder: Path,
    seeds: Iterable[int],
    lesions: str | None,
    preset: str,
    pitch_mm: float,
    kind: str,
) -> None:
    """Write studies into folders and say what is in them."""
    for option, asked, known in (("preset", preset, PRESETS), ("kind", kind, KINDS)):
        if asked not in known:
            raise Misconfigured(
                [f"--{option}: no such {option}: {asked}; known: {', '.join(known)}"]
            )
    for seed in seeds:
        try:
            made = study(seed, pitch_mm=pitch_mm, lesions=wanted(lesions))
        except ValueError as fault:  # the phantom says what it can be asked for
            raise Misconfigured([f"phantom: {fault}"]) from fault
        images = specimen(kind, made, preset=preset)
        place = folder / f"study-{seed:05d}"
        write(images, place)
        console.print(f"{place}  {described(made, images)}", highlight=False)
        if kind != SCREENING:
            console.print(f"{KINDS[kind].sentence}: {met(KINDS[kind])}", highlight=False)


def list_kinds(console: Console) -> None:
    """Say which kinds of studies there are, and which rule each meets."""
    table = Table("kind", "what it is", "what becomes of it", box=None)
    for kind in KINDS.values():
        table.add_row(kind.name, kind.sentence, met(kind))
    console.print(table)


def met(kind: Kind) -> str:
    """Say which rule a kind of study meets."""
    if not kind.meets:
        return "read"
    unless = f" unless {_wishes(kind.unless)}" if kind.unless else ""
    when = f" where {_wishes(kind.when)}" if kind.when else ""
    return f"declined by {kind.meets}{unless}{when}"


def _wishes(wishes: Mapping[str, object]) -> str:
    return ", ".join(f"{key} = {json.dumps(value)}" for key, value in wishes.items())


def described(made: Study, images: Sequence[Dataset]) -> str:
    """Say in a line what a study shows."""
    lesions = {seen.lesion.id: seen.lesion for view in made.views for seen in view.lesions}
    told = [
        f"{'malignant' if one.malignant else 'benign'} {one.shape} {one.kind} {one.side}"
        for one in lesions.values()
    ]
    return f"{len(images)} images, {', '.join(told) or 'no lesions'}"
