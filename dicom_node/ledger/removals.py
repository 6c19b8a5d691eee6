"""Which received images are no longer needed here, and that their files were removed.

A study's images may go once it is done with: each of its rounds has ended, nobody is owed anything
of them or has still to promise to keep it, no bundle has still to read them along, and nothing has
moved for long. A round that FAILED is done with when a later one was delivered; else it waits for
somebody to look at it, and so do its images.

That an image is purged is written down first, then its file goes, then that is written down, too.
Whoever is killed in between leaves a file that the next sweep removes. An image that comes again is
another row with a file of another name: no late removal ever meets it.
"""

from collections.abc import Collection, Sequence
from datetime import datetime

from sqlalchemy import Exists, exists, func, or_, select, update
from sqlalchemy.orm import InstrumentedAttribute, Session, aliased

from dicom_node.ledger.clock import by_the_clock
from dicom_node.ledger.ledger import Ledger, now
from dicom_node.ledger.purges import UNSETTLED
from dicom_node.ledger.questions import Questions
from dicom_node.ledger.tables import Case, Delivery, Instance, ShadowRun, Verdict
from dicom_node.life import State

DONE = (State.DELIVERED, State.DECLINED)
AT_ONCE = 1000  # rows that are held in memory


def done_with(questions: Questions, before: datetime, most: int) -> Sequence[str]:
    """Name the studies whose images may go, those that moved longest ago first."""
    with Session(questions.engine) as session:
        return session.scalars(
            select(Case.study_uid)
            .where(Case.state.in_(DONE), Case.moved_at < before, Case.images_purged_at.is_(None))
            .where(~_goes_on(Case.study_uid, before))
            .group_by(Case.study_uid)
            .order_by(func.min(Case.moved_at))
            .limit(most)
        ).all()


def _goes_on(study_uid: InstrumentedAttribute[str] | str, before: datetime) -> Exists:
    """Ask whether anything of a study is still to be done, or was done since then."""
    one, later = aliased(Case), aliased(Case)
    superseded = exists().where(
        later.study_uid == one.study_uid,
        later.round > one.round,
        later.state == State.DELIVERED,
    )
    has_ended = one.state.in_(DONE) | ((one.state == State.FAILED) & superseded)
    return exists().where(
        one.study_uid == study_uid,
        or_(
            ~has_ended,
            one.telling.is_not(None),
            one.moved_at >= before,
            one.last_image_at >= before,
            exists().where(Delivery.case_id == one.id, UNSETTLED),
            exists().where(ShadowRun.case_id == one.id, ShadowRun.due_at.is_not(None)),
        ),
    )


def purge_study(ledger: Ledger, study_uid: str, before: datetime, why: str) -> int:
    """Write down that the images of a study are needed no more, and count them.

    None where another listener was first, or where somebody began something with it just now: who
    opens a round has to wait for the rows that are held here.
    """
    count = 0
    with ledger.writing() as session:
        cases = session.scalars(
            select(Case)
            .where(Case.study_uid == study_uid)
            .order_by(
                Case.round.desc()
            )  # as all do who hold several rounds: nobody waits crosswise
            .with_for_update()
        ).all()
        if session.scalar(select(_goes_on(study_uid, before))):
            return 0
        for case in reversed(cases):
            case.images_purged_at = by_the_clock()
            rows = session.scalars(
                select(Instance).where(Instance.case_id == case.id, Instance.purged_at.is_(None))
            ).all()
            for one in rows:
                one.purged_at, one.removal_due_at = by_the_clock(), now()
            if rows:
                images = "1 image is" if len(rows) == 1 else f"{len(rows)} images are"
                details = {"images": len(rows), "sop_uids": [one.sop_uid for one in rows]}
                sentence = f"{images} removed: {why}"
                ledger.note(session, "images purged", sentence, case=case, details=details)
            count += len(rows)
    return count


def to_remove(questions: Questions, most: int) -> list[tuple[int, str]]:
    """List images that are purged and whose files have still to go: row and place."""
    with Session(questions.engine) as session:
        rows = session.execute(
            select(Instance.id, Instance.path).where(Instance.removal_due_at <= now()).limit(most)
        )
        return [(row.id, row.path) for row in rows]


def removed(ledger: Ledger, numbers: Sequence[int]) -> None:
    """Write down that the files of these images are gone."""
    with ledger.writing() as session:
        session.execute(
            update(Instance).where(Instance.id.in_(numbers)).values(removal_due_at=None)
        )


def purged_among(questions: Questions, paths: Collection[str]) -> set[str]:
    """Say which of these files are of images that are purged: one is about to go, or came back."""
    with Session(questions.engine) as session:
        rows = session.scalars(
            select(Instance.path)
            .where(Instance.purged_at.is_not(None))
            .execution_options(yield_per=AT_ONCE)
        )
        return {path for path in rows if path in paths}


def missing(questions: Questions, case: Case) -> str:
    """Say what a round ought to read and cannot, since it is no longer kept; else nothing."""
    with Session(questions.engine) as session:
        return missing_in(session, case.study_uid, case.id)


def missing_in(session: Session, study_uid: str, case_id: int) -> str:
    """Say it of the images that had come by the time of this case.

    An image that came again is not missed, nor is one that no rule lets in.
    """
    of_study = (Instance.study_uid == study_uid, Instance.case_id <= case_id)
    here = select(Instance.sop_uid).where(*of_study, Instance.purged_at.is_(None))
    gone = select(Instance.id, Instance.sop_uid).where(
        *of_study, Instance.purged_at.is_not(None), Instance.sop_uid.not_in(here)
    )
    uids = {row.id: row.sop_uid for row in session.execute(gone)}
    judged = session.execute(
        select(Verdict.instance_id, Verdict.code)
        .where(Verdict.instance_id.in_(gone.with_only_columns(Instance.id)))
        .order_by(Verdict.id)
    )
    for number, code in judged.all():
        if code:
            uids.pop(number, None)
    return told(len(set(uids.values()))) if uids else ""


def told(count: int) -> str:
    """Say that so many images are not here any more, and what to do about it."""
    images = (
        "1 image that came earlier is" if count == 1 else f"{count} images that came earlier are"
    )
    return f"{images} no longer kept here: send the whole study again"


def came_by(questions: Questions, study_uid: str, case_id: int) -> set[str]:
    """Name the images of a study that had come by the time of a case, purged since or not."""
    with Session(questions.engine) as session:
        rows = select(Instance.sop_uid).where(
            Instance.study_uid == study_uid, Instance.case_id <= case_id
        )
        return set(session.scalars(rows))
