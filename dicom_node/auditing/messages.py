"""Events as audit messages of DICOM PS3.15 A.5: who did what to which study, in XML.

A message tells UIDs, AE titles and addresses, and no name of a patient.
"""

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple
from xml.etree.ElementTree import Element, SubElement, tostring

from dicom_node.ledger.tables import Event

APPLICATION_SERVER: Final = "4"
MINOR, SERIOUS, MAJOR = "4", "8", "12"
SYSTEM_OBJECT, REPORT, SECURITY_RESOURCE, JOB = "2", "3", "13", "20"
ADDRESS: Final = "2"
RFC_3881: Final = "RFC-3881"

EVENTS: Final = {
    "110100": "Application Activity",
    "110101": "Audit Log Used",
    "110102": "Begin Transferring DICOM Instances",
    "110103": "DICOM Instances Accessed",
    "110104": "DICOM Instances Transferred",
    "110113": "Security Alert",
    "110114": "User Authentication",
}
TYPES: Final = {
    "110120": "Application Start",
    "110121": "Application Stop",
    "110122": "Login",
    "110123": "Logout",
    "110126": "Node Authentication",
    "110129": "Security Configuration",
    "110130": "Hardware Configuration",
    "110131": "Software Configuration",
    "110132": "Use of Restricted Function",
    "110135": "Object Security Attributes Changed",
}


class Meaning(NamedTuple):
    """What the standard calls a kind of event."""

    event: str
    action: str  # C R U D E
    type: str = ""
    outcome: str = "0"


MEANINGS: Final[dict[str, Meaning]] = {
    "started": Meaning("110100", "E", "110120"),
    "stopped": Meaning("110100", "E", "110121"),
    "listening": Meaning("110100", "E", "110120"),
    "settings changed": Meaning("110113", "E", "110131"),
    "settings refused": Meaning("110113", "E", "110131", MINOR),
    "model loaded": Meaning("110113", "E", "110131"),
    "model refused": Meaning("110113", "E", "110131", SERIOUS),
    "calibrated": Meaning("110113", "E", "110131"),
    "model activated": Meaning("110113", "E", "110131"),
    "model rolled back": Meaning("110113", "E", "110131"),
    "space runs low": Meaning("110113", "E", "110130", SERIOUS),
    "space enough": Meaning("110113", "E", "110130"),
    "watermark reached": Meaning("110113", "E", "110130", SERIOUS),
    "watermark left": Meaning("110113", "E", "110130"),
    "association accepted": Meaning("110113", "E", "110126"),
    "association refused": Meaning("110113", "E", "110126", MINOR),
    "contexts not accepted": Meaning("110113", "E", "110126", MINOR),
    "association released": Meaning("110113", "E", "110126"),
    "association aborted": Meaning("110113", "E", "110126", MINOR),
    "association cut off": Meaning("110113", "E", "110126", MINOR),
    "association lost": Meaning("110113", "E", "110126", MINOR),
    "image received": Meaning("110104", "C"),
    "duplicate received": Meaning("110104", "U"),
    "image refused": Meaning("110113", "E", "110132", MINOR),
    "round opened": Meaning("110103", "C"),
    "held": Meaning("110103", "U"),
    "released": Meaning("110103", "U"),
    "moved": Meaning("110103", "U"),
    "telling": Meaning("110103", "U", outcome=MINOR),
    "new device": Meaning("110113", "E", "110130", MINOR),
    "scores drift": Meaning("110113", "E", "110130", SERIOUS),
    "scores steady": Meaning("110113", "E", "110130"),
    "read in shadow": Meaning("110103", "R"),
    "recalled": Meaning("110103", "D"),
    "purged": Meaning("110103", "D"),
    "images purged": Meaning("110103", "D"),
    "recomputed": Meaning("110103", "R"),
    "delivered": Meaning("110104", "R"),
    "delivered again": Meaning("110104", "R"),
    "committed": Meaning("110104", "R"),
    "commitment asked": Meaning("110103", "R"),
    "commitment not asked": Meaning("110103", "R", outcome=MINOR),
    "commitment waived": Meaning("110103", "U"),
    "not committed": Meaning("110104", "R", outcome=MINOR),
    "commitment failed": Meaning("110104", "R", outcome=SERIOUS),
    "refused": Meaning("110104", "R", outcome=SERIOUS),
    "lost": Meaning("110103", "R", outcome=SERIOUS),
    "made again": Meaning("110103", "U"),
    "delayed": Meaning("110104", "R", outcome=MINOR),
    "waived": Meaning("110103", "U"),
    "owed again": Meaning("110103", "U"),
    "hurried": Meaning("110103", "U"),
    "destination unreachable": Meaning("110113", "E", "110126", MINOR),
    "destination back": Meaning("110113", "E", "110126"),
    "destination forgotten": Meaning("110113", "E", "110131"),
    "login": Meaning("110114", "E", "110122"),
    "login refused": Meaning("110114", "E", "110122", MINOR),
    "logout": Meaning("110114", "E", "110123"),
    "key made": Meaning("110113", "E", "110129"),
    "trail verified": Meaning("110101", "R"),
    "trail exported": Meaning("110101", "R"),
    "trail purged": Meaning("110101", "D"),
    "trail broken": Meaning("110113", "E", "110135", MAJOR),
}
UNKNOWN: Final = Meaning("110100", "E")
BY_STATE: Final = {
    "ANALYZING": Meaning("110103", "R"),
    "DELIVERING": Meaning("110102", "E"),
    "REPORTED": Meaning("110103", "C"),
    "FAILED": Meaning("110103", "U", outcome=SERIOUS),
}


@dataclass(frozen=True, slots=True)
class Source:
    """Who tells."""

    name: str  # the node's AE title
    site: str = ""


def meaning_of(event: Event) -> Meaning:
    """Say what the standard calls an event."""
    if event.what == "moved" and event.to_state in BY_STATE:
        return BY_STATE[event.to_state]
    return MEANINGS.get(event.what, UNKNOWN)


def message(event: Event, source: Source) -> bytes:
    """Write one event as an audit message."""
    meaning = meaning_of(event)
    root = Element("AuditMessage")
    about = SubElement(
        root,
        "EventIdentification",
        EventActionCode=meaning.action,
        EventDateTime=event.at.isoformat(timespec="microseconds"),
        EventOutcomeIndicator=meaning.outcome,
    )
    _coded(about, "EventID", meaning.event, "DCM", EVENTS[meaning.event])
    if meaning.type:
        _coded(about, "EventTypeCode", meaning.type, "DCM", TYPES[meaning.type])
    told = f"{event.what}: {event.sentence}" if event.sentence else event.what
    SubElement(about, "EventOutcomeDescription").text = _printable(told)
    _participants(root, event, meaning, source)
    origin = SubElement(root, "AuditSourceIdentification", AuditSourceID=source.name)
    if source.site:
        origin.set("AuditEnterpriseSiteID", source.site)
    SubElement(origin, "AuditSourceTypeCode", {"csd-code": APPLICATION_SERVER})
    _objects(root, event, meaning)
    written: str = tostring(root, encoding="unicode")
    return f'<?xml version="1.0" encoding="UTF-8"?>{written}'.encode()


def _participants(root: Element, event: Event, meaning: Meaning, source: Source) -> None:
    """Name this node's process, and the other side where there is one."""
    other = str(event.details.get("caller") or event.details.get("destination") or "")
    address = str(event.details.get("address") or "")
    roles = _roles(event, meaning)
    own = SubElement(
        root,
        "ActiveParticipant",
        UserID=source.name,
        AlternativeUserID=event.actor,
        UserIsRequestor="false" if other and not event.what.startswith("delivered") else "true",
    )
    _role(own, roles[0])
    if other or address or len(roles) > 1:
        name = _printable(other or event.sentence.partition(" ")[0].rstrip(":") or "unknown")
        requests = "true" if own.get("UserIsRequestor") == "false" else "false"
        peer = SubElement(root, "ActiveParticipant", UserID=name, UserIsRequestor=requests)
        if address:
            peer.set("NetworkAccessPointID", address)
            peer.set("NetworkAccessPointTypeCode", ADDRESS)
        _role(peer, roles[-1])


def _roles(event: Event, meaning: Meaning) -> list[tuple[str, str]]:
    application = ("110150", "Application")
    source, destination = ("110153", "Source Role ID"), ("110152", "Destination Role ID")
    if meaning.event == "110102" or (meaning.event == "110104" and meaning.action == "R"):
        return [source, destination]
    if meaning.event == "110104" or event.what.startswith(("association", "image")):
        return [destination, source]
    if meaning.event == "110100":
        return [application, ("110151", "Application Launcher")]
    return [application]


def _objects(root: Element, event: Event, meaning: Meaning) -> None:
    """Name the study with what belongs to it, or what of the node was touched."""
    if event.study_uid:
        one = _object(root, event.study_uid, SYSTEM_OBJECT, REPORT)
        _coded(one, "ParticipantObjectIDTypeCode", "110180", "DCM", "Study Instance UID")
        SubElement(one, "ParticipantObjectName").text = f"case {event.case_id}"
        _details(one, event)
        description = SubElement(one, "ParticipantObjectDescription")
        uids = _instances(event.details)
        kind = SubElement(description, "SOPClass", NumberOfInstances=str(len(uids)))
        for uid in uids:
            SubElement(kind, "Instance", UID=uid)
        return
    role = SECURITY_RESOURCE if meaning.event in {"110101", "110113"} else JOB
    one = _object(root, f"urn:fourviews:event:{event.id}", SYSTEM_OBJECT, role)
    _coded(one, "ParticipantObjectIDTypeCode", "12", RFC_3881, "URI")
    name = "Security Audit Log" if meaning.event == "110101" else event.what
    SubElement(one, "ParticipantObjectName").text = name
    _details(one, event)


def _object(root: Element, name: str, kind: str, role: str) -> Element:
    return SubElement(
        root,
        "ParticipantObjectIdentification",
        ParticipantObjectID=name,
        ParticipantObjectTypeCode=kind,
        ParticipantObjectTypeCodeRole=role,
    )


def _instances(details: Mapping[str, Any]) -> list[str]:
    built = details.get("built") or ()
    return [str(one["sop_uid"]) for one in (*built, details) if "sop_uid" in one]


def _details(one: Element, event: Event) -> None:
    """Tell the event's number and states: who gets a message twice knows it by the number."""
    told = {"event": event.id, "hash": event.hash, "from": event.from_state, "to": event.to_state}
    for key, value in (told | {"status": event.details.get("status")}).items():
        if value is not None:
            coded = base64.b64encode(str(value).encode()).decode()
            SubElement(one, "ParticipantObjectDetail", type=key, value=coded)


def _role(participant: Element, role: tuple[str, str]) -> None:
    _coded(participant, "RoleIDCode", role[0], "DCM", role[1])


def _coded(above: Element, name: str, code: str, scheme: str, words: str) -> None:
    said = {"codeSystemName": scheme, "displayName": words, "originalText": words}
    SubElement(above, name, {"csd-code": code, **said})


def _printable(words: str) -> str:
    """Leave out what XML cannot hold."""
    return "".join(letter if letter.isprintable() else " " for letter in words)
