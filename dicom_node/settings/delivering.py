"""Where results go."""

import re
from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, model_validator

from dicom_node.settings.secrets import PrivateKey, Secret, is_loopback
from dicom_node.settings.values import AETitle, Days, Port, Seconds, Table

Geometry = Literal["orientation", "none", "full"]
TransferSyntax = Literal["explicit", "implicit", "deflated"]
ObjectKind = Literal[
    "cad_sr",
    "measurement_report",
    "segmentation",
    "presentation_state",
    "secondary_capture",
    "summary",
]
_VISIBLE = re.compile(r"[!-~]*")  # ASCII, no blanks
# Which objects tell that a study has no findings, and which that it was not analyzed.
TELL_OF_NOTHING_FOUND = frozenset[str]({"cad_sr", "secondary_capture", "summary"})
TELL_OF_NO_RESULT = frozenset[str]({"cad_sr", "secondary_capture"})
USUAL_OBJECTS: tuple[ObjectKind, ...] = ("cad_sr", "measurement_report", "segmentation")


class ClientTLS(Table):
    """How a destination is called over TLS: whom the node believes, and how it shows itself."""

    authorities: Path | None = None
    certificate: Path | None = None
    key: PrivateKey | None = None

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if (self.certificate is None) != (self.key is None):
            raise ValueError("certificate and key go together")
        return self


class Destination(Table):
    """Where results go."""

    name: Annotated[str, Field(min_length=1, max_length=32, pattern=r"^[A-Za-z0-9_.-]+$")]
    ae_title: AETitle | None = None
    host: Annotated[str, Field(min_length=1, max_length=130)] | None = None  # a road's name fits
    port: Port | None = None
    return_to_sender: bool = False
    url: Annotated[str, Field(max_length=150)] | None = None
    user: str = ""
    password: Secret = SecretStr("")
    token: Secret = SecretStr("")
    calling_ae_title: AETitle | None = None
    objects: tuple[ObjectKind, ...] = USUAL_OBJECTS
    role: Literal["archive", "workstation"] = "archive"
    max_marks: Annotated[int, Field(ge=0)] = 0
    operating_point: str = ""
    scores: Literal["maximum", "as-given"] = "maximum"
    codes: Literal["SCT", "SRT"] = "SCT"
    short_meanings: bool = False
    two_view: bool = False
    geometry: Geometry = "orientation"
    transfer_syntax: TransferSyntax = "explicit"
    manufacturer: Annotated[str, Field(max_length=64)] = ""
    model: Annotated[str, Field(max_length=64)] = ""
    timeout_seconds: Seconds = 10.0
    tls: ClientTLS | None = None
    commitment: bool = False
    commitment_ae_title: AETitle | None = None
    commitment_port: Port | None = None
    commitment_callers: tuple[AETitle, ...] = ()

    @model_validator(mode="after")
    def _reachable(self) -> Self:
        given = [key for key in ("ae_title", "host", "port") if getattr(self, key) is not None]
        if self.return_to_sender and given:
            raise ValueError(f"return_to_sender finds its own way: remove {', '.join(given)}")
        if self.return_to_sender and self.commitment:
            raise ValueError(
                f"{self.name}: commitment needs ae_title, host and port: who is asked answers on a "
                "connection of its own, and a sender's answer would be let in by nobody"
            )
        if self.url is not None:
            self._is_on_the_web(given)
        elif not self.return_to_sender and len(given) < 3:  # noqa: PLR2004 - the three above
            raise ValueError(
                "a destination needs ae_title, host and port, or url, or return_to_sender, and "
                f"{self.name} has none of them whole"
            )
        return self

    def _is_on_the_web(self, given: list[str]) -> None:
        parts = urlsplit(self.url or "")
        if given or self.return_to_sender or self.commitment:
            raise ValueError(f"url is a way of its own: {self.name} has another one, or commitment")
        if parts.scheme not in {"http", "https"} or not parts.hostname or "@" in parts.netloc:
            raise ValueError(f"{self.name}: wanted: https://host/path, and no password in it")
        if not _VISIBLE.fullmatch(self.url or "") or parts.query or parts.fragment:
            raise ValueError(f"{self.name}: wanted: https://host/path, and nothing behind it")
        if parts.port == 0:  # one beyond all is a ValueError of its own
            raise ValueError(f"{self.name}: there is no port 0")
        if ":" in self.user:
            raise ValueError(f"{self.name}: a user's name has no colon")
        # What else stands in a header is refused when it is sent, by words that quote it.
        if not _VISIBLE.fullmatch(self.token.get_secret_value()):
            raise ValueError(f"{self.name}: a token is one line of letters, digits and signs")
        secret = self.token.get_secret_value() or self.password.get_secret_value()
        if secret and parts.scheme == "http" and not is_loopback(parts.hostname):
            raise ValueError(f"{self.name}: a secret is sent over https alone")


class Delivering(Table):
    """Who gets the results, and how patiently."""

    retry_seconds: tuple[Seconds, ...] = (60.0, 120.0, 600.0, 1800.0, 3600.0)
    probe_seconds: Seconds = 60.0
    give_up_hours: Seconds = 72.0
    commitment_after_seconds: Annotated[float, Field(ge=0)] = 10.0
    commitment_seconds: tuple[Seconds, ...] = (600.0, 3600.0, 14400.0)
    commitment_hours: Seconds = 72.0
    keep_results_days: Days = 0.0
    destinations: tuple[Destination, ...] = ()

    @model_validator(mode="after")
    def _named_once(self) -> Self:
        names = [destination.name for destination in self.destinations]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"each destination needs a name of its own; twice: {', '.join(twice)}")
        for name in ("retry_seconds", "commitment_seconds"):
            if not getattr(self, name):
                raise ValueError(f"{name} needs at least one waiting time")
        return self
