"""What deliveries need, and how their answers are written down."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from dicom_node.delivering.places import destination_named
from dicom_node.delivering.statuses import Meaning, meaning, said
from dicom_node.errors import told
from dicom_node.ledger.ledger import Ledger, now
from dicom_node.ledger.outbox import (
    record_delay,
    record_loss,
    record_receipt,
    record_refusal,
    record_waiver,
)
from dicom_node.ledger.questions import CAD_SR, NEVER_AGAIN, Debt, Questions
from dicom_node.settings.file import Settings
from dicom_node.spool import Altered, Spool

KEY_OBJECTS = "1.2.840.10008.5.1.4.1.1.88.59"


@dataclass(frozen=True, slots=True)
class Office:
    """What deliveries need."""

    ledger: Ledger
    questions: Questions
    spool: Spool
    settings: Settings
    pace: dict[str, float] = field(default_factory=dict)  # seconds that each road took last

    def patience(self, failures: int) -> timedelta:
        """Wait longer after each failure in a row."""
        waits = self.settings.delivering.retry_seconds
        return timedelta(seconds=waits[min(failures, len(waits) - 1)])

    @property
    def probe(self) -> timedelta:
        """Say how long nobody knocks at a closed road."""
        return timedelta(seconds=self.settings.delivering.probe_seconds)


def note(office: Office, debt: Debt, status: int | None) -> Meaning:
    """Write down one answer, and return what it means."""
    answer = said(status)
    meant = meaning(status, is_rejection=debt.product.sop_class_uid == KEY_OBJECTS)
    match meant:
        case Meaning.ARRIVED:
            assert status is not None
            record_receipt(office.ledger, debt.delivery.id, status, _commit_at(office, debt))
        case Meaning.NEVER:
            _refused(office, debt, status, f"will not take the {debt.product.kind} ({answer})")
        case Meaning.LATER if is_too_old(office, debt):
            give_up(office, debt, answer, status)
        case Meaning.LATER:
            due_at = now() + office.patience(debt.delivery.attempts)
            record_delay(office.ledger, debt.delivery.id, status, answer, due_at)
    return meant


def _commit_at(office: Office, debt: Debt) -> datetime | None:
    destination = destination_named(office.settings, debt.delivery.destination)
    if destination is None or not destination.commitment:
        return None
    return now() + timedelta(seconds=office.settings.delivering.commitment_after_seconds)


def content_of(office: Office, debt: Debt) -> bytes | None:
    """Read an object as it was proved; None: that cannot be done, and is written down.

    What is lost is not tried again by itself. A disk that stumbles, or is away, has lost nothing.
    """
    product = debt.product
    try:
        return office.spool.read(product.path, product.sha256)
    except Altered:
        _lost(office, debt, "is not what was written any more")
    except OSError as trouble:
        if isinstance(trouble, FileNotFoundError) and office.spool.is_there():
            _lost(office, debt, "is gone from the spool")
        elif is_too_old(office, debt):
            give_up(office, debt, told(trouble))
        else:
            due_at = now() + office.patience(debt.delivery.attempts)
            record_delay(office.ledger, debt.delivery.id, None, told(trouble), due_at)
    return None


def _lost(office: Office, debt: Debt, what: str) -> None:
    mend = "put it back, then" if debt.product.kind in NEVER_AGAIN else "it is made again by"
    sentence = f"the file of the {debt.product.kind} {what}; {mend}"
    command = f"`dicom-node retry {debt.product.case_id}`"
    record_loss(office.ledger, debt.delivery.id, f"{sentence} {command}")


def is_too_old(office: Office, debt: Debt) -> bool:
    """Say whether an object has waited for its destination for days."""
    age = now() - debt.delivery.owed_since
    return age > timedelta(hours=office.settings.delivering.give_up_hours)


def give_up(office: Office, debt: Debt, answer: str, status: int | None = None) -> None:
    """Write down that a destination was waited for in vain."""
    hours = office.settings.delivering.give_up_hours
    sentence = f"given up after {hours:g} hours: {answer}"
    _refused(office, debt, status if status is not None else debt.delivery.status, sentence)


def _refused(office: Office, debt: Debt, status: int | None, sentence: str) -> None:
    """Write down that a destination does not get an object: at a workstation that is no failure."""
    if _is_workstation(office, debt):
        record_waiver(office.ledger, debt.delivery.id, sentence)
    else:
        record_refusal(office.ledger, debt.delivery.id, status, sentence)


def _is_workstation(office: Office, debt: Debt) -> bool:
    destination = destination_named(office.settings, debt.delivery.destination)
    return destination is not None and destination.role == "workstation"


def waive_the_outdated(office: Office, debts: Sequence[Debt]) -> list[Debt]:
    """Keep from a workstation what a later round has replaced; an archive keeps every round.

    What takes a result back is replaced by nothing.
    """
    if not debts or not _is_workstation(office, debts[0]):
        return list(debts)
    kept = []
    for debt in debts:
        case = office.questions.case(debt.product.case_id)
        assert case is not None
        later = [
            one.round
            for one in office.questions.cases_of(case.study_uid)
            if one.round > case.round and _has_result(office, one.id)
        ]
        if later and debt.product.sop_class_uid != KEY_OBJECTS:
            record_waiver(office.ledger, debt.delivery.id, f"round {later[-1]} replaces it")
        else:
            kept.append(debt)
    return kept


def _has_result(office: Office, case_id: int) -> bool:
    """Say whether a case has a result that nobody took back."""
    if office.questions.recall_of(case_id) is not None:
        return False
    return any(product.kind == CAD_SR for product in office.questions.products_of(case_id))
