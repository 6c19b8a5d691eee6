"""What a person may say of a round that is not read yet: read it now, hold it, discard it.

Each is one transaction with its line of the trail, which says who it was. A round that is held
stays RECEIVING and still takes images; only `moving` would lead it on, and lets it not.
"""

from collections.abc import Collection
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from dicom_node.errors import NotYourTurn
from dicom_node.ledger.ledger import Ledger
from dicom_node.ledger.recalls import opened_by_hand
from dicom_node.ledger.removals import missing_in
from dicom_node.ledger.tables import Case
from dicom_node.life import AT_THE_END, Ruling, State

NOT_READ = (Ruling.DISCARDED, Ruling.IGNORED)
NOT_READ_YET = (State.RECEIVING, State.RECEIVED)
HELD_LATE = "held: a late image came, and receiving.late_views holds those"
IGNORED_LATE = "a late image, which receiving.late_views ignores: the former result stands"


def settle_now(ledger: Ledger, case_id: int, by: str) -> int:
    """Wait for no more images, and return the case that is read: of a discarded study, a new one.

    An image that comes after all joins the round while nobody has taken it, as any late one does.
    """
    with ledger.writing() as session:
        case = _locked(session, case_id)
        if case.ruling in NOT_READ:
            return _taken_back(ledger, session, case, by).id
        if case.state is State.RECEIVED:
            raise NotYourTurn(f"case {case_id} is RECEIVED already: it waits for a worker alone")
        _can_be_steered(case, (State.RECEIVING,))
        case.ruling = Ruling.RELEASED
        session.flush()
        why = f"settled by {by}: more images are not waited for"
        ledger.moving(session, case_id, State.RECEIVING, State.RECEIVED, why)
        return case_id


def hold(ledger: Ledger, case_id: int, by: str) -> None:
    """Keep a round from being read, whatever comes, until somebody lets it go on."""
    with ledger.writing() as session:
        case = _locked(session, case_id)
        _can_be_steered(case, NOT_READ_YET)
        if case.ruling is Ruling.HELD:
            raise NotYourTurn(f"case {case_id} is held already; {case.reason}")
        sentence = f"held by {by}"
        if case.state is State.RECEIVED:  # nobody has taken it, and nobody can meanwhile
            ledger.moving(session, case_id, State.RECEIVED, State.RECEIVING, sentence)
        case.ruling, case.reason = Ruling.HELD, sentence
        ledger.note(session, "held", sentence, case=case)


def release(ledger: Ledger, case_id: int, by: str) -> None:
    """Let a round that was held be complete when any other would be."""
    with ledger.writing() as session:
        case = _locked(session, case_id)
        if case.ruling is not Ruling.HELD:
            raise NotYourTurn(f"case {case_id} is {case.state}, and nobody holds it")
        case.ruling, case.reason = Ruling.RELEASED, ""
        ledger.note(session, "released", f"released by {by}", case=case)


def discard(ledger: Ledger, case_id: int, by: str) -> None:
    """End a round that was sent by mistake: nothing is read, and nobody is told of it.

    Its images are kept as those of any study that is done with. More of them may be on their way:
    a round that they open is held.
    """
    with ledger.writing() as session:
        case = _locked(session, case_id)
        _can_be_steered(case, NOT_READ_YET)
        sentence = f"discarded by {by}"
        if case.state is State.RECEIVED:
            ledger.moving(session, case_id, State.RECEIVED, State.RECEIVING, sentence)
        case.ruling = None
        session.flush()
        ledger.moving(session, case_id, State.RECEIVING, State.DECLINED, sentence)
        case.ruling, case.telling = Ruling.DISCARDED, None


def hold_late(ledger: Ledger, case_id: int) -> None:
    """Hold a round of late images on behalf of the settings, unless a person has said something."""
    with ledger.writing() as session:
        case = _locked(session, case_id)
        if (case.state, case.ruling) != (State.RECEIVING, None):
            raise NotYourTurn(f"somebody else has spoken of case {case_id}")
        case.ruling, case.reason = Ruling.HELD, HELD_LATE
        ledger.note(session, "held", HELD_LATE, case=case)


def ignore_late(ledger: Ledger, case_id: int, last_image_at: datetime) -> None:
    """End a round of late images unread, on behalf of the settings; not if one came in since."""
    with ledger.writing() as session:
        case = _locked(session, case_id)
        if (case.state, case.ruling, case.last_image_at) != (State.RECEIVING, None, last_image_at):
            raise NotYourTurn(f"case {case_id} has changed")
        ledger.moving(session, case_id, State.RECEIVING, State.DECLINED, IGNORED_LATE)
        case.ruling, case.telling = Ruling.IGNORED, None


def _taken_back(ledger: Ledger, session: Session, unread: Case, by: str) -> Case:
    """Open the round after one that was not to be read, on the images that are here."""
    rounds = select(Case).where(Case.study_uid == unread.study_uid, Case.round > unread.round)
    if later := session.scalars(rounds.order_by(Case.round.desc())).first():
        raise NotYourTurn(
            f"case {unread.id} has ended, and case {later.id} is the study's newest: "
            f"settle that one"
        )
    if gone := missing_in(session, unread.study_uid, unread.id):
        raise NotYourTurn(f"case {unread.id} cannot be read: {gone}")
    why = f"read after all, by {by}: case {unread.id} was not"
    return opened_by_hand(ledger, session, unread, why)


def _locked(session: Session, case_id: int) -> Case:
    return session.scalars(select(Case).where(Case.id == case_id).with_for_update()).one()


def _can_be_steered(case: Case, states: Collection[State]) -> None:
    if case.state in states:
        return
    how = "has ended" if case.state in {*AT_THE_END, State.TELLING} else "is being worked on"
    raise NotYourTurn(
        f"case {case.id} is {case.state}: it {how}, and only a study that is not read yet can be "
        f"settled, held or discarded"
    )
