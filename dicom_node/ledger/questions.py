"""What people and the other rooms may ask the ledger. Reads only."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, Engine, and_, func, or_, select
from sqlalchemy.orm import Session, joinedload

from dicom_node.ledger.tables import (
    Association,
    Case,
    Delivery,
    Event,
    Finding,
    Instance,
    Lesion,
    ModelRun,
    Product,
    Recall,
    Road,
    Verdict,
)
from dicom_node.life import Commit, Receipt, Ruling, State

CAD_SR = "cad_sr"  # a kind of objects
NOTICE_OF = {CAD_SR: "notice", "secondary_capture": "notice_picture"}  # what stands in its place
NOTICES = frozenset(NOTICE_OF.values())
REJECTION = "rejection"  # the note of a recall
NEVER_AGAIN = {*NOTICES, REJECTION}  # they tell when they were made: no record makes the same again


@dataclass(frozen=True, slots=True)
class Arriving:
    """A round that still takes images, as far as completeness is concerned."""

    case: Case
    views: frozenset[str]
    sender_is_connected: bool


@dataclass(frozen=True, slots=True)
class Debt:
    """One object owed to one destination."""

    delivery: Delivery
    product: Product


@dataclass(frozen=True, slots=True)
class Result:
    """What a study's reading came to, for whoever compares it with what is known later."""

    study_uid: str
    digest: str  # of the weights
    scale: str  # of all that the score rests on
    card_score: float | None


class Questions:
    """Answers from the ledger."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine.execution_options(reads_only=True)

    def _session(self) -> Session:
        return Session(self.engine, expire_on_commit=False)

    def case(self, case_id: int) -> Case | None:
        """Return one case."""
        with self._session() as session:
            return session.get(Case, case_id)

    def cases_of(self, study_uid: str) -> Sequence[Case]:
        """Return the rounds of a study, first to last."""
        with self._session() as session:
            return session.scalars(
                select(Case).where(Case.study_uid == study_uid).order_by(Case.round)
            ).all()

    def cases(self, states: Sequence[State] = (), limit: int = 20) -> Sequence[Case]:
        """Return the cases that moved last, newest first."""
        with self._session() as session:
            query = select(Case).order_by(Case.moved_at.desc(), Case.id.desc()).limit(limit)
            if states:
                query = query.where(Case.state.in_(states))
            return session.scalars(query).all()

    def count_by_state(self) -> dict[State, int]:
        """Count the cases in each state."""
        with self._session() as session:
            rows = session.execute(select(Case.state, func.count()).group_by(Case.state))
            return {state: count for state, count in rows}  # noqa: C416 - a Row is no tuple to mypy

    def held(self) -> Sequence[Case]:
        """List the rounds that are not read before somebody lets them go on, the oldest first."""
        with self._session() as session:
            is_held = (Case.state == State.RECEIVING, Case.ruling == Ruling.HELD)
            return session.scalars(select(Case).where(*is_held).order_by(Case.id)).all()

    def arriving(self) -> list[Arriving]:
        """List the rounds that still take images."""
        with self._session() as session:
            found = []
            for case in session.scalars(select(Case).where(Case.state == State.RECEIVING)):
                views = session.scalars(
                    select(Instance.view)
                    .where(Instance.study_uid == case.study_uid, Instance.view != "")
                    .where(Instance.case_id <= case.id, Instance.purged_at.is_(None))
                )
                open_now = session.scalar(
                    select(func.count())
                    .select_from(Instance)
                    .join(Association, Instance.association_id == Association.id)
                    .where(Instance.study_uid == case.study_uid, Association.closed_at.is_(None))
                )
                found.append(Arriving(case, frozenset(views), bool(open_now)))
            return found

    def images_of(self, case: Case) -> Sequence[Instance]:
        """Return all images that a round reads: its own and those of the rounds before it.

        What was purged before it could read them is not among them, what was purged since is.
        """
        seen = select(Verdict.instance_id).where(Verdict.case_id == case.id)
        there = or_(
            Instance.purged_at.is_(None), Instance.case_id == case.id, Instance.id.in_(seen)
        )
        with self._session() as session:
            return session.scalars(
                select(Instance)
                .where(Instance.study_uid == case.study_uid, Instance.case_id <= case.id, there)
                .order_by(Instance.id)
            ).all()

    def verdicts_of(self, case_id: int) -> dict[int, Verdict]:
        """Return what a round thought of each image, by the image's id."""
        with self._session() as session:
            rows = session.scalars(select(Verdict).where(Verdict.case_id == case_id))
            return {row.instance_id: row for row in rows}

    def left_out_of(self, case_ids: Sequence[int]) -> dict[int, list[str]]:
        """Return the codes of the images that each of these rounds left out."""
        with self._session() as session:
            rows = session.execute(
                select(Verdict.case_id, Verdict.code)
                .where(Verdict.case_id.in_(case_ids), Verdict.code != "")
                .order_by(Verdict.case_id, Verdict.code)
            ).all()
        codes: dict[int, list[str]] = {}
        for case_id, code in rows:
            codes.setdefault(case_id, []).append(code)
        return codes

    def run_of(self, case_id: int) -> ModelRun | None:
        """Return the reading of a case that is reported."""
        with self._session() as session:
            return session.scalars(
                select(ModelRun).where(ModelRun.case_id == case_id, ModelRun.place == 0)
            ).first()

    def results(self) -> Sequence[Result]:
        """Return every result that nobody took back, a study's newest one last."""
        with self._session() as session:
            rows = session.execute(
                select(Case.study_uid, ModelRun.digest, ModelRun.scale, ModelRun.card_score)
                .join(ModelRun, ModelRun.case_id == Case.id)
                .where(ModelRun.place == 0, Case.id.not_in(select(Recall.case_id)))
                .order_by(Case.round)
            )
            return [Result(*row) for row in rows]

    def files_of_studies(self) -> dict[str, list[str]]:
        """Name the files that are left of each study, the newest first: images, then objects."""
        images = select(Instance.study_uid, Instance.path, Instance.purged_at)
        objects = select(Case.study_uid, Product.path, Product.purged_at)
        made = objects.join(Product, Product.case_id == Case.id).order_by(Product.id.desc())
        files: dict[str, list[str]] = {}
        with self._session() as session:
            for query in (images.order_by(Instance.id.desc()), made):
                for study_uid, path, purged_at in session.execute(query):
                    left = files.setdefault(study_uid, [])
                    if purged_at is None:
                        left.append(path)
        return files

    def members_of(self, case_id: int) -> Sequence[ModelRun]:
        """Return the readings that agreed to the one that is reported; none where one read."""
        with self._session() as session:
            return session.scalars(
                select(ModelRun)
                .where(ModelRun.case_id == case_id, ModelRun.place > 0)
                .order_by(ModelRun.place)
            ).all()

    def readers_of(self, case_ids: Sequence[int]) -> dict[int, list[str]]:
        """Return which systems read each of these cases, with the versions of their bundles."""
        with self._session() as session:
            rows = session.scalars(
                select(ModelRun)
                .where(ModelRun.case_id.in_(case_ids))
                .order_by(ModelRun.case_id, ModelRun.place)
            ).all()
        readers: dict[int, list[ModelRun]] = {}
        for run in rows:
            readers.setdefault(run.case_id, []).append(run)
        return {
            case_id: [f"{run.system} {run.version}" for run in runs if run.place or len(runs) == 1]
            for case_id, runs in readers.items()
        }

    def findings_of(self, case_id: int) -> Sequence[Finding]:
        """Return the findings of the reading that is reported, in its order."""
        with self._session() as session:
            return session.scalars(
                select(Finding).where(Finding.case_id == case_id).order_by(Finding.id)
            ).all()

    def lesions_of(self, case_id: int) -> Sequence[Lesion]:
        """Return what the reports of a case called its findings, in their order."""
        with self._session() as session:
            return session.scalars(
                select(Lesion)
                .join(Finding, Lesion.finding_id == Finding.id)
                .where(Finding.case_id == case_id)
                .order_by(Finding.id)
            ).all()

    def lesions_before(self, case: Case) -> Sequence[Lesion]:
        """Return what earlier rounds of the study called their findings, first to last."""
        with self._session() as session:
            return session.scalars(
                select(Lesion)
                .join(Finding, Lesion.finding_id == Finding.id)
                .join(Case, Finding.case_id == Case.id)
                .where(Case.study_uid == case.study_uid, Case.round < case.round)
                .order_by(Case.round, Finding.id)
                .options(joinedload(Lesion.finding))
            ).all()

    def products_of(self, case_id: int) -> Sequence[Product]:
        """Return the objects that a case made."""
        with self._session() as session:
            return session.scalars(
                select(Product).where(Product.case_id == case_id).order_by(Product.id)
            ).all()

    def recall_of(self, case_id: int) -> Recall | None:
        """Return whether and why a case was taken back."""
        with self._session() as session:
            return session.scalars(select(Recall).where(Recall.case_id == case_id)).first()

    def recalls_among(self, case_ids: Sequence[int]) -> dict[int, Recall]:
        """Return which of these cases were taken back."""
        with self._session() as session:
            rows = session.scalars(select(Recall).where(Recall.case_id.in_(case_ids)))
            return {row.case_id: row for row in rows}

    def predecessors_of(self, case: Case, kind: str, profile: str = "") -> Sequence[Product]:
        """Return what earlier rounds made of this kind and nobody recalled, newest round first.

        Those of the same profile go before: they are what its destinations have. A notice that a
        study was not analyzed comes last; it may be of this very round, tried again.
        """
        notice = NOTICE_OF.get(kind, kind)
        is_former = and_(Case.round < case.round, Product.kind.in_({kind, notice}))
        if notice != kind:
            is_former = or_(is_former, and_(Case.id == case.id, Product.kind == notice))
        with self._session() as session:
            return session.scalars(
                select(Product)
                .join(Case, Product.case_id == Case.id)
                .where(Case.study_uid == case.study_uid, is_former)
                .where(Case.id.not_in(select(Recall.case_id)))
                .order_by(Product.kind != kind, (Product.profile == profile).desc())
                .order_by(Case.round.desc(), Product.id.desc())
            ).all()

    def debts_of(self, case_id: int) -> list[Debt]:
        """Return what a case has owed, and still owes, to whom."""
        with self._session() as session:
            rows = session.execute(
                select(Delivery, Product)
                .join(Product, Delivery.product_id == Product.id)
                .where(Delivery.case_id == case_id)
                .order_by(Delivery.id)
            )
            return [Debt(delivery, product) for delivery, product in rows]

    def owed_of(self, case_id: int) -> set[int]:
        """Return the ids of the deliveries that a case still owes."""
        debts = self.debts_of(case_id)
        return {one.delivery.id for one in debts if one.delivery.receipt == Receipt.OWED}

    def road(self, destination: str) -> Road | None:
        """Return whether a destination could be reached last time."""
        with self._session() as session:
            return session.get(Road, destination)

    def roads_down(self) -> Sequence[Road]:
        """Return the destinations that cannot be reached."""
        with self._session() as session:
            return session.scalars(select(Road).where(Road.failures > 0)).all()

    def owed_by_destination(self) -> dict[str, int]:
        """Count what is still owed to each destination."""
        with self._session() as session:
            rows = session.execute(
                select(Delivery.destination, func.count())
                .where(Delivery.receipt == Receipt.OWED)
                .group_by(Delivery.destination)
            )
            return {name: count for name, count in rows}  # noqa: C416 - a Row is no tuple to mypy

    def owed_places(self) -> list[tuple[str, str]]:
        """List the destinations that are owed something, each with its target, where it has one."""
        with self._session() as session:
            rows = session.execute(
                select(Delivery.destination, Delivery.target)
                .where(Delivery.receipt == Receipt.OWED)
                .distinct()
            )
            return [(name, target) for name, target in rows]

    def parked_by_destination(self) -> dict[str, tuple[int, str]]:
        """Count what each destination will not take, and say why of the newest."""
        return self._parked(Delivery.receipt == Receipt.REFUSED)

    def lost_by_destination(self) -> dict[str, tuple[int, str]]:
        """Count what each destination cannot be sent, since its file is lost; say which newest."""
        return self._parked(Delivery.receipt == Receipt.LOST)

    def not_committed_by_destination(self) -> dict[str, tuple[int, str]]:
        """Count what each destination took and does not promise to keep, and why the newest."""
        return self._parked(Delivery.commitment == Commit.REFUSED)

    def _parked(self, where: ColumnElement[bool]) -> dict[str, tuple[int, str]]:
        with self._session() as session:
            newest = (
                select(Delivery.destination, func.count(), func.max(Delivery.id))
                .where(where)
                .group_by(Delivery.destination)
            )
            return {
                name: (count, session.get_one(Delivery, last).last_error)
                for name, count, last in session.execute(newest).all()
            }

    def events(
        self,
        *,
        study_uid: str | None = None,
        case_id: int | None = None,
        after_id: int = 0,
        limit: int | None = None,
    ) -> Sequence[Event]:
        """Return lines of the audit trail in the order in which they were written."""
        query = select(Event).where(Event.id > after_id).order_by(Event.id)
        if study_uid is not None:
            query = query.where(Event.study_uid == study_uid)
        if case_id is not None:
            query = query.where(Event.case_id == case_id)
        if limit is not None:
            query = query.limit(limit)
        with self._session() as session:
            return session.scalars(query).all()

    def last_events(self, limit: int) -> Sequence[Event]:
        """Return the newest lines of the audit trail, oldest of them first."""
        with self._session() as session:
            rows = session.scalars(select(Event).order_by(Event.id.desc()).limit(limit)).all()
            return rows[::-1]

    def last_refusals(self, limit: int) -> Sequence[Event]:
        """Return who and what was turned away last, newest first."""
        with self._session() as session:
            return session.scalars(
                select(Event)
                .where(Event.what.in_(("association refused", "image refused")))
                .order_by(Event.id.desc())
                .limit(limit)
            ).all()

    def trail_broken(self) -> Event | None:
        """Return when somebody who signs found the audit trail changed last, and why."""
        with self._session() as session:
            query = select(Event).where(Event.what == "trail broken")
            return session.scalars(query.order_by(Event.id.desc()).limit(1)).first()

    def last_image_at(self) -> datetime | None:
        """Tell when the last image came in."""
        with self._session() as session:
            return session.scalar(select(func.max(Instance.received_at)))
