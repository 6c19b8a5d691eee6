"""A PACS that is asked to keep what it took, and answers in every way there is."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

from faulty_pacs import FaultyPacs
from pydicom import Dataset
from pynetdicom import AE, build_role, evt
from pynetdicom.events import Event

PUSH_MODEL = "1.2.840.10008.1.20.1"
PUSH_MODEL_INSTANCE = "1.2.840.10008.1.20.1.1"


@dataclass
class CommittingPacs:
    """A PACS, what it was asked, and how it answers."""

    pacs: FaultyPacs
    answers_on: str = "same"  # the association of the question, a "new" one, or "never"
    listener_port: int = 0  # where a new association goes
    called: str = "FOURVIEWS"
    calling: str = ""  # empty: as the PACS itself
    offers_role: bool = True  # says that it is the provider of the service, as it should
    after_seconds: float = 0.0
    reason: Callable[[str], int] | None = None  # why an object is not kept; 0: it is
    refuses: int = 0x0000  # with which status the request itself is refused
    asked: list[Dataset] = field(default_factory=list)
    statuses: list[int | None] = field(default_factory=list)  # of the node, to answers

    def __post_init__(self) -> None:
        """Serve it beside storage."""
        self.pacs.serves[PUSH_MODEL] = {}
        self.pacs.answers.append((evt.EVT_N_ACTION, self._asked))

    def _asked(self, event: Event) -> tuple[int, None]:
        told = event.action_information
        self.asked.append(told)
        if self.refuses == 0 and self.answers_on != "never":
            threading.Thread(target=self._answer, args=(event, told), daemon=True).start()
        return self.refuses, None

    def answer(self, told: Dataset) -> Dataset:
        """Say what is kept of what was asked for."""
        said = Dataset()
        said.TransactionUID = told.TransactionUID
        present, failed = [], []
        for one in told.ReferencedSOPSequence:
            uid = str(one.ReferencedSOPInstanceUID)
            reason = self.reason(uid) if self.reason else 0
            if not reason and uid not in self.pacs.kept:
                reason = 0x0112
            if reason:
                one.FailureReason = reason
            (failed if reason else present).append(one)
        if present:
            said.ReferencedSOPSequence = present
        if failed:
            said.FailedSOPSequence = failed
        return said

    def _answer(self, event: Event, told: Dataset) -> None:
        time.sleep(0.1 + self.after_seconds)  # the answer to the request itself goes first
        said = self.answer(told)
        if self.answers_on == "same":
            with suppress(RuntimeError):  # nobody waits any more
                status, _ = event.assoc.send_n_event_report(
                    said, event_type_of(said), PUSH_MODEL, PUSH_MODEL_INSTANCE
                )
                self.statuses.append(int(status.Status) if "Status" in status else None)
        else:
            self.statuses.append(self.tell(said))

    def tell(self, said: Dataset) -> int | None:
        """Bring an answer to the node's listener; None where it is not let in."""
        ae = AE(ae_title=self.calling or self.pacs.ae_title)
        ae.acse_timeout = ae.dimse_timeout = 10
        ae.add_requested_context(PUSH_MODEL)
        role = [build_role(PUSH_MODEL, scp_role=True)] if self.offers_role else None
        association = ae.associate(
            "127.0.0.1", self.listener_port, ae_title=self.called, ext_neg=role
        )
        if not association.is_established:
            return None
        try:
            status, _ = association.send_n_event_report(
                said, event_type_of(said), PUSH_MODEL, PUSH_MODEL_INSTANCE
            )
            return int(status.Status) if "Status" in status else None
        finally:
            association.release()


def event_type_of(said: Dataset) -> int:
    """Say of which type an event is: all kept, or not all (PS3.4, table J.3-2)."""
    return 2 if "FailedSOPSequence" in said else 1


@contextmanager
def committing_pacs(ae_title: str = "KEEPER", **how: object) -> Iterator[CommittingPacs]:
    """Run one for the length of the block."""
    committing = CommittingPacs(FaultyPacs(ae_title), **how)  # type: ignore[arg-type]
    committing.pacs.start()
    try:
        yield committing
    finally:
        committing.pacs.heal()
        committing.pacs.stop()
