"""What reads the studies."""

from pathlib import Path
from typing import Annotated

from pydantic import BeforeValidator, Field

from dicom_node.eligibility import Accept
from dicom_node.settings.values import Table


def _bundles(value: object) -> str | tuple[str, ...]:
    """Take a bundle's name, or a list of names; a list of one is that one."""
    names = (value,) if isinstance(value, str) else value
    if not (isinstance(names, list | tuple) and names):
        raise ValueError("wanted: a bundle's name, or a list of names")
    if not all(isinstance(name, str) and name.strip() for name in names):
        raise ValueError("wanted: a bundle's name, or a list of names, none of them empty")
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(f"a bundle agrees with others, not with itself; twice: {', '.join(twice)}")
    return tuple(names) if len(names) > 1 else str(names[0])


Bundles = Annotated[str | tuple[str, ...], BeforeValidator(_bundles)]


class Analyzing(Table):
    """Which bundle reads the studies, or which several, and which studies."""

    bundle: Bundles = "shared_trunk_phantom"
    bundles: Path | None = None
    operating_point: str = ""
    device: str = "cpu"
    threads: Annotated[int, Field(ge=0)] = 0
    accept: Accept = Accept()
