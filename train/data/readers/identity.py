"""Whose image it is, and which breast and view it shows: by a table, a name or its own header."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator
from pydicom import Dataset

from inference.errors import Unreadable
from inference.mammogram import Projection, Side
from inference.reading import projection_of, side_of
from train.data.pixels import is_dicom, open_dicom
from train.data.readers import tables
from train.errors import Refused

GROUPS = ("patient", "side", "view")


def _pattern(text: str) -> str:
    """Keep a pattern that names at least one of the groups; none is none."""
    try:
        groups = set(re.compile(text).groupindex)
    except re.error as fault:
        raise ValueError(f"it is no pattern: {fault}") from fault
    if text and not groups & set(GROUPS):
        raise ValueError(f"it names none of the groups {', '.join(GROUPS)}, as (?P<patient>[0-9]+)")
    return text


Pattern = Annotated[str, AfterValidator(_pattern)]


@dataclass(frozen=True, slots=True)
class Identity:
    """Whose, and what of her."""

    patient: str
    side: Side
    projection: Projection | None


def identified(
    image: Path, folder: Path, said: Mapping[str, str], pattern: str, where: str
) -> Identity:
    """Take each fact from what was said, else from the file's name, else from its header."""
    known = {name: word for name, word in said.items() if tables.says_something(word)}
    if pattern:
        # Not where the data set happens to lie.
        name = image.relative_to(folder) if image.is_relative_to(folder) else image
        match = re.search(pattern, name.as_posix())
        known = {**({} if match is None else match.groupdict(default="")), **known}
    if "patient" in said and not known.get("patient"):
        # The header's name may be another one, and she would be two people: one of them teaches,
        # and the other measures.
        raise Refused(f"{where}: the patient of {image} is left out; fill it in")
    if set(GROUPS) - known.keys():
        known = {**_of_header(image), **known}
    missing = [name for name in ("patient", "side") if not known.get(name)]
    if missing:
        raise Refused(
            f"{where}: nothing says the {' and the '.join(missing)} of {image}: "
            "name a column, a pattern of file names, or use DICOM files that say it"
        )
    if known["side"].upper() not in tables.SIDES:
        raise Refused(f"{where}: the side of {image} is {known['side']!r}, neither left nor right")
    side = tables.SIDES[known["side"].upper()]
    return Identity(known["patient"], side, tables.projection_of(known.get("view", "")))


def header_of(image: Path) -> Dataset | None:
    """Return the header of a DICOM file; None for other pictures."""
    return open_dicom(image).header if is_dicom(image) else None


def _of_header(image: Path) -> dict[str, str]:
    header = header_of(image)
    if header is None:
        return {}
    known = {"patient": str(header.get("PatientID") or "")}
    try:
        known["side"] = str(side_of(header))
        known["view"] = str(projection_of(header))
    except Unreadable:  # who needs it will say so
        pass
    return known
