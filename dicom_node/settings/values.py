"""What single values of the settings have to be like, and what every table is."""

import ipaddress
import os
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

AE_TITLE_LENGTH = 16


def _ae_title(value: str) -> str:
    if not value.strip() or len(value) > AE_TITLE_LENGTH or not value.isascii() or "\\" in value:
        raise ValueError(r"an AE title has 1 to 16 ASCII characters and no backslash")
    return value.strip()


def _secret(value: str) -> str:
    """Take a value from the environment (env:NAME) or a file (file:/path), so none stands here."""
    scheme, _, rest = value.partition(":")
    if scheme == "env":
        if rest not in os.environ:
            raise ValueError(f"the environment variable {rest} is not set")
        return os.environ[rest]
    if scheme == "file" and not rest.startswith("//"):
        try:
            return Path(rest).read_text(encoding="utf-8").strip()
        except OSError as trouble:
            raise ValueError(f"the file {rest} cannot be read: {trouble.strerror}") from trouble
    return value


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
Network = Annotated[str, AfterValidator(_network)]
Secret = Annotated[str, AfterValidator(_secret)]


class Table(BaseModel):
    """One table of the file: nothing unknown, nothing changed later."""

    model_config = ConfigDict(extra="forbid", frozen=True)
