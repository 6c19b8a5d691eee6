"""When a report is written, and what it follows."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Predecessor:
    """Name the object of an earlier round, which this one replaces."""

    sop_class_uid: str
    sop_instance_uid: str
    series_uid: str
    round: int  # not always the one before: that may have come to nothing


@dataclass(frozen=True, slots=True)
class Circumstances:
    """Say everything about a report that is neither in the images nor in the findings.

    The clock is here and nowhere else, so that the same inputs make the same bytes.
    """

    round: int
    made_at: datetime  # aware; its own offset decides which wall clock is written
    predecessor: Predecessor | None
    images_added: int  # since that predecessor; without one, in this round

    def __post_init__(self) -> None:
        if self.made_at.tzinfo is None:
            raise ValueError("made_at has no time zone; give an aware datetime")
        if self.round < 1:
            raise ValueError(f"round is {self.round}; rounds count from 1")

    @property
    def change(self) -> str:
        """Say in a sentence what this round changes; nothing for the first."""
        if self.round == 1:
            return ""
        replaced = f"Round {self.round}"
        if self.predecessor is not None:
            replaced += f": replaces the report of round {self.predecessor.round}"
        plural = "" if self.images_added == 1 else "s"
        added = f"; {self.images_added} image{plural} added" if self.images_added else ""
        return f"{replaced}{added}."
