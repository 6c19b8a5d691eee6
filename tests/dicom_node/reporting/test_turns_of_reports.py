"""The turn of a report: which round goes first, and what it says of images that were not read."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import validators
from analyzed_case import kept, owed, read, reported, workshop
from ledger_book import STUDY, Book
from pydicom import Dataset
from pydicom.uid import (
    BreastTomosynthesisImageStorage,
    DigitalMammographyXRayImageStorageForProcessing,
)
from sqlalchemy import update

from dicom_node.errors import Busy
from dicom_node.ledger.ledger import now
from dicom_node.ledger.tables import Instance, ModelRun, Verdict
from dicom_node.life import ANALYZE, State
from dicom_node.reporting import codes
from dicom_node.reporting.circumstances import Circumstances
from dicom_node.reporting.common_proof import Origin
from dicom_node.reporting.frame import encoded
from dicom_node.reporting.maker import Maker
from dicom_node.reporting.marks import code_value, named, plain_text, walk
from dicom_node.reporting.outgoing import Workshop
from dicom_node.reporting.proof import Unsound, prove
from dicom_node.reporting.report import report as build
from dicom_node.reporting.turn import report
from dicom_node.settings.file import Settings
from dicom_node.wiring import Node
from inference.findings import ExamFindings


def test_a_later_round_waits_until_the_one_before_is_reported(node: Node) -> None:
    book = Book(node.engine)
    first = book.case_at(State.ANALYZED)
    second = book.arrive(STUDY, view="RCC")
    assert second != first
    book.ledger.move(second, State.RECEIVING, State.RECEIVED)
    with book.ledger.turn(second, ANALYZE) as turn:
        turn.leave(
            ModelRun(
                case_id=second,
                system="shared_trunk",
                bundle="b",
                version="1",
                digest="0" * 64,
                operating_point="p",
                code_version="0",
                settings_digest="0" * 64,
                device="cpu",
                seconds=0.0,
                cancer_score=0.0,
                findings_count=0,
                findings_path="none",
                findings_sha256="0" * 64,
                made_at=now(),
            )
        )
    shop = Workshop(book.ledger, book.questions, node.spool, node.settings, "0")
    with pytest.raises(Busy, match="round 1 is not reported yet"):
        report(shop, second)
    case = book.questions.case(second)
    assert case is not None
    assert case.state == State.ANALYZED
    assert case.due_at > now()


@pytest.mark.parametrize(
    "sop_class",
    [DigitalMammographyXRayImageStorageForProcessing, BreastTomosynthesisImageStorage],
    ids=["raw", "tomosynthesis"],
)
def test_a_view_that_came_only_as_what_nobody_reads_makes_the_report_a_partial_one(
    settled: Callable[..., Settings],
    opened: Callable[[Settings], Node],
    headers: list[Dataset],
    exam: ExamFindings,
    sop_class: str,
) -> None:
    pacs = {"name": "pacs", "ae_title": "PACS", "host": "localhost", "port": 104}
    node = opened(settled(delivering={"destinations": [pacs]}))
    headers[0].SOPClassUID = sop_class
    case_id = kept(node, headers)
    case = node.questions.case(case_id)
    assert case is not None
    unread = node.questions.images_of(case)[0]
    with node.ledger.writing() as session:  # as it comes in: nothing waits for such an image
        session.execute(update(Instance).where(Instance.id == unread.id).values(view=""))
        session.add(Verdict(case_id=case_id, instance_id=unread.id, code="I01", sentence="so"))
    read(node, case_id, replace(exam, views=exam.views[1:]))
    report(workshop(node), case_id)
    (told,) = owed(node, "pacs")
    answer = named(told, codes.FINDINGS_SUMMARY)
    assert answer is not None
    assert code_value(answer) == codes.ANSWERS[True, True].value
    assert "Not read: RCC (I01: so). Nothing is said of RCC." in plain_text(told)
    assert "Not received" not in plain_text(told), "it came"


def test_a_view_that_never_came_is_named_in_every_text(
    settled: Callable[..., Settings],
    opened: Callable[[Settings], Node],
    headers: list[Dataset],
    exam: ExamFindings,
) -> None:
    pacs = {"name": "pacs", "ae_title": "PACS", "host": "localhost", "port": 104}
    node = opened(settled(delivering={"destinations": [pacs]}))
    first = kept(node, headers[:2])
    read(node, first, replace(exam, views=exam.views[:2]))
    report(workshop(node), first)
    for kind in ("cad_sr", "measurement_report"):
        for told in owed(node, "pacs", kind):
            assert plain_text(told).count("Not received: RMLO and LMLO.") == 1
    second = kept(node, headers[2:])
    read(node, second, exam)
    report(workshop(node), second)
    assert "Not received" not in plain_text(owed(node, "pacs")[-1])


def test_a_view_that_nobody_waits_for_is_not_missed(
    settled: Callable[..., Settings],
    opened: Callable[[Settings], Node],
    headers: list[Dataset],
    exam: ExamFindings,
) -> None:
    pacs = {"name": "pacs", "ae_title": "PACS", "host": "localhost", "port": 104}
    receiving = {"required_views": ["RCC", "LCC"]}
    node = opened(settled(delivering={"destinations": [pacs]}, receiving=receiving))
    case_id = kept(node, headers[:2])
    read(node, case_id, replace(exam, views=exam.views[:2]))
    report(workshop(node), case_id)
    assert "Not received" not in plain_text(owed(node, "pacs")[-1])


def test_objects_name_the_settings_that_they_were_made_with(
    telling_node: Callable[..., Node], headers: list[Dataset], exam: ExamFindings, tmp_path: Path
) -> None:
    node = telling_node()
    reported(node, headers, exam)
    told = f"settings sha256 {'0' * 64}"  # as the reading has it
    (cad_sr,) = owed(node, "pacs", "cad_sr")
    assert [str(item.get("TextValue")) for _, item in walk(cad_sr)].count(told) == 1
    for one in owed(node, "pacs", "measurement_report"):
        assert told in [str(item.get("TextValue")) for _, item in walk(one)]
    for one in owed(node, "pacs", "segmentation"):
        (algorithm,) = one.SegmentSequence[0].SegmentationAlgorithmIdentificationSequence
        assert f"settings sha256={'0' * 64}" in algorithm.AlgorithmParameters
    path = tmp_path / "cad_sr.dcm"
    path.write_bytes(encoded(cad_sr))
    assert validators.dciodvfy_errors(path) == []
    assert validators.dsrdump_errors(path) == []
    assert validators.pixelmed_errors([path]) == []


def test_a_proof_asks_for_the_settings(
    headers: list[Dataset], exam: ExamFindings, maker: Maker, first_round: Circumstances
) -> None:
    kinds = frozenset({"cad_sr", "measurement_report", "segmentation"})
    told = replace(first_round, settings="ab" * 32)
    for made in build(headers, exam, maker, told, kinds):
        prove(made.dataset, headers, exam, origin=Origin(maker, told))
        with pytest.raises(Unsound):
            prove(made.dataset, headers, exam, origin=Origin(maker, first_round))
    for made in build(headers, exam, maker, first_round, kinds):
        with pytest.raises(Unsound):
            prove(made.dataset, headers, exam, origin=Origin(maker, told))


@pytest.mark.parametrize(
    ("address", "target"),
    [
        ("10.0.0.1", "MODALITY@10.0.0.1:4006"),
        ("10.0.0.2", "MODALITY@10.0.0.2:4007"),
        ("10.0.0.3", "MODALITY@10.0.0.3:104"),  # its table is gone since
    ],
)
def test_of_two_machines_with_one_title_each_is_called_at_its_own_port(
    settled: Callable[..., Settings],
    opened: Callable[[Settings], Node],
    headers: list[Dataset],
    exam: ExamFindings,
    address: str,
    target: str,
) -> None:
    tables = [
        {"ae_title": "MODALITY", "addresses": [one], "return_port": port}
        for one, port in (("10.0.0.1", 4006), ("10.0.0.2", 4007))
    ]
    back = {"name": "back", "return_to_sender": True, "objects": ["cad_sr"]}
    node = opened(settled(receiving={"callers": tables}, delivering={"destinations": [back]}))
    case_id = kept(node, headers)
    with node.ledger.writing() as session:
        session.execute(update(Instance).values(address=address))
    read(node, case_id, exam)
    report(workshop(node), case_id)
    assert [debt.delivery.target for debt in node.questions.debts_of(case_id)] == [target]
