"""Which studies are complete.

C-STORE has no word for "that was all". A study is complete when its views are in and the sender
has gone, else when nothing came for a while, else when the cap is reached.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

from dicom_node.errors import NotYourTurn
from dicom_node.ledger.ledger import Ledger, now
from dicom_node.ledger.questions import Arriving, Questions
from dicom_node.life import Ruling, State
from dicom_node.settings.receiving import Receiving


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
        if why is None:
            continue
        try:
            ledger.move(
                arriving.case.id,
                State.RECEIVING,
                State.RECEIVED,
                why,
                last_image_at=arriving.case.last_image_at,
            )
        except NotYourTurn:  # an image or a person came in between, or another sweep
            continue
        settled.append(arriving.case.id)
    return settled
