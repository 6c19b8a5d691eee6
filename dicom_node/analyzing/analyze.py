"""Read one case: images -> Exam -> ExamFindings."""

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from pydicom import Dataset

from dicom_node.analyzing.accept import judge_study, terms_of
from dicom_node.analyzing.deciding import corrections, point_for, scale_of
from dicom_node.analyzing.imaged import imaged_by
from dicom_node.analyzing.looking import looked_at, views_of
from dicom_node.analyzing.rules import MAMMOGRAM, JudgedStudy
from dicom_node.analyzing.study_rules import NOT_KEPT, NOTHING_NEW, READABLE
from dicom_node.errors import Declined
from dicom_node.ledger.clock import by_the_clock
from dicom_node.ledger.ledger import Ledger, Turn, now
from dicom_node.ledger.questions import NOTICES, Questions
from dicom_node.ledger.removals import missing
from dicom_node.ledger.shadows import Device, to_read
from dicom_node.ledger.tables import Case, Finding, Instance, ModelRun, Verdict
from dicom_node.life import ANALYZE, State
from dicom_node.settings.file import Settings
from dicom_node.spool import Spool
from inference import scores
from inference.findings import ExamFindings
from inference.mammogram import Exam
from inference.scores import corrected
from inference.transcript import pack

if TYPE_CHECKING:
    from inference.analyzer import Analyzer

MARGIN = timedelta(seconds=60)
REPORTED = 0  # the place of the reading that is reported; the members' places count from 1


@dataclass(frozen=True, slots=True)
class Desk:
    """What the reading of a case needs."""

    ledger: Ledger
    questions: Questions
    spool: Spool
    settings: Settings
    analyzers: "Callable[[], Sequence[Analyzer]]"  # asked for only where there is something to read
    code_version: str
    reads: Callable[[], frozenset[str]] = lambda: frozenset({MAMMOGRAM})  # kinds of image
    along: "Callable[[], Sequence[Analyzer]]" = tuple  # who reads after the result, for comparison

    @property
    def until(self) -> datetime:
        """Say when whoever begins to read now is done, or was ended by the watch."""
        return now() + timedelta(seconds=self.settings.watching.turn_seconds) + MARGIN


@dataclass(frozen=True, slots=True, eq=False)
class Timed:
    """What one bundle said at each operating point, how long it took, and what fell back."""

    at: dict[str, ExamFindings]
    seconds: float
    shortages: tuple[str, ...]


def analyze(desk: Desk, case_id: int) -> Exam | None:
    """Take a case's turn: judge its images, read them, and leave the findings.

    The exam is returned for those who read along, once the turn has ended well.
    """
    exam = None
    with desk.ledger.turn(case_id, ANALYZE) as turn:
        case = desk.questions.case(case_id)
        assert case is not None
        images = _kept(desk, case)
        terms = terms_of(desk.settings, desk.reads())
        study = judge_study(looked_at(desk.spool, images, terms), terms)
        for image, one in zip(images, study.images, strict=True):
            turn.leave(_verdict(turn, image, one.declined))
        _something_new(desk, case, images, study)
        _nothing_missing(desk, case, study)
        if study.declined is not None:
            raise study.declined
        views = tuple(views_of(desk.spool, images, study))
        headers = [one.header for one in study.accepted]
        exam = Exam(case.study_uid, views)
        _read(desk, turn, exam, headers)
        turn.leave(*(to_read(case_id, device_of(one), desk.until) for one in desk.along()))
        for row in turn.rows:
            if isinstance(row, ModelRun):
                row.imaged_by = imaged_by(images, study)
    return exam


def exam_again(desk: Desk, case: Case) -> Exam:
    """Open the images of a case that was read once more."""
    images = _kept(desk, case)
    terms = terms_of(desk.settings, desk.reads())
    study = judge_study(looked_at(desk.spool, images, terms), terms)
    _nothing_missing(desk, case, study)
    if study.declined is not None:
        raise study.declined
    return Exam(case.study_uid, tuple(views_of(desk.spool, images, study)))


def device_of(analyzer: "Analyzer") -> Device:
    """Name a bundle that reads along."""
    card = analyzer.card
    return Device(card.name, card.version, analyzer.digest, analyzer.operating_point)


def _something_new(desk: Desk, case: Case, images: Sequence[Instance], study: JudgedStudy) -> None:
    """Decline a later round that adds nothing to be read: the last result that holds stands."""
    former = [one for one in desk.questions.cases_of(case.study_uid) if one.round < case.round]
    recalled = desk.questions.recalls_among([one.id for one in former])
    standing = [one.id for one in former if one.id not in recalled and _has_result(desk, one)]
    added = [
        one
        for image, one in zip(images, study.images, strict=True)
        if image.case_id > max(standing, default=0) and one.declined is None
    ]
    if standing and not added:
        raise Declined(
            NOTHING_NEW.code, "no image of this round can be read; the former result stands"
        )


def _kept(desk: Desk, case: Case) -> list[Instance]:
    return [image for image in desk.questions.images_of(case) if image.purged_at is None]


def _nothing_missing(desk: Desk, case: Case, study: JudgedStudy) -> None:
    """Decline a study of which images are no longer kept: nobody is told of a part as of the whole.

    That what is there cannot be read may be for want of the others; whatever else is wrong with it
    would be so with them.
    """
    if study.declined is not None and study.declined.code != READABLE.code:
        return
    if gone := missing(desk.questions, case):
        raise Declined(NOT_KEPT.code, gone)


def _has_result(desk: Desk, case: Case) -> bool:
    """Say whether a case told what it read, or is about to; who failed to report it does not."""
    if desk.questions.run_of(case.id) is None:
        return False
    told = any(product.kind not in NOTICES for product in desk.questions.products_of(case.id))
    return told or case.state not in {State.FAILED, State.TELLING}


def _verdict(turn: Turn, image: Instance, declined: Declined | None) -> Verdict:
    return Verdict(
        case_id=turn.case_id,
        instance_id=image.id,
        code=declined.code if declined else "",
        sentence=declined.sentence if declined else "",
    )


def _read(desk: Desk, turn: Turn, exam: Exam, headers: Sequence[Dataset]) -> None:
    """Let each bundle read the exam, and keep what each saw and what they agree on."""
    analyzers = desk.analyzers()
    from inference.systems.agreement import decided

    told = [_timed(analyzer, exam) for analyzer in analyzers]
    cards = [one.card for one in analyzers]
    point_asked = point_for(desk.settings.analyzing, headers)
    theirs, ours = corrections(desk.settings.analyzing, cards, point_asked)
    points = [point_asked or one.operating_point for one in analyzers]
    readings = [one.at[point] for one, point in zip(told, points, strict=True)]
    seen = decided(readings, theirs, ours)
    seconds = sum(one.seconds for one in told)
    short = tuple(dict.fromkeys(note for one in told for note in one.shortages))
    if len(readings) > 1:
        own = map(corrected, readings, theirs)
        for place, (reading, one, card) in enumerate(zip(own, told, cards, strict=True), start=1):
            row = _run(desk, turn, reading, one, place)
            row.scale = card.scale(reading.operating_point)
            turn.leave(row)
    run = _run(desk, turn, seen, Timed({}, seconds, short), REPORTED)
    run.scale = scale_of(cards, point_asked)
    run.elsewhere = {
        point: _kept_elsewhere(
            desk, turn, point, decided([one.at[point] for one in told], theirs, ours)
        )
        for point in told[0].at
        if point != seen.operating_point and all(point in one.at for one in told)
    }
    turn.leave(run, *_rows(turn, seen))
    turn.remark = (
        f"{len(seen.findings)} findings in {len(seen.views)} views, "
        f"{_judged(seen)}, {seconds:.1f} s" + "".join(f"; {note}" for note in short)
    )
    turn.details = {
        "bundle": _bundle(seen),
        "system": seen.system,
        "version": seen.version,
        "digest": seen.digest,
        "operating_point": seen.operating_point,
        "thresholds": {
            one.card.name: one.card.finding_score(point)
            for one, point in zip(analyzers, points, strict=True)
        },
        "raw_score": seen.raw,
        "card_score": seen.card_score,
        "scale": run.scale,
        "cancer_score": scores.told(seen),
        "called": scores.called(seen),
        "called_from": seen.called_from,
        "correction": [None if one is None else asdict(one) for one in (*theirs, ours)],
    }


def _timed(analyzer: "Analyzer", exam: Exam) -> Timed:
    """Read an exam; the network runs once for all of the card's operating points."""
    from inference.systems.memory import shortages

    started = time.perf_counter()
    with shortages() as notes:
        at = analyzer.readings(exam)
    return Timed(at, time.perf_counter() - started, tuple(notes))


def _kept_elsewhere(desk: Desk, turn: Turn, point: str, seen: ExamFindings) -> dict[str, str]:
    """Keep what stands at another operating point: a destination may want it, now or later."""
    path = desk.spool.case_name(turn.case_id, turn.lease, f"findings-at-{point}.json")
    return {"path": path, "sha256": desk.spool.write(path, pack(seen))}


def _run(desk: Desk, turn: Turn, seen: ExamFindings, timed: Timed, place: int) -> ModelRun:
    """Write down one reading: its transcript in the spool, all else in its row."""
    name = "findings.json" if place == REPORTED else f"findings-{place}.json"
    path = desk.spool.case_name(turn.case_id, turn.lease, name)
    return ModelRun(
        case_id=turn.case_id,
        place=place,
        system=seen.system,
        bundle=_bundle(seen),
        version=seen.version,
        digest=seen.digest,
        operating_point=seen.operating_point,
        code_version=desk.code_version,
        settings_digest=desk.settings.digest,
        device=_device(desk.settings.analyzing.device, timed),
        seconds=round(timed.seconds, 3),
        raw_score=seen.raw,
        card_score=seen.card_score,
        cancer_score=scores.told(seen),
        uncertainty=seen.uncertainty,
        findings_count=len(seen.findings),
        findings_path=path,
        findings_sha256=desk.spool.write(path, pack(seen)),
        made_at=by_the_clock(),
    )


def _device(wanted: str, timed: Timed) -> str:
    """Name where a study was read: the device of the settings, and what had to stand in for it."""
    stood_in = wanted != "cpu" and any(note.startswith("read on cpu") for note in timed.shortages)
    return f"{wanted}, then cpu" if stood_in else wanted


def _bundle(seen: ExamFindings) -> str:
    """Name the bundle that read, or say how many did."""
    return seen.members[0].bundle if len(seen.members) == 1 else f"{len(seen.members)} bundles"


def _judged(seen: ExamFindings) -> str:
    score, called = scores.told(seen), scores.called(seen)
    if score is None:
        return "not judged"
    return f"score {score:.3f}" + {None: "", True: ", called", False: ", not called"}[called]


def _rows(turn: Turn, seen: ExamFindings) -> list[Finding]:
    return [
        Finding(
            case_id=turn.case_id,
            sop_uid=view.sop_instance_uid,
            view=f"{view.side}{view.projection}",
            kind=found.kind,
            box_left=found.box.left,
            box_top=found.box.top,
            box_right=found.box.right,
            box_bottom=found.box.bottom,
            score=found.score,
            cancer_score=found.cancer_score,
            systems=",".join(found.systems),
            uncertainty=found.uncertainty,
        )
        for view in seen.views
        for found in view.findings
    ]
