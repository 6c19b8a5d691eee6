"""Which studies are complete.

C-STORE has no word for "that was all". A study is complete when its views are in and the sender
has gone, else when nothing came for a while, else when the cap is reached.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

from dicom_node.errors import NotYourTurn
from dicom_node.ledger.ledger import Ledger, now
from dicom_node.ledger.questions import Arriving, Questions
from dicom_node.ledger.steering import hold_late, ignore_late
from dicom_node.ledger.tables import Case
from dicom_node.life import Ruling, State
from dicom_node.settings.receiving import Receiving

UNDERWAY = {State.RECEIVED, State.ANALYZING, State.ANALYZED, State.REPORTING}
STANDS = {State.REPORTED, State.DELIVERING, State.DELIVERED}


def complete(arriving: Arriving, receiving: Receiving, at: datetime) -> str | None:
    """Say why a round is complete, or None while it is not; one that is held never is."""
    if arriving.case.ruling is Ruling.HELD:
        return None
    missing = [view for view in receiving.required_views if view not in arriving.views]
    quiet_for = at - arriving.case.last_image_at
    if not arriving.sender_is_connected:
        if not missing and quiet_for >= timedelta(seconds=receiving.grace_seconds):
            return "complete: all required views are in"
        if quiet_for >= timedelta(seconds=receiving.quiet_seconds):
            return f"quiet for {receiving.quiet_seconds:g} s{_without(missing)}"
    # Since it began to take images: a late one may have come hours after the round was opened.
    if at - arriving.case.moved_at >= timedelta(seconds=receiving.cap_seconds):
        return f"waited {receiving.cap_seconds:g} s{_without(missing)}"
    return None


def _without(missing: Sequence[str]) -> str:
    return f", without {', '.join(missing)}" if missing else ""


def settle(ledger: Ledger, questions: Questions, receiving: Receiving) -> list[int]:
    """Close the rounds that are complete, and return their case numbers."""
    settled = []
    for arriving in questions.arriving():
        why = complete(arriving, receiving, now())
        case = arriving.case
        try:
            if _kept_from_reading(ledger, questions, receiving, case, is_complete=why is not None):
                continue
            if why is None:
                continue
            ledger.move(
                case.id,
                State.RECEIVING,
                State.RECEIVED,
                why,
                last_image_at=case.last_image_at,
            )
        except NotYourTurn:  # an image or a person came in between, or another sweep
            continue
        settled.append(case.id)
    return settled


def _kept_from_reading(
    ledger: Ledger, questions: Questions, receiving: Receiving, case: Case, *, is_complete: bool
) -> bool:
    """Hold or ignore a round of late images where the settings say so, and no person has spoken.

    Late is what comes after a result; a round without one, DECLINED or FAILED, hides nothing. While
    it is open whether the round before will have a result, whoever would ignore waits for that.
    """
    if receiving.late_views == "reprocess" or case.round == 1 or case.ruling is not None:
        return False
    former = [one for one in questions.cases_of(case.study_uid) if one.round < case.round]
    recalled = questions.recalls_among([one.id for one in former])
    states = {one.state for one in former if one.id not in recalled}
    if not states & (UNDERWAY | STANDS):
        return False
    if receiving.late_views == "hold":
        hold_late(ledger, case.id)
    elif is_complete and not states & UNDERWAY:
        ignore_late(ledger, case.id, case.last_image_at)
    return True
