"""The command `train split`."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from train.errors import Refused


def split(
    reader: Annotated[str, typer.Argument(help="The data set's name, as cbis_ddsm.")],
    folder: Annotated[Path, typer.Argument(help="Where it lies.")],
    file: Annotated[Path, typer.Argument(help="The split to write, config/splits/*.json.")],
    *,
    share: Annotated[
        list[str] | None, typer.Option(help="A part and its share; default 0.8 and 0.2.")
    ] = None,
    salt: Annotated[str, typer.Option(help="Another word draws another split.")] = "1",
    of: Annotated[
        str, typer.Option(help="Divide this part of the data set's own split; default: all.")
    ] = "",
) -> None:
    """Draw which patients of a data set teach and which steer, and keep that in a file."""
    from train.data.divided import SHORT, divided, write_division
    from train.data.readers.by_name import samples

    if file.exists():
        raise Refused(f"{file} is there already, and runs may rest on it: choose another name")
    found = [one for one in samples(reader, folder) if not of or one.split == of]
    if not found:
        raise Refused(f"{folder} has no image of the part {of!r}")
    shares = dict(map(_share, share or ["training=0.8", "validation=0.2"]))
    division = divided(found, shares, salt)
    write_division(division, file)
    table = Table(
        "part", "patients", "images", "cancers", title=f"{file}, {division.digest[:SHORT]}"
    )
    for part, names in division.parts.items():
        images = [one for one in found if one.patient in set(names)]
        cancers = sum(bool(one.cancer) for one in images)
        table.add_row(part, str(len(names)), str(len(images)), str(cancers))
    Console().print(table)


def _share(text: str) -> tuple[str, float]:
    name, _, number = text.partition("=")
    try:
        return name, float(number)
    except ValueError as fault:
        raise Refused(f"{text!r} is no share: write it like training=0.8") from fault
