"""What the radiologist is told of a study without a result, and that its case stays at its end."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from analyzed_case import analyzed, kept, owed, read, reported
from ended_case import PACS, RAW, declined, fail, failed, shop_of, state
from ledger_book import Book, lose
from pydicom import Dataset
from pydicom.uid import (
    DigitalMammographyXRayImageStorageForProcessing,
    SecondaryCaptureImageStorage,
)
from sqlalchemy import update

from dicom_node.errors import Busy, NotYourTurn
from dicom_node.ledger.ledger import STRIKES, now
from dicom_node.ledger.recalls import read_again
from dicom_node.ledger.tables import Case, Instance
from dicom_node.life import ANALYZE, DELIVER, REPORT, State
from dicom_node.reporting import turn as turns
from dicom_node.reporting.marks import plain_text
from dicom_node.reporting.proof import Unsound
from dicom_node.reporting.recall import recall
from dicom_node.reporting.status_proof import library_of
from dicom_node.reporting.telling import report_or_tell, tell
from dicom_node.settings.receiving import VIEWS
from dicom_node.wiring import Node
from inference.findings import ExamFindings

Opening = Callable[..., Node]


def test_a_declined_study_is_told_of_and_stays_declined(
    telling_node: Opening, headers: list[Dataset]
) -> None:
    node = telling_node()
    for header in headers:
        header.SOPClassUID = DigitalMammographyXRayImageStorageForProcessing
    case_id = declined(node, headers)
    assert state(node, case_id) == (State.DECLINED, State.DECLINED, False)
    assert node.ledger.sweep() == [(case_id, REPORT)]
    report_or_tell(shop_of(node), case_id)
    assert state(node, case_id) == (State.DECLINED, State.DECLINED, True)
    (told,) = owed(node, "pacs", "notice")
    assert f"This study was not analyzed: S02: no image can be read: I01: {RAW}." in plain_text(
        told
    )
    assert f"Not read: LCC (I01: {RAW})." in plain_text(told)
    case = node.questions.case(case_id)
    assert case is not None
    assert case.reason.startswith("S02: ")
    assert node.ledger.sweep() == [(case_id, DELIVER)]


def test_a_failed_study_is_told_of_with_the_bundle_that_was_to_read_it(
    telling_node: Opening, headers: list[Dataset]
) -> None:
    node = telling_node()
    case_id = failed(node, headers)
    tell(shop_of(node), case_id)
    assert state(node, case_id) == (State.FAILED, State.FAILED, True)
    (told,) = owed(node, "pacs", "notice")
    assert "No algorithms succeeded; without findings" in plain_text(told)
    assert "Failed Detections" in plain_text(told)
    assert "recall_retina" in plain_text(told)
    assert "the disk is on fire" not in plain_text(told)  # its words may quote a header


def test_each_destination_is_told_in_its_own_codes(
    telling_node: Opening, headers: list[Dataset]
) -> None:
    old = {**PACS, "name": "old", "codes": "SRT", "manufacturer": "FOUR VIEWS INC"}
    node = telling_node(PACS, old, {**PACS, "name": "pictures", "objects": ["segmentation"]})
    case_id = failed(node, headers)
    tell(shop_of(node), case_id)
    (usual,), (retired,) = owed(node, "pacs", "notice"), owed(node, "old", "notice")
    assert "F-01796" in str(retired)
    assert "F-01796" not in str(usual)
    assert retired.Manufacturer == "FOUR VIEWS INC"
    assert usual.SOPInstanceUID != retired.SOPInstanceUID
    assert owed(node, "pictures", "notice") == []


@pytest.mark.parametrize("wish", ["tell_declined", "tell_failed"])
def test_who_wants_silence_gets_it(
    wish: str, telling_node: Opening, headers: list[Dataset]
) -> None:
    node = telling_node(**{wish: False})
    case_id = (declined if wish == "tell_declined" else failed)(node, headers)
    assert state(node, case_id)[1] is None
    assert node.ledger.sweep() == []
    with pytest.raises(NotYourTurn):
        tell(shop_of(node), case_id)


def test_nobody_is_told_where_nobody_wants_a_report_or_a_picture(
    telling_node: Opening, headers: list[Dataset]
) -> None:
    node = telling_node({**PACS, "objects": ["segmentation", "summary"]})
    assert state(node, failed(node, headers))[1] is None


@pytest.mark.parametrize(("code", "why"), [("S01", "whose"), ("S06", "former result stands")])
def test_some_rules_decline_in_silence(
    code: str, why: str, telling_node: Opening, headers: list[Dataset]
) -> None:
    node = telling_node()
    case_id = declined(node, headers, code)
    tell(shop_of(node), case_id)
    assert state(node, case_id) == (State.DECLINED, None, False)
    assert why in node.questions.events(case_id=case_id)[-1].sentence


def test_a_study_without_a_mammogram_is_declined_in_silence(
    telling_node: Opening, headers: list[Dataset]
) -> None:
    node = telling_node()
    for header in headers:
        header.SOPClassUID = SecondaryCaptureImageStorage
    case_id = declined(node, headers)
    tell(shop_of(node), case_id)
    assert state(node, case_id) == (State.DECLINED, None, False)
    assert "no mammogram" in node.questions.events(case_id=case_id)[-1].sentence


def test_a_report_that_comes_after_all_replaces_the_notice(
    telling_node: Opening, headers: list[Dataset], exam: ExamFindings
) -> None:
    node = telling_node()
    case_id = failed(node, headers)
    tell(shop_of(node), case_id)
    (told,) = owed(node, "pacs", "notice")
    assert node.ledger.retry(case_id) == State.RECEIVED
    assert state(node, case_id)[1] is None
    read(node, case_id, exam)
    report_or_tell(shop_of(node), case_id)
    (made,) = owed(node, "pacs")
    replaced = made.PredecessorDocumentsSequence[0].ReferencedSeriesSequence[0]
    assert replaced.ReferencedSOPSequence[0].ReferencedSOPInstanceUID == told.SOPInstanceUID
    assert "Replaces the notice that this study was not analyzed." in plain_text(made)


def test_who_fails_again_in_the_same_way_says_so_once(
    telling_node: Opening, headers: list[Dataset]
) -> None:
    node = telling_node()
    case_id = failed(node, headers)
    tell(shop_of(node), case_id)
    node.ledger.retry(case_id)
    fail(node, case_id)
    tell(shop_of(node), case_id)
    assert len(owed(node, "pacs", "notice")) == 1


def test_a_later_round_that_failed_leaves_the_former_result_alone(
    telling_node: Opening, headers: list[Dataset], exam: ExamFindings
) -> None:
    node = telling_node()
    reported(node, headers[:3], replace(exam, views=exam.views[:3]))
    case_id = failed(node, headers[3:])
    tell(shop_of(node), case_id)
    (told,) = owed(node, "pacs", "notice")
    assert "PredecessorDocumentsSequence" not in told
    assert "Round 2: an earlier result of this study is not changed." in plain_text(told)


def test_a_second_failure_does_not_speak_of_a_result_that_never_was(
    telling_node: Opening, headers: list[Dataset]
) -> None:
    node = telling_node()
    for fresh in (headers[:3], headers[3:]):
        tell(shop_of(node), failed(node, fresh))
    told = owed(node, "pacs", "notice")[-1]
    assert "Round 2: there is no earlier result of this study that holds." in plain_text(told)
    assert "is not changed" not in plain_text(told)


def test_who_fails_to_read_a_recalled_study_again_says_so(
    telling_node: Opening, headers: list[Dataset], exam: ExamFindings
) -> None:
    node = telling_node()
    first = reported(node, headers, exam)
    recall(shop_of(node), _case(node, first), "113037", "anna")
    with node.ledger.turn(first, DELIVER):
        pass
    again = read_again(node.ledger, first).id
    fail(node, again)
    tell(shop_of(node), again)
    (told,) = owed(node, "pacs", "notice")
    said = plain_text(told)
    assert "The result of round 1 was recalled: Rejected for Patient Safety Reasons." in said
    assert "Round 2: there is no earlier result of this study that holds." in said
    images = {str(header.SOPInstanceUID) for header in headers}
    assert library_of(told) == images


def test_a_late_report_of_somebody_else_makes_no_notice(
    telling_node: Opening, headers: list[Dataset]
) -> None:
    node = telling_node()
    tell(shop_of(node), declined(node, headers[:3]))
    headers[3].SOPClassUID = SecondaryCaptureImageStorage
    tell(shop_of(node), declined(node, headers[3:]))
    assert len(owed(node, "pacs", "notice")) == 1


def test_raw_images_are_told_of_by_their_views(
    telling_node: Opening, headers: list[Dataset]
) -> None:
    node = telling_node()
    for header in headers:
        header.SOPClassUID = DigitalMammographyXRayImageStorageForProcessing
    case_id = declined(node, headers)
    with node.ledger.writing() as session:
        session.execute(update(Instance).values(view=""))  # as they come in: none is waited for
    tell(shop_of(node), case_id)
    (told,) = owed(node, "pacs", "notice")
    said = plain_text(told)
    assert all(f"Not read: {view} (I01: {RAW})." in said for view in VIEWS)


def test_a_failure_of_the_report_is_told_and_retried_where_it_failed(
    telling_node: Opening,
    headers: list[Dataset],
    exam: ExamFindings,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    node = telling_node()
    case_id = analyzed(node, headers, exam)

    def unsound(*_: object, **__: object) -> None:
        raise Unsound(["x"])

    with monkeypatch.context() as patch:
        patch.setattr(turns, "prove", unsound)
        with pytest.raises(Unsound):
            report_or_tell(shop_of(node), case_id)
    tell(shop_of(node), case_id)
    assert state(node, case_id) == (State.FAILED, State.FAILED, True)
    assert node.ledger.retry(case_id) == State.ANALYZED


def test_a_notice_that_cannot_be_made_is_given_up_and_the_case_keeps_its_end(
    telling_node: Opening, headers: list[Dataset]
) -> None:
    node = telling_node()
    case_id = failed(node, headers)
    (image, *_) = node.questions.images_of(_case(node, case_id))
    node.spool.path(image.path).write_bytes(b"this is no image any more")
    for _ in range(STRIKES - 1):
        with pytest.raises(Busy, match="InvalidDicomError"):
            tell(shop_of(node), case_id)
        assert state(node, case_id) == (State.FAILED, State.FAILED, False)
        with node.ledger.writing() as session:
            session.get_one(Case, case_id).due_at = now()
    with pytest.raises(Exception, match="DICM"):
        tell(shop_of(node), case_id)
    assert state(node, case_id) == (State.FAILED, None, False)
    assert "nobody can be told" in node.questions.events(case_id=case_id)[-1].sentence


def test_a_teller_that_is_lost_gives_the_case_back_to_its_end(
    telling_node: Opening, headers: list[Dataset]
) -> None:
    node = telling_node()
    case_id = failed(node, headers)
    book = Book(node.engine)
    killed = book.other("other:1", lease_seconds=-1.0)
    for attempt in (1, 2, 3):
        with node.ledger.writing() as session:
            killed.begin(session, case_id, State.FAILED, State.TELLING, "x")
        lose(node.ledger, case_id)
        rung = node.ledger.sweep()
        left = State.FAILED if attempt < 3 else None
        assert state(node, case_id) == (State.FAILED, left, False)
        assert rung == ([(case_id, REPORT)] if left else [])


def test_the_strikes_of_a_case_are_none_against_its_teller(
    telling_node: Opening, headers: list[Dataset]
) -> None:
    node = telling_node()
    case_id = kept(node, headers)
    killed = Book(node.engine).other("other:1", lease_seconds=-1.0)
    for _ in range(STRIKES):
        killed._begin(case_id, ANALYZE)
        lose(node.ledger, case_id)
        node.ledger.sweep()
    assert state(node, case_id) == (State.FAILED, State.FAILED, False)
    with node.ledger.writing() as session:
        killed.begin(session, case_id, State.FAILED, State.TELLING, "x")
    lose(node.ledger, case_id)
    assert node.ledger.sweep() == [(case_id, REPORT)]
    assert "attempt 1 of 3" in node.questions.events(case_id=case_id)[-1].sentence


def test_a_notice_that_would_come_after_a_later_result_is_not_written(
    telling_node: Opening, headers: list[Dataset], exam: ExamFindings
) -> None:
    node = telling_node()
    case_id = failed(node, headers[:1])
    reported(node, headers[1:], replace(exam, views=exam.views[1:]))
    tell(shop_of(node), case_id)
    assert state(node, case_id) == (State.FAILED, None, False)
    assert "round 2 has a result" in node.questions.events(case_id=case_id)[-1].sentence
    assert owed(node, "pacs", "notice") == []


def _case(node: Node, case_id: int) -> Any:  # noqa: ANN401 - a row
    case = node.questions.case(case_id)
    assert case is not None
    return case


def test_two_never_tell_of_one_case(telling_node: Opening, headers: list[Dataset]) -> None:
    node = telling_node()
    case_id = failed(node, headers)
    from dicom_node.ledger.tellings import telling

    with telling(node.ledger, case_id), pytest.raises(NotYourTurn):
        tell(shop_of(node), case_id)


def test_a_disk_without_room_is_told_later(
    telling_node: Opening, headers: list[Dataset], monkeypatch: pytest.MonkeyPatch
) -> None:
    node = telling_node()
    case_id = failed(node, headers)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(type(node.spool), "write", full)
        with pytest.raises(Busy):
            tell(shop_of(node), case_id)
    assert state(node, case_id) == (State.FAILED, State.FAILED, False)
