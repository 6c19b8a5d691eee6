"""What a person writes down about a data set of her own, so that it can be read: a TOML file."""

import tomllib
from pathlib import Path
from typing import Annotated, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from inference.bundle import faults
from inference.findings import Kind
from train.data.readers.identity import Pattern
from train.errors import Refused

DESCRIPTION = "dataset.toml"


def _below(path: str) -> str:
    """Keep a path that stays in the data set's folder."""
    if Path(path).is_absolute() or ".." in Path(path).parts:
        raise ValueError("it has to be a path below the data set's folder")
    return path


Below = Annotated[str, AfterValidator(_below)]
Millimeters = Annotated[float, Field(gt=0)]


class Table(BaseModel):
    """A table of the description."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Description(Table):
    """What has to be said of any of them."""

    name: str = Field(min_length=1)
    complete: bool  # every lesion is marked; an image without a mark shows none
    spacing_mm: tuple[Millimeters, Millimeters] | None = None  # row, column; where no header has it
    inverted: bool = False
    file_name: Pattern = ""  # a pattern with the groups patient, side and view


class Meaning(Table):
    """What a word for a kind of lesion stands for."""

    kinds: tuple[Kind, ...] = ()  # none: neither mass nor calcification
    malignant: bool | None = None
    ignored: bool = False  # no lesion at all, as a marker or a nipple


D = TypeVar("D", bound=Description)


def described(path: Path, kind: type[D]) -> D:
    """Read a description."""
    if not path.is_file():
        raise Refused(
            f"{path} is missing: such a data set needs a description, as docs/datasets.md has it"
        )
    try:
        return kind.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as fault:
        raise Refused(f"{path} is not TOML: {fault}") from fault
    except ValidationError as error:
        raise Refused("\n".join(faults(str(path), error))) from None


def shows_cancer(malignant: list[bool | None], *, complete: bool) -> bool | None:
    """Conclude from an image's lesions whether it shows a cancer."""
    if True in malignant:
        return True
    return False if complete and None not in malignant else None
