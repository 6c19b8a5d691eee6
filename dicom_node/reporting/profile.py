"""How one destination wants its objects: every wish that changes their bytes.

Destinations with the same wishes share their objects. What is made otherwise than the node makes
it by itself has UIDs of its own, so that two destinations may well be one PACS.
"""

from dataclasses import dataclass, fields, replace
from typing import Any, Literal

from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from dicom_node.ledger.questions import NOTICES
from dicom_node.reporting.codes import Dialect
from dicom_node.settings.delivering import Destination, Geometry, TransferSyntax
from dicom_node.settings.reporting import Reporting

TRANSFER_SYNTAXES = {
    "explicit": ExplicitVRLittleEndian,
    "implicit": ImplicitVRLittleEndian,
    "deflated": DeflatedExplicitVRLittleEndian,
}
# Wishes that not every kind of object has an answer to; all others concern every kind.
CONCERNED = {
    "codes": frozenset({"cad_sr", "notice"}),
    "short_meanings": frozenset({"cad_sr", "notice"}),
    "geometry": frozenset({"segmentation"}),
    "two_view": frozenset({"cad_sr"}),
}
OF_FINDINGS = frozenset({"max_marks", "operating_point", "scores"})  # a notice has none


@dataclass(frozen=True, slots=True)
class Profile:
    """The wishes; each default is what the node does by itself."""

    max_marks: int = 0  # 0: all of them
    operating_point: str = ""  # empty: the node's own
    scores: Literal["maximum", "as-given"] = "maximum"
    codes: Literal["SCT", "SRT"] = "SCT"
    short_meanings: bool = False
    two_view: bool = False
    geometry: Geometry = "orientation"
    transfer_syntax: TransferSyntax = "explicit"
    manufacturer: str = ""  # empty: the node's own
    model: str = ""

    @property
    def dialect(self) -> Dialect:
        """Return how codes are spelled."""
        return Dialect(self.codes, self.short_meanings)

    @property
    def transfer_syntax_uid(self) -> UID:
        """Return how bytes are written."""
        return TRANSFER_SYNTAXES[self.transfer_syntax]

    @property
    def words(self) -> str:
        """Say what is wished otherwise, for UIDs and for the ledger; nothing where nothing is."""
        return ", ".join(
            f"{field.name}={getattr(self, field.name)}"
            for field in fields(self)
            if getattr(self, field.name) != field.default
        )

    def of(self, kind: str) -> "Profile":
        """Return the wishes that concern one kind of object."""
        plain: dict[str, Any] = {
            field.name: field.default
            for field in fields(self)
            if kind not in CONCERNED.get(field.name, {kind})
            or (kind in NOTICES and field.name in OF_FINDINGS)
        }
        return replace(self, **plain)


PLAIN = Profile()


def point_in(words: str) -> str:
    """Return which other operating point a profile's words wish for; nothing where they do not."""
    named = (word.partition("=") for word in words.split(", "))
    return next((value for wish, _, value in named if wish == "operating_point"), "")


def profile_of(
    destination: Destination, reporting: Reporting, operating_point: str = ""
) -> Profile:
    """Return a destination's wishes; to wish for what is so anyway is no wish.

    The operating point is the one that the study was read at.
    """
    point = destination.operating_point
    own = (reporting.manufacturer, reporting.model)
    named = (destination.manufacturer or own[0], destination.model or own[1])
    return Profile(
        max_marks=destination.max_marks,
        operating_point="" if point == operating_point else point,
        scores=destination.scores,
        codes=destination.codes,
        short_meanings=destination.short_meanings,
        two_view=destination.two_view,
        geometry=destination.geometry,
        transfer_syntax=destination.transfer_syntax,
        manufacturer="" if named[0] == own[0] else named[0],
        model="" if named[1] == own[1] else named[1],
    )
