"""The only writer of the ledger.

Every change and its line in the audit trail are one transaction. States change by
compare-and-swap: who loses gets NotYourTurn and walks away.
"""

import errno
import threading
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Engine, func, or_, select, update
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from dicom_node.errors import Busy, Declined, NotYourTurn, is_ours, told
from dicom_node.ledger.chain import Writing, link_all, pending
from dicom_node.ledger.clock import by_the_clock, steady
from dicom_node.ledger.leases import Watch, rung
from dicom_node.ledger.patience import AWAY, persist, within
from dicom_node.ledger.tables import Base, Case, Delivery, Event, Named
from dicom_node.ledger.unnumbered import unnumbered
from dicom_node.life import (
    DELIVER,
    HELD,
    PARKED,
    REPORT,
    VERBS,
    WAITING,
    Receipt,
    Ruling,
    State,
    Verb,
    may_move,
)

LEASE_SECONDS = 20.0
RING_AGAIN = timedelta(seconds=30)
FULL_AGAIN = timedelta(seconds=10)  # a disk or a database is back soon, or not
FAULT_AGAIN = timedelta(seconds=2)
NOTE_SECONDS = 3.0  # somebody may wait for the answer that a line tells of
STRIKES = 3  # a case that lost its worker so often is FAILED, not tried for ever


_FULL = {errno.ENOSPC, errno.EDQUOT}


def passes(fault: Exception) -> bool:
    """Say whether time mends a fault: a disk without room, a database that is away."""
    if isinstance(fault, OSError):
        return fault.errno in _FULL
    return isinstance(fault, AWAY)


def now() -> datetime:
    """Tell the steady time, in which the ledger waits; see `clock`."""
    return steady()


def work_on(case: Case) -> Verb:
    """Say what is to be done next on a case that waits; of an end, to write of it or to send that.

    Whoever reports and delivers results does the same for notices.
    """
    if case.state in WAITING:
        return WAITING[case.state]
    return DELIVER if case.notice_written else REPORT


@dataclass(slots=True)
class Turn:
    """One process's hold on one case, and the rows it leaves if it ends well."""

    case_id: int
    study_uid: str
    round: int
    lease: str
    attempt: int = 1
    rows: list[Base] = field(default_factory=list)
    remark: str = ""
    details: dict[str, Any] = field(default_factory=dict)

    def leave(self, *rows: Base) -> None:
        """Keep rows for the ledger: they are written with the move that ends the turn."""
        self.rows.extend(rows)


class Ledger:
    """What happened, and what is."""

    def __init__(
        self,
        engine: Engine,
        actor: str,
        lease_seconds: float = LEASE_SECONDS,
        tells: frozenset[State] = frozenset(),
    ) -> None:
        self.engine = engine
        self.actor = actor
        self.lease_seconds = lease_seconds
        self.leases = Watch(lease_seconds)
        self.tells = tells  # ends of a case that the radiologist is told of

    @contextmanager
    def writing(self) -> Iterator[Session]:
        """Open one transaction; it commits when the block ends well."""
        with Writing(self.engine, expire_on_commit=False) as session, session.begin():
            yield session
            link_all(session)

    # --- the life of a case -----------------------------------------------------------------

    def move(
        self,
        case_id: int,
        start: State,
        end: State,
        reason: str = "",
        *,
        lease: str | None = None,
        last_image_at: datetime | None = None,
    ) -> None:
        """Move a case that is at rest, and write it down; not if an image came in since."""
        with self.writing() as session:
            if last_image_at is not None:
                seen = select(Case).where(Case.id == case_id).with_for_update()
                case = session.scalars(seen).one()
                if case.last_image_at != last_image_at:
                    raise NotYourTurn(f"case {case_id} has got another image")
            self.moving(session, case_id, start, end, reason, lease=lease)

    def moving(  # noqa: PLR0913 - the one place where a state changes
        self,
        session: Session,
        case_id: int,
        start: State,
        end: State,
        reason: str = "",
        *,
        lease: str | None = None,
        due_at: datetime | None = None,
        details: dict[str, Any] | None = None,
        forgive: bool = False,
    ) -> None:
        """Move a case within an open transaction."""
        if not may_move(start, end):
            raise NotYourTurn(f"a case does not go from {start} to {end}")
        at = now()
        change = update(Case).where(Case.id == case_id, Case.state == start)
        change = change.values(
            state=end, reason=reason, moved_at=at, due_at=due_at or at, rung_at=None
        )
        if start is State.RECEIVING:  # a round that somebody holds goes nowhere
            change = change.where(Case.ruling.is_distinct_from(Ruling.HELD))
        if start in HELD:  # only the holder ends a turn
            change = change.where(Case.lease == lease)
            change = change.values(lease=None, lease_until=None, holder=None)
        if end in HELD:  # the attempt is counted before the work starts
            change = change.where(Case.due_at <= at)
            change = change.values(lease=lease, lease_until=self._until(at), holder=self.actor)
            change = change.values(attempts=Case.attempts + 1)
        elif forgive:
            change = change.values(attempts=0)
        if end is State.TELLING:
            change = change.where(Case.telling == start)
        elif start is not State.TELLING:  # who failed while delivering has told it all
            is_told = end in self.tells and start is not State.DELIVERING
            change = change.values(telling=end if is_told else None, notice_written=False)
            if is_told:  # the strikes that brought it here are none against who tells of it
                change = change.values(attempts=0)
        if session.connection().execute(change).rowcount != 1:
            raise NotYourTurn(f"case {case_id} is not {start} and due in this process's hands")
        case = session.get_one(Case, case_id, populate_existing=True)
        self.note(session, "moved", reason, case=case, start=start, end=end, details=details)

    @contextmanager
    def turn(self, case_id: int, verb: Verb) -> Iterator[Turn]:
        """Hold a case while the block works on it, and record how the block ended."""
        turn = self._begin(case_id, verb)
        stop = self.keep_lease(turn)
        try:
            yield turn
        except Busy as trouble:
            self._end(turn, verb.during, verb.before, str(trouble), due_at=trouble.due_at)
            raise
        except Declined as answer:
            self._end(turn, verb.during, State.DECLINED, str(answer), rows=turn.rows)
        except Exception as fault:
            self._end_badly(turn, verb, fault)
            raise
        else:
            self._end(turn, verb.during, verb.after, turn.remark, rows=turn.rows)
        finally:
            stop.set()

    def _begin(self, case_id: int, verb: Verb) -> Turn:
        with self.writing() as session:
            return self.begin(session, case_id, verb.before, verb.during)

    def begin(
        self, session: Session, case_id: int, start: State, during: State, reason: str = ""
    ) -> Turn:
        """Take a case under a lease of its own, within an open transaction."""
        lease = uuid.uuid4().hex
        self.moving(session, case_id, start, during, reason, lease=lease)
        case = session.get_one(Case, case_id)
        return Turn(case_id, case.study_uid, case.round, lease, case.attempts)

    def _end_badly(self, turn: Turn, verb: Verb, fault: Exception) -> None:
        """Try again what time mends, and three times what nobody foresaw; else FAILED.

        An error of our own says what is wrong with a case, and would say so again. Any other may
        be of the moment: a disk that stumbled, no memory just then.
        """
        if passes(fault):
            self._end(turn, verb.during, verb.before, told(fault), due_at=now() + FULL_AGAIN)
            raise Busy(told(fault)) from fault
        if not is_ours(fault) and turn.attempt < STRIKES:
            sentence = f"{told(fault)} (attempt {turn.attempt} of {STRIKES})"
            due_at = now() + FAULT_AGAIN
            self._end(turn, verb.during, verb.before, sentence, due_at=due_at, forgive=False)
            raise Busy(sentence, due_at) from fault
        self._end(turn, verb.during, State.FAILED, told(fault))

    def _end(  # noqa: PLR0913 - how a turn can end
        self,
        turn: Turn,
        start: State,
        end: State,
        reason: str,
        *,
        rows: Sequence[Base] = (),
        due_at: datetime | None = None,
        forgive: bool = True,
    ) -> None:
        def end_it() -> None:
            with self.writing() as session:
                self.moving(
                    session,
                    turn.case_id,
                    start,
                    end,
                    reason,
                    lease=turn.lease,
                    due_at=due_at,
                    details=turn.details,
                    forgive=forgive,
                )
                session.add_all(unnumbered(rows))

        persist(end_it)

    def _until(self, at: datetime) -> datetime:
        return at + timedelta(seconds=self.lease_seconds)

    def keep_lease(self, turn: Turn) -> threading.Event:
        """Begin to renew a turn's lease; the event that is returned ends that."""
        stop = threading.Event()
        name = f"lease-{turn.case_id}"
        beat = threading.Thread(target=self._beat, args=(turn, stop), name=name, daemon=True)
        beat.start()
        return stop

    def _beat(self, turn: Turn, stop: threading.Event) -> None:
        """Renew the lease while its holder lives; a killed process stops renewing by itself."""
        while not stop.wait(self.lease_seconds / 4):
            try:
                with self.writing() as session:
                    session.execute(
                        update(Case)
                        .where(Case.id == turn.case_id, Case.lease == turn.lease)
                        .values(lease_until=self._until(now()))
                    )
            except SQLAlchemyError:  # the next beat tries again; a lease that runs out harms nobody
                continue

    def sweep(self) -> list[tuple[int, Verb]]:
        """Take back what lost its worker, and list what should be rung."""
        for case in self.watch():
            with suppress(NotYourTurn):  # another sweep was first, or the holder ended in time
                self._take_back(case)
        return self._to_ring()

    def watch(self) -> list[Case]:
        """Look at all leases, as often as can be, and list the cases whose holder is lost."""
        with Session(self.engine.execution_options(reads_only=True)) as session:
            return self.leases.lost(session.scalars(select(Case).where(Case.state.in_(HELD))).all())

    def _to_ring(self) -> list[tuple[int, Verb]]:
        """List what is due; each is rung for in this state once a while."""
        with self.writing() as session:
            due = rung(session, now(), RING_AGAIN)
            return [(case.id, work_on(case)) for case in due]

    def not_rung(self, case_ids: Sequence[int]) -> None:
        """Take back that these cases were rung for: nobody heard it."""
        with self.writing() as session:
            session.execute(update(Case).where(Case.id.in_(case_ids)).values(rung_at=None))

    def _take_back(self, case: Case) -> None:
        sentence = f"lost {case.holder} while {case.state} (attempt {case.attempts} of {STRIKES})"
        with self.writing() as session:
            if case.telling is not None and case.state is State.TELLING:
                self._stop_telling(session, case, case.telling, sentence)
                return
            verb = next(verb for verb in VERBS if verb.during == case.state)
            end = verb.before if case.attempts < STRIKES else State.FAILED
            self.moving(session, case.id, verb.during, end, sentence, lease=case.lease)

    def _stop_telling(self, session: Session, lost: Case, end: State, sentence: str) -> None:
        self.moving(session, lost.id, State.TELLING, end, lost.reason, lease=lost.lease)
        case = session.get_one(Case, lost.id)
        self.note(session, "telling", sentence, case=case)
        if lost.attempts >= STRIKES:
            case.telling = None

    def retry(self, case_id: int) -> State:
        """Send a FAILED case back to where it failed, with its strikes and refusals forgiven.

        A later round read its images too; a report made now would seem to be the newer one. A
        later round that was DECLINED read nothing.
        """
        with self.writing() as session:
            last = session.scalars(
                select(Event)
                .where(Event.case_id == case_id, Event.to_state == State.FAILED)
                .where(Event.from_state != State.TELLING)
                .order_by(Event.id.desc())
            ).first()
            if last is None:
                raise NotYourTurn(f"case {case_id} has not failed: there is nothing to retry")
            verb = next((verb for verb in VERBS if verb.during == last.from_state), VERBS[0])
            case = session.get_one(Case, case_id)
            newest = session.scalars(
                select(func.max(Case.round)).where(
                    Case.study_uid == case.study_uid,
                    or_(Case.id == case_id, Case.state != State.DECLINED),
                )
            ).one()
            if verb is not DELIVER and newest > case.round:
                raise NotYourTurn(f"case {case_id} gave way to round {newest}: retry that one")
            self.moving(session, case_id, State.FAILED, verb.before, "retried by hand")
            session.execute(update(Case).where(Case.id == case_id).values(attempts=0))
            self.owe_again(session, case)
            return verb.before

    def owe_again(self, session: Session, case: Case) -> None:
        """Owe once more what was refused or lost: somebody says that the cause is mended."""
        parked = (Delivery.case_id == case.id, Delivery.receipt.in_(PARKED))
        owed = {"receipt": Receipt.OWED, "due_at": now(), "owed_since": now()}
        change = update(Delivery).where(*parked).values(**owed)
        if session.connection().execute(change).rowcount:
            sentence = "what was refused or lost is owed once more"
            self.note(session, "owed again", sentence, case=case)

    # --- the audit trail --------------------------------------------------------------------

    def record(self, what: str, sentence: str, **details: Any) -> None:  # noqa: ANN401 - JSON
        """Write one line of the audit trail that changes nothing else."""
        with within(NOTE_SECONDS), self.writing() as session:
            self.note(session, what, sentence, details=details)

    def note(  # noqa: PLR0913 - the columns of an event
        self,
        session: Session,
        what: str,
        sentence: str = "",
        *,
        case: Named | None = None,
        study_uid: str | None = None,
        start: State | None = None,
        end: State | None = None,
        details: dict[str, Any] | None = None,
    ) -> None:
        """Write one line of the audit trail within an open transaction."""
        pending(
            session,
            Event(
                at=by_the_clock(),
                actor=self.actor,
                what=what,
                study_uid=case.study_uid if case else study_uid,
                case_id=case.id if case else None,
                from_state=start,
                to_state=end,
                sentence=sentence,
                details=details or {},
            ),
        )
