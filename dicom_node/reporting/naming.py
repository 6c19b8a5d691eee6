"""Unique identifiers that follow from what is identified.

A retry must overwrite, not duplicate: the same study, round and bundle make the same UIDs on
every machine.
"""

import hashlib

from pydicom.uid import UID

ROOT = "2.25."  # UIDs made of a 128-bit number need no registered root (PS3.5, B.2)


def uid(*words: str) -> UID:
    """Make the UID that belongs to these words."""
    digest = hashlib.sha256("\x1f".join(words).encode()).digest()
    return UID(ROOT + str(int.from_bytes(digest[:16], "big")))


def series_uid(kind: str, study_uid: str, round_: int, bundle: str, image_uid: str = "") -> UID:
    """Name the series of an object; each round and each segmented image has its own."""
    return uid("series", kind, study_uid, str(round_), bundle, image_uid)


def instance_uid(kind: str, study_uid: str, round_: int, bundle: str, image_uid: str = "") -> UID:
    """Name an object."""
    return uid("instance", kind, study_uid, str(round_), bundle, image_uid)


def tracking_uid(bundle: str, image_uid: str, name: str, *place: str) -> UID:
    """Name a lesion by what it was called and where it was seen first.

    The round is left out on purpose: a lesion seen again keeps its UID.
    """
    return uid("tracking", bundle, image_uid, name, *place)


def device_uid(manufacturer: str, model: str, serial_number: str) -> UID:
    """Name the device as an observer (PS3.16, TID 1004)."""
    return uid("device", manufacturer, model, serial_number)


IMPLEMENTATION_UID = uid("implementation", "fourviews")
IMPLEMENTATION_NAME = "FOURVIEWS"
