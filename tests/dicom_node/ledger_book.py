"""A ledger without a node around it, and cases brought to any state of their life."""

import uuid
from collections.abc import Callable
from itertools import count

from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from dicom_node.ledger.arrivals import Arrival, Coming, Going, keep_row, write_visits
from dicom_node.ledger.ledger import Ledger, Turn, now
from dicom_node.ledger.questions import Questions
from dicom_node.ledger.tables import Base, Case, Delivery, Event, ModelRun, Product
from dicom_node.life import DELIVER, VERBS, Receipt, State, Verb

STUDY = "2.25.100"
_NUMBERS = count(1)


class Book:
    """A ledger, and what a test may want to do with it."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.ledger = Ledger(engine, "test:1")
        self.questions = Questions(engine)

    def other(self, actor: str, lease_seconds: float = 20.0) -> Ledger:
        """Return the ledger as another process has it."""
        return Ledger(self.engine, actor, lease_seconds)

    def lose(self, case_id: int, ledger: Ledger | None = None) -> None:
        """Let a sweep have seen a case's lease stand still for long, as if its holder was gone."""
        lose(ledger or self.ledger, case_id)

    def arrive(self, study_uid: str = STUDY, view: str = "LCC", sop_uid: str = "") -> int:
        """Write an image down, and return its case."""
        number = next(_NUMBERS)
        arrival = Arrival(
            association_id=None,
            caller="TESTER",
            address="127.0.0.1",
            study_uid=study_uid,
            series_uid=f"{study_uid}.{number}",
            sop_uid=sop_uid or f"{study_uid}.{number}.1",
            sop_class_uid="1.2.840.10008.5.1.4.1.1.1.2",
            transfer_syntax_uid="1.2.840.10008.1.2.1",
            view=view,
            size_bytes=1,
            digest="0" * 64,
        )
        with self.ledger.writing() as session:
            return keep_row(self.ledger, session, arrival, f"images/{number}.dcm").id

    def case_at(self, state: State, study_uid: str = STUDY) -> int:
        """Bring a new case to a state, the way it gets there in life."""
        if state is State.TELLING:
            case_id = self.case_at(State.FAILED, study_uid)
            with self.ledger.writing() as session:
                session.get_one(Case, case_id).telling = State.FAILED
            with self.ledger.writing() as session:
                self.ledger.begin(session, case_id, State.FAILED, State.TELLING)
            return case_id
        case_id = self.arrive(study_uid)
        if state == State.RECEIVING:
            return case_id
        self.ledger.move(case_id, State.RECEIVING, State.RECEIVED)
        if state in {State.FAILED, State.DECLINED}:
            self.ledger.move(case_id, State.RECEIVED, State.ANALYZING, lease="x")
            self.ledger.move(case_id, State.ANALYZING, state, "test", lease="x")
            return case_id
        for verb in VERBS:
            if state == verb.before:
                break
            if state == verb.during:
                self.ledger._begin(case_id, verb)
                break
            with self.ledger.turn(case_id, verb):
                pass
        assert self.state(case_id) == state or (state, verb) == (State.DELIVERED, DELIVER)
        return case_id

    def state(self, case_id: int) -> State:
        case = self.questions.case(case_id)
        assert case is not None
        return case.state

    def moves(self, case_id: int) -> list[tuple[str, str]]:
        """Tell a case's moves as the audit trail has them."""
        return [
            (event.from_state, event.to_state)
            for event in self.questions.events(case_id=case_id)
            if event.from_state is not None and event.to_state is not None
        ]

    def last_event(self, case_id: int) -> Event:
        return self.questions.events(case_id=case_id)[-1]

    def count(self, table: type[Base]) -> int:
        with Session(self.engine) as session:
            return len(session.scalars(select(table)).all())


def visit(ledger: Ledger, listener: str, row: int | None = None, how: str = "") -> int:
    """Write down that a sender was let in; or, of a row, how it went."""
    coming = Coming(listener, "MG1", "FOURVIEWS", "10.0.0.9")
    (number,) = write_visits(ledger, [(coming, row, Going(how) if how else None)])
    return number


def lose(ledger: Ledger, case_id: int) -> None:
    """Let this ledger's sweep have seen the lease of a case stand still for a year."""
    ledger.watch()
    ledger.leases.seen[case_id].seconds = 3e7


def reading(case_id: int) -> ModelRun:
    return ModelRun(
        case_id=case_id,
        system="shared_trunk",
        bundle="b",
        version="1",
        digest="d",
        operating_point="o",
        code_version="1",
        settings_digest="s",
        device="cpu",
        seconds=1.0,
        cancer_score=0.5,
        findings_count=0,
        findings_path="p",
        findings_sha256="h",
        made_at=now(),
    )


def owing(case_id: int, *destinations: str, kind: str = "cad_sr") -> list[Base]:
    """Make an object of a case, and what is owed of it."""
    product = Product(
        case_id=case_id,
        kind=kind,
        transfer_syntax_uid="1.2",
        sop_class_uid="1.2",
        sop_uid=f"2.25.{uuid.uuid4().int}",
        series_uid="1.2",
        size_bytes=1,
        sha256="0" * 64,
        path=f"cases/{next(_NUMBERS)}",
        made_at=now(),
    )
    owed = [
        Delivery(
            product=product,
            case_id=case_id,
            destination=destination,
            receipt=Receipt.OWED,
            due_at=now(),
            owed_since=now(),
        )
        for destination in destinations
    ]
    return [product, *owed]


def take_turn(ledger: Ledger, case_id: int, verb: Verb, work: Callable[[Turn], object]) -> None:
    with ledger.turn(case_id, verb) as turn:
        work(turn)
