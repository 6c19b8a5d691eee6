"""How images come in."""

import ipaddress
from pathlib import Path
from typing import Annotated, Literal, Self, get_args

from pydantic import Field, SecretStr, model_validator

from dicom_node.settings.secrets import PrivateKey, Secret
from dicom_node.settings.values import AETitle, Days, Network, Port, Seconds, Table

View = Literal["LCC", "RCC", "LMLO", "RMLO"]
WARNING_RESERVES = 4  # so much room, and nobody has said how much, is worth a warning
VIEWS: tuple[View, ...] = get_args(View)
USUAL = "medium"
ANYWHERE = 0  # how narrowly a table without addresses names one


class Caller(Table):
    """Who may send."""

    ae_title: AETitle
    addresses: tuple[Network, ...] = ()
    return_port: Port = 104
    priority: Literal["low", "medium", "high"] = "medium"

    def names(self, address: str) -> int | None:
        """Say how narrowly this table names an address; None where it may not come from there.

        Addresses are compared by meaning; an entry may be a network such as 10.1.0.0/16.
        """
        if not self.addresses:
            return ANYWHERE
        found = ipaddress.ip_address(address)
        came_from = getattr(found, "ipv4_mapped", None) or found
        networks = [ipaddress.ip_network(entry) for entry in self.addresses]
        return max((1 + one.prefixlen for one in networks if came_from in one), default=None)


class TLS(Table):
    """How senders are spoken to that come over TLS; plain ones are turned away then."""

    certificate: Path
    private_key: PrivateKey
    key_password: Secret = SecretStr("")
    authorities: Path | None = None
    mutual: bool = True


class Receiving(Table):
    """How images come in, and when a study is complete."""

    ae_title: AETitle = "FOURVIEWS"
    address: str = "127.0.0.1"
    port: Port = 11112
    processes: Annotated[int, Field(ge=1, le=64)] = 1
    max_associations: Annotated[int, Field(ge=1, le=1000)] = 400
    associate_seconds: Seconds = 30.0
    idle_seconds: Seconds = 60.0
    reserve_megabytes: Annotated[int, Field(ge=0)] = 5000
    warning_megabytes: Annotated[int, Field(ge=0)] = 0
    keep_images_days: Days = 0.0
    emergency_clean: bool = False
    max_object_megabytes: Annotated[int, Field(ge=1)] = 2048
    tls: TLS | None = None
    any_caller: bool = False
    callers: tuple[Caller, ...] = ()
    required_views: tuple[View, ...] = ("RCC", "LCC", "RMLO", "LMLO")
    grace_seconds: Annotated[float, Field(ge=0)] = 10.0
    quiet_seconds: Seconds = 60.0
    cap_seconds: Seconds = 1800.0
    late_views: Literal["reprocess", "ignore", "hold"] = "reprocess"

    def caller_at(self, ae_title: str, address: str) -> Caller | None:
        """Find a sender's table; of several that let it in, the one that names it most narrowly."""
        named = [(one.names(address), one) for one in self.callers if one.ae_title == ae_title]
        fitting = [(narrow, one) for narrow, one in named if narrow is not None]
        return max(fitting, key=lambda pair: pair[0])[1] if fitting else None

    def priority_of(self, ae_title: str, address: str) -> str:
        """Say how urgent the studies of a sender are."""
        if all(one.priority == USUAL for one in self.callers):
            return USUAL  # at most sites no image has to ask whose table is its sender's
        sender = self.caller_at(ae_title, address)
        return USUAL if sender is None else sender.priority

    @property
    def warns_below(self) -> int:
        """Say below how many free megabytes somebody is warned, while images are taken still."""
        wanted = self.warning_megabytes or WARNING_RESERVES * self.reserve_megabytes
        return max(wanted, self.reserve_megabytes)

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if not self.grace_seconds <= self.quiet_seconds <= self.cap_seconds:
            raise ValueError("wanted: grace_seconds <= quiet_seconds <= cap_seconds")
        return self
