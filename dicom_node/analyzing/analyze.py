"""Read one case: images -> Exam -> ExamFindings."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pydicom import Dataset, dcmread

from dicom_node.analyzing.accept import Judged, judge_images, judge_study
from dicom_node.errors import Declined
from dicom_node.ledger.ledger import Ledger, Turn, now
from dicom_node.ledger.questions import Questions
from dicom_node.ledger.tables import Finding, Instance, ModelRun, Verdict
from dicom_node.life import ANALYZE
from dicom_node.settings import Settings
from dicom_node.spool import Spool
from inference.errors import Unreadable
from inference.findings import ExamFindings
from inference.mammogram import Exam, Mammogram
from inference.transcript import pack

if TYPE_CHECKING:
    from inference.analyzer import Analyzer

UNREADABLE_PIXELS = "I18"


@dataclass(frozen=True, slots=True)
class Desk:
    """What the reading of a case needs."""

    ledger: Ledger
    questions: Questions
    spool: Spool
    settings: Settings
    analyzer: "Callable[[], Analyzer]"  # asked for only when there is something to read
    code_version: str


def analyze(desk: Desk, case_id: int) -> None:
    """Take a case's turn: judge its images, read them, and leave the findings."""
    with desk.ledger.turn(case_id, ANALYZE) as turn:
        case = desk.questions.case(case_id)
        assert case is not None
        images = desk.questions.images_of(case)
        headers = [
            dcmread(desk.spool.path(image.path), stop_before_pixels=True) for image in images
        ]
        judged = judge_images(headers, desk.settings.analyzing.accept)
        readable = _readable(desk, images, judged)
        for image, one in zip(images, judged, strict=True):
            declined = readable.declined.get(image.id, one.declined)
            turn.leave(_verdict(turn, image, declined))
        still = [
            Judged(one.header, readable.declined.get(image.id, one.declined))
            for image, one in zip(images, judged, strict=True)
        ]
        receiving, analyzing = desk.settings.receiving, desk.settings.analyzing
        judge_study(still, receiving.required_views, analyzing.accept)
        _read(desk, turn, Exam(case.study_uid, readable.views))


@dataclass(frozen=True, slots=True)
class Readable:
    """The views that could be decoded, and why the others could not."""

    views: tuple[Mammogram, ...]
    declined: dict[int, Declined]


def _readable(desk: Desk, images: Sequence[Instance], judged: Sequence[Judged]) -> Readable:
    """Decode the accepted images, one after the other."""
    from inference.reading import read

    views: list[Mammogram] = []
    declined: dict[int, Declined] = {}
    for image, one in zip(images, judged, strict=True):
        if one.declined is not None:
            continue
        try:
            mammogram = read(_whole(desk, image))
        except Unreadable as trouble:
            declined[image.id] = Declined(UNREADABLE_PIXELS, str(trouble))
            continue
        if mammogram.pixels.min() == mammogram.pixels.max():
            declined[image.id] = Declined(UNREADABLE_PIXELS, "all its pixels have one value")
            continue
        views.append(mammogram)
    return Readable(tuple(views), declined)


def _whole(desk: Desk, image: Instance) -> Dataset:
    return dcmread(desk.spool.path(image.path))


def _verdict(turn: Turn, image: Instance, declined: Declined | None) -> Verdict:
    return Verdict(
        case_id=turn.case_id,
        instance_id=image.id,
        code=declined.code if declined else "",
        sentence=declined.sentence if declined else "",
    )


def _read(desk: Desk, turn: Turn, exam: Exam) -> None:
    """Let the network read the exam, and keep what it saw."""
    analyzer = desk.analyzer()
    started = time.perf_counter()
    seen = analyzer.analyze(exam)
    seconds = time.perf_counter() - started
    path = desk.spool.case_name(turn.case_id, turn.lease, "findings.json")
    sha256 = desk.spool.write(path, pack(seen))
    turn.leave(
        ModelRun(
            case_id=turn.case_id,
            system=seen.system,
            bundle=analyzer.card.name,
            version=seen.version,
            digest=seen.digest,
            operating_point=seen.operating_point,
            code_version=desk.code_version,
            settings_digest=desk.settings.digest,
            device=desk.settings.analyzing.device,
            seconds=round(seconds, 3),
            cancer_score=seen.cancer_score,
            findings_count=len(seen.findings),
            findings_path=path,
            findings_sha256=sha256,
            made_at=now(),
        ),
        *_rows(turn, seen),
    )
    turn.remark = (
        f"{len(seen.findings)} findings in {len(seen.views)} views, "
        f"score {seen.cancer_score:.3f}, {seconds:.1f} s"
    )
    turn.details = {"bundle": analyzer.card.name, "version": seen.version, "digest": seen.digest}


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
        )
        for view in seen.views
        for found in view.findings
    ]
