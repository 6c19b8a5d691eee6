"""What single values of the settings have to be like, and what every table is."""

import ipaddress
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

AE_TITLE_LENGTH = 16


def _ae_title(value: str) -> str:
    if not value.strip() or len(value) > AE_TITLE_LENGTH or not value.isascii() or "\\" in value:
        raise ValueError(r"an AE title has 1 to 16 ASCII characters and no backslash")
    return value.strip()


def _network(value: str) -> str:
    """Take an address or a network; a name is none, since a caller is known by its address."""
    try:
        ipaddress.ip_network(value)
    except ValueError:
        raise ValueError("wanted: an address, or a network such as 10.1.0.0/16") from None
    return value


AETitle = Annotated[str, AfterValidator(_ae_title)]
Port = Annotated[int, Field(ge=1, le=65535)]
Seconds = Annotated[float, Field(gt=0, le=1e8)]  # three years; no infinity, which has no date
Days = Annotated[float, Field(ge=0, le=36500)]  # a century at most; 0 is for ever
Network = Annotated[str, AfterValidator(_network)]


class Table(BaseModel):
    """One table of the file: nothing unknown, nothing changed later."""

    model_config = ConfigDict(extra="forbid", frozen=True)
