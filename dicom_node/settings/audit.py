"""How the audit trail is protected, how long it is kept, and who is told."""

from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, SecretStr, model_validator

from dicom_node.settings.secrets import PrivateKey, Secret
from dicom_node.settings.values import Port, Table

SHORTEST_YEARS = 0.5


class Syslog(Table):
    """Who collects audit messages."""

    host: str = ""
    port: Port = 6514
    ca: Path | None = None
    certificate: Path | None = None
    key: PrivateKey | None = None

    @model_validator(mode="after")
    def _paired(self) -> Self:
        if (self.certificate is None) != (self.key is None):
            raise ValueError("certificate and key go together: name both, or neither")
        return self


class Audit(Table):
    """Who signs the audit trail, how often, and where that is kept besides."""

    key: Secret = SecretStr("")
    checkpoints: Path | None = None
    checkpoint_events: Annotated[int, Field(ge=1, le=100)] = 100
    checkpoint_seconds: Annotated[float, Field(gt=0, le=60)] = 60.0
    keep_years: Annotated[float, Field(ge=SHORTEST_YEARS, le=1000)] = 10.0
    site: Annotated[str, Field(max_length=64)] = ""
    syslog: Syslog = Syslog()
