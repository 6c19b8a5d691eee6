"""What came in, and what became of it: sums over the whole ledger, and what contradicts them.

All is asked in one transaction that sees one moment, so the sums are right while the node works.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Engine, Label, Select, and_, case, func, or_, select
from sqlalchemy.orm import Session

from dicom_node.ledger.tables import Case, Delivery, Event, Instance, ModelRun, Product
from dicom_node.life import HELD, TOLD, Receipt, State

DELIVERED, FAILED, DECLINED, PENDING = "delivered", "failed", "declined", "pending"
ENDS = {State.DELIVERED: DELIVERED, State.FAILED: FAILED, State.DECLINED: DECLINED}
KEPT = (*ENDS.values(), PENDING)
AT_ONCE = 1000  # rows that are held in memory
NEWEST = 5000  # images, some thousand studies: enough to tell a rate
NAMED = 5  # so many cases are named in a sentence; the others are counted


@dataclass(frozen=True, slots=True)
class Account:
    """What came in of one kind, and where it all is: `total` was counted on its own."""

    name: str
    total_is: str
    total: int
    parts: dict[str, int]

    @property
    def balanced(self) -> bool:
        """Say whether nothing is missing and nothing is there twice."""
        return self.total == sum(self.parts.values())


@dataclass(frozen=True, slots=True)
class Kept:
    """One file that the ledger describes."""

    what: str
    case_id: int
    path: str
    digest: str
    size_bytes: int | None  # None: the ledger does not say
    is_image: bool = False  # its digest is that of its data set


@dataclass(frozen=True, slots=True)
class Books:
    """What the ledger says of itself at one moment."""

    accounts: tuple[Account, ...]
    contradictions: tuple[str, ...]
    files: tuple[Kept, ...]
    purged: int  # images that are kept no more


def books(engine: Engine) -> Books:
    """Close the books: sums, contradictions, and the files that have to be there."""
    with _one_moment(engine) as session:
        return Books(
            (_images(session), _cases(session), _deliveries(session)),
            tuple(_contradictions(session)),
            tuple(_files(session)),
            _purged(session),
        )


@contextmanager
def _one_moment(engine: Engine) -> Iterator[Session]:
    """Open a transaction in which nothing changes that others write meanwhile."""
    options: dict[str, Any] = {"reads_only": True}
    if engine.dialect.name != "sqlite":  # which reads like this anyway
        options["isolation_level"] = "REPEATABLE READ"
    with Session(engine.execution_options(**options)) as session:
        yield session


def _where() -> Label[str]:
    """Say where a case is: at one of its ends, also while that is being told of, or under way."""
    ends = [(Case.state == state, word) for state, word in ENDS.items()]
    told = [
        (and_(Case.state == State.TELLING, Case.telling == state), ENDS[state])
        for state in sorted(TOLD)
    ]
    return case(*ends, *told, else_=PENDING).label("place")


def _counted(session: Session, query: Select[Any, int]) -> dict[str, int]:
    return {str(word): count for word, count in session.execute(query).all()}


def _images(session: Session) -> Account:
    parts = _counted(
        session,
        select(_where(), func.count())
        .select_from(Instance)
        .join(Case, Instance.case_id == Case.id)
        .group_by("place"),
    )
    total = session.scalar(select(func.count()).select_from(Instance)) or 0
    return Account("images", "received", total, {word: parts.get(word, 0) for word in KEPT})


def _cases(session: Session) -> Account:
    parts = _counted(session, select(_where(), func.count()).group_by("place"))
    total = session.scalar(select(func.count()).select_from(Case)) or 0
    return Account("cases", "opened", total, {word: parts.get(word, 0) for word in KEPT})


def _deliveries(session: Session) -> Account:
    parts = _counted(
        session,
        select(Delivery.receipt, func.count())
        .join(Product, Delivery.product_id == Product.id)
        .join(Case, Delivery.case_id == Case.id)
        .group_by(Delivery.receipt),
    )
    total = session.scalar(select(func.count()).select_from(Delivery)) or 0
    told = {receipt.lower(): parts.get(receipt, 0) for receipt in Receipt}
    return Account("deliveries", "ever owed", total, told)


def _contradictions(session: Session) -> Iterator[str]:
    """Say what the rows tell of each other that cannot be."""
    holds = or_(Case.lease.is_not(None), Case.lease_until.is_not(None), Case.holder.is_not(None))
    lacks = or_(Case.lease.is_(None), Case.lease_until.is_(None), Case.holder.is_(None))
    owes = select(Delivery.case_id).where(Delivery.receipt == Receipt.OWED)
    elsewhere = select(Instance.case_id).where(
        Instance.case_id == Case.id, Instance.study_uid != Case.study_uid
    )
    impossible = {
        "is held by nobody": and_(Case.state.in_(HELD), lacks),
        "is at rest and held all the same": and_(Case.state.not_in(HELD), holds),
        "is DELIVERED and owes objects still": and_(
            Case.state == State.DELIVERED, Case.id.in_(owes)
        ),
        "holds images of another study": elsewhere.exists(),
    }
    for what, is_so in impossible.items():
        yield from _named(session, select(Case.id).where(is_so), what)
    yield from _against_the_trail(session)


def _against_the_trail(session: Session) -> Iterator[str]:
    """Compare rows with the audit trail: of each case whose first line is still kept."""
    told = select(Event.case_id).where(Event.what == "round opened")
    last = (
        select(func.max(Event.id).label("id"))
        .where(Event.case_id.is_not(None), Event.to_state.is_not(None))
        .group_by(Event.case_id)
        .subquery()
    )
    trail = select(Event.case_id, Event.to_state).join(last, Event.id == last.c.id).subquery()
    moved = (
        select(Case.id)
        .outerjoin(trail, trail.c.case_id == Case.id)
        .where(Case.id.in_(told))
        .where(or_(trail.c.to_state.is_(None), trail.c.to_state != Case.state))
    )
    yield from _named(session, moved, "is not where the audit trail last saw it")
    for what, rows in {
        "image received": select(Instance.case_id.label("id"), func.count().label("n")).group_by(
            Instance.case_id
        ),
        "delivered": select(Delivery.case_id.label("id"), func.count().label("n"))
        .where(Delivery.receipt == Receipt.DELIVERED)
        .group_by(Delivery.case_id),
    }.items():
        there = rows.subquery()
        lines = (
            select(Event.case_id.label("id"), func.count().label("n"))
            .where(Event.what == what, Event.case_id.is_not(None))
            .group_by(Event.case_id)
            .subquery()
        )
        differ = (
            select(Case.id)
            .outerjoin(there, there.c.id == Case.id)
            .outerjoin(lines, lines.c.id == Case.id)
            .where(Case.id.in_(told))
            .where(func.coalesce(there.c.n, 0) != func.coalesce(lines.c.n, 0))
        )
        sentence = f"has other numbers of rows and of lines `{what}` in the audit trail"
        yield from _named(session, differ, sentence)


def _named(session: Session, query: Select[int], what: str) -> Iterator[str]:
    found = session.scalars(query.order_by(Case.id)).all()
    if found:
        more = f" (and {len(found) - NAMED} more)" if len(found) > NAMED else ""
        yield f"case {', '.join(map(str, found[:NAMED]))}{more} {what}"


def _purged(session: Session) -> int:
    purged = select(func.count()).select_from(Instance).where(Instance.purged_at.is_not(None))
    return session.scalar(purged) or 0


def images_purged(engine: Engine) -> int:
    """Count the images that are kept no more."""
    with Session(engine.execution_options(reads_only=True)) as session:
        return _purged(session)


def received_lately(engine: Engine, since: datetime) -> tuple[int, datetime | None]:
    """Say how many bytes of images came since then, and since when; of no more than the newest."""
    newest = select(Instance.size_bytes, Instance.received_at).order_by(Instance.id.desc())
    with Session(engine.execution_options(reads_only=True)) as session:
        rows = session.execute(newest.limit(NEWEST)).all()
    lately = [(size, at) for size, at in rows if at >= since]
    return sum(size for size, _ in lately), min((at for _, at in lately), default=None)


def images_kept(engine: Engine) -> Iterator[tuple[Kept, bool]]:
    """List the images that are kept, each with whether its study is done: nobody reads it now."""
    going_on = select(Case.id).where(
        Case.study_uid == Instance.study_uid,
        Case.state.not_in((State.DELIVERED, State.DECLINED)),
    )
    columns = (Instance.case_id, Instance.path, Instance.digest, Instance.size_bytes)
    with Session(engine.execution_options(reads_only=True)) as session:
        rows = session.execute(
            select(*columns, ~going_on.exists())
            .where(Instance.purged_at.is_(None))
            .execution_options(yield_per=AT_ONCE)
        )
        for case_id, path, digest, size, is_done in rows:
            yield Kept("image", case_id, path, digest, size, is_image=True), is_done


def _files(session: Session) -> Iterator[Kept]:
    """List every file that a row describes."""
    columns = (Instance.case_id, Instance.path, Instance.digest, Instance.size_bytes)
    images = select(*columns).where(Instance.purged_at.is_(None))
    for case_id, path, digest, size in session.execute(images):
        yield Kept("image", case_id, path, digest, size, is_image=True)
    objects = (Product.case_id, Product.kind, Product.path, Product.sha256, Product.size_bytes)
    for case_id, kind, path, sha256, size in session.execute(
        select(*objects).where(Product.purged_at.is_(None))
    ):
        yield Kept(kind, case_id, path, sha256, size)
    readings = (ModelRun.case_id, ModelRun.findings_path, ModelRun.findings_sha256)
    for case_id, path, sha256, elsewhere in session.execute(select(*readings, ModelRun.elsewhere)):
        yield Kept("reading", case_id, path, sha256, None)
        for one in (elsewhere or {}).values():
            yield Kept("reading", case_id, one["path"], one["sha256"], None)
