"""`dicom-node phantom`: write synthetic studies."""

from pathlib import Path
from typing import Annotated

import typer

from dicom_node.commands.at_hand import console


def phantom(  # noqa: PLR0913, PLR0917 - what one may ask for
    folder: Annotated[Path, typer.Argument(help="Where to write the files.")] = Path("phantoms"),
    seed: Annotated[int, typer.Option(help="Which patient; the same seed is the same one.")] = 1,
    count: Annotated[int, typer.Option(min=1, help="How many studies, with seeds from there.")] = 1,
    lesions: Annotated[
        str | None,
        typer.Option(
            help="Comma-separated: malignant-mass, benign-mass, malignant-calcification, "
            "benign-calcification; or none. Default: as the seed has it."
        ),
    ] = None,
    preset: Annotated[str, typer.Option(help="The vendor style of the headers.")] = "plain",
    kind: Annotated[
        str, typer.Option(help="The kind of study, whole or odd; `list` names them all.")
    ] = "screening",
    pitch_mm: Annotated[float, typer.Option(help="Pixel pitch in millimetres.")] = 0.1,
) -> None:
    """Write synthetic mammography studies: four consistent views with known lesions."""
    from dicom_node.specimens import list_kinds, phantoms

    if kind == "list":
        list_kinds(console)
        return
    phantoms(console, folder, range(seed, seed + count), lesions, preset, pitch_mm, kind)
