"""How much room is left for images, and for how long at the rate at which they come."""

from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import Any

from dicom_node.ledger.accounts import received_lately
from dicom_node.ledger.clock import by_the_clock
from dicom_node.settings.receiving import Receiving
from dicom_node.wiring import Node

LATELY = timedelta(days=7)
LEAST = timedelta(days=1)  # of less, nobody can tell a rate
MEGABYTE = 1 << 20


@dataclass(frozen=True, slots=True)
class Room:
    """The disk in megabytes, and for how many days it is enough."""

    free: int
    reserve: int
    warning: int
    a_day: int | None  # what images have taken lately; None: too little is known
    days_left: int | None  # until images are refused, where none is ever removed

    @property
    def low(self) -> bool:
        """Say whether somebody should make room."""
        return self.free < self.warning

    @property
    def sentence(self) -> str:
        """Say all of it."""
        said = f"{self.free} MB are free"
        if self.low:
            said += f", less than {self.warning}; images are refused below {self.reserve}"
        if self.a_day is not None:
            said += f"; images take {self.a_day} MB a day"
        if self.days_left is not None:
            days = "day" if self.days_left == 1 else "days"
            said += f", so there is room for {self.days_left} {days}"
        return said

    def told(self) -> dict[str, Any]:
        """Tell it in plain values."""
        return {**asdict(self), "low": self.low, "sentence": self.sentence}


def room(node: Node) -> Room:
    """Look at the disk, and at the images of the last days."""
    receiving = node.settings.receiving
    free = node.spool.free_bytes() // MEGABYTE
    a_day = _megabytes_a_day(node)
    left = None
    if a_day and not receiving.keep_images_days and node.spool.fills_the_disk:
        left = max(free - receiving.reserve_megabytes, 0) // a_day
    return Room(free, receiving.reserve_megabytes, receiving.warns_below, a_day, left)


def _megabytes_a_day(node: Node) -> int | None:
    """Say what images took a day, of those of the last week or as many as are quickly asked for."""
    at = by_the_clock()
    size_bytes, oldest = received_lately(node.patient_engine, at - LATELY)
    if oldest is None or at - oldest < LEAST:
        return None
    return int(size_bytes / MEGABYTE / ((at - oldest) / LEAST))


def advice(receiving: Receiving) -> str:
    """Say what makes room."""
    if receiving.keep_images_days:
        return "make room, or keep images for fewer days (receiving.keep_images_days)"
    return "make room, or have images removed in time (receiving.keep_images_days)"
