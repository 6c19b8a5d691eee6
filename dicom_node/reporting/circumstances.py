"""When a report is written, and what it follows."""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Self

from dicom_node.reporting import naming
from dicom_node.reporting.changes import Telling, listed
from dicom_node.reporting.tracking import Names
from dicom_node.reporting.unread import Unread


@dataclass(frozen=True, slots=True)
class Predecessor:
    """Name the object of an earlier round, which this one replaces."""

    sop_class_uid: str
    sop_instance_uid: str
    series_uid: str
    round: int  # not always the one before: that may have come to nothing
    bundle: str = ""  # by which it was made, in the words of its UIDs
    is_notice: bool = False  # it said that the study was not analyzed


@dataclass(frozen=True, slots=True)
class Circumstances:
    """Say everything about a report that is neither in the images nor in the findings.

    The clock is here and nowhere else, so that the same inputs make the same bytes.
    """

    round: int
    made_at: datetime  # aware; its own offset decides which wall clock is written
    predecessor: Predecessor | None
    images_added: int  # since that predecessor; without one, in this round
    former: tuple[Predecessor, ...] = ()  # every object of this kind before, the newest first
    edition: str = ""  # how this one differs from what the node makes by itself
    unread: tuple[Unread, ...] = ()  # images that came along and were not read
    remarks: tuple[str, ...] = ()  # sentences that every text has to hold besides its own
    names: Names | None = None  # what the lesions are called; None: as in a first round
    before: Telling | None = None  # what the round before told, where there is one that holds
    unshown: frozenset[str] = frozenset()  # tracking UIDs of what was found and is left out here
    recalled: tuple[str, ...] = ()  # which earlier results were taken back, in sentences
    views_added: tuple[str, ...] = ()  # the names of those of the images added that were read
    given: float | None = None  # what the exam was given, where its score says more than that
    settings: str = ""  # the digest of those that it was read with

    def __post_init__(self) -> None:
        if self.made_at.tzinfo is None:
            raise ValueError("made_at has no time zone; give an aware datetime")
        if self.round < 1:
            raise ValueError(f"round is {self.round}; rounds count from 1")

    def of_image(self, kind: str, study_uid: str, image_uid: str) -> Self:
        """Replace the last object about this image, where objects are about one image each."""
        about_it = (
            one
            for one in self.former
            if one.sop_instance_uid
            == naming.instance_uid(kind, study_uid, one.round, one.bundle, image_uid)
        )
        return replace(self, predecessor=next(about_it, None))

    @property
    def change(self) -> str:
        """Say in a sentence what this round changes; nothing for the first."""
        before = self.predecessor
        if before is not None and before.round == self.round:
            return "Replaces the notice that this study was not analyzed."
        if self.round == 1:
            return ""
        replaced = f"Round {self.round}"
        if before is not None:
            what = "notice" if before.is_notice else "report"
            replaced += f": replaces the {what} of round {before.round}"
        # What was told before can be compared; else the images can at least be named and counted.
        counted = self.images_added and self.before is None
        return f"{replaced}; {self._added}." if counted else f"{replaced}."

    @property
    def _added(self) -> str:
        count = f"{self.images_added} image{'' if self.images_added == 1 else 's'}"
        if not self.views_added:
            return f"{count} added"
        unnamed = f" ({count})" if self.images_added != len(self.views_added) else ""
        return f"{listed(self.views_added)} added{unnamed}"
