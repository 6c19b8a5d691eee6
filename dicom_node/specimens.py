"""Synthetic studies on the disk, for trying things out."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from pydicom import Dataset
from rich.console import Console

from dicom_node.errors import Misconfigured
from phantom.dicom import PRESETS, datasets, write
from phantom.patient import Wanted
from phantom.study import Study, study

KINDS = {
    f"{name}-{kind}": Wanted(kind=kind, malignant=name == "malignant")
    for name in ("malignant", "benign")
    for kind in ("mass", "calcification")
}


def wanted(lesions: str | None) -> Sequence[Wanted] | None:
    """Read a wish list; None leaves it to the seed."""
    if lesions is None:
        return None
    words = [word.strip() for word in lesions.split(",") if word.strip() not in {"", "none"}]
    unknown = sorted(set(words) - set(KINDS))
    if unknown:
        known = ", ".join((*KINDS, "none"))
        raise Misconfigured([f"--lesions: no such lesion: {', '.join(unknown)}; known: {known}"])
    return [KINDS[word] for word in words]


def phantoms(
    console: Console,
    folder: Path,
    seeds: Iterable[int],
    lesions: str | None,
    preset: str,
    pitch_mm: float,
) -> None:
    """Write studies into folders and say what is in them."""
    if preset not in PRESETS:
        raise Misconfigured([f"--preset: no such preset: {preset}; known: {', '.join(PRESETS)}"])
    for seed in seeds:
        try:
            made = study(seed, pitch_mm=pitch_mm, lesions=wanted(lesions))
        except ValueError as fault:  # the phantom says what it can be asked for
            raise Misconfigured([f"phantom: {fault}"]) from fault
        images = datasets(made, preset=preset)
        place = folder / f"study-{seed:05d}"
        write(images, place)
        console.print(f"{place}  {described(made, images)}", highlight=False)


def described(made: Study, images: Sequence[Dataset]) -> str:
    """Say in a line what a study shows."""
    lesions = {seen.lesion.id: seen.lesion for view in made.views for seen in view.lesions}
    told = [
        f"{'malignant' if one.malignant else 'benign'} {one.shape} {one.kind} {one.side}"
        for one in lesions.values()
    ]
    return f"{len(images)} images, {', '.join(told) or 'no lesions'}"
