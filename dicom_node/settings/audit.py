"""How the audit trail is protected."""

from pathlib import Path
from typing import Annotated

from pydantic import Field, SecretStr

from dicom_node.settings.secrets import Secret
from dicom_node.settings.values import Table


class Audit(Table):
    """Who signs the audit trail, how often, and where that is kept besides."""

    key: Secret = SecretStr("")
    checkpoints: Path | None = None
    checkpoint_events: Annotated[int, Field(ge=1, le=100)] = 100
    checkpoint_seconds: Annotated[float, Field(gt=0, le=60)] = 60.0
