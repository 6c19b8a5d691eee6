"""How the node looks after itself, and the page on which people look at it."""

from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, SecretStr, model_validator

from dicom_node.settings.secrets import PrivateKey, Secret, is_loopback
from dicom_node.settings.values import Port, Seconds, Table


class User(Table):
    """Who may look at the page."""

    name: Annotated[str, Field(min_length=1, max_length=32, pattern=r"^[A-Za-z0-9_.-]+$")]
    password: Secret

    @model_validator(mode="after")
    def _hashed(self) -> Self:
        if not self.password.get_secret_value().startswith("scrypt:"):
            raise ValueError("password: wanted: what `dicom-node password` printed")
        return self


class Page(Table):
    """The status page: off, and on this machine alone, unless told otherwise."""

    serve: bool = False
    address: str = "127.0.0.1"
    port: Port = 11180
    names: tuple[str, ...] = ()
    certificate: Path | None = None
    private_key: PrivateKey | None = None
    session_minutes: Annotated[float, Field(gt=0, le=1440)] = 60.0
    metrics_token: Secret = SecretStr("")
    users: tuple[User, ...] = ()

    @property
    def is_encrypted(self) -> bool:
        """Say whether it is spoken to over TLS."""
        return self.certificate is not None

    @model_validator(mode="after")
    def _closed(self) -> Self:
        if (self.certificate is None) != (self.private_key is None):
            raise ValueError("certificate and private_key go together")
        if not is_loopback(self.address) and not self.is_encrypted:
            raise ValueError("beyond this machine it needs TLS: give certificate and private_key")
        if self.serve and not self.users:
            raise ValueError("nobody could log in: add a [[watching.page.users]] table")
        names = [user.name for user in self.users]
        if len(names) != len(set(names)):
            raise ValueError("each user needs a name of its own")
        return self


class Drift(Table):
    """When a device's scores are said to lie too far from the card's."""

    exams: Annotated[int, Field(ge=20, le=10_000)] = 200
    least: Annotated[int, Field(ge=20, le=10_000)] = 100
    alarm: Annotated[float, Field(gt=0, le=100)] = 0.25


class Watching(Table):
    """How the node looks after itself."""

    sweep_seconds: Seconds = 5.0
    lease_seconds: Annotated[Seconds, Field(ge=2)] = 20.0
    turn_seconds: Annotated[Seconds, Field(ge=1, le=3600)] = 900.0
    drift: Drift = Drift()
    page: Page = Page()
