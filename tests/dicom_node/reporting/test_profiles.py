"""Each wish of a destination shows in its objects, and in nobody else's."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from analyzed_case import analyzed, owed, reported, workshop
from pydicom import Dataset
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)
from sqlalchemy import select

from dicom_node.errors import Misconfigured
from dicom_node.ledger.tables import ModelRun
from dicom_node.reporting import codes
from dicom_node.reporting.marks import is_named, marks, plain_text, walk
from dicom_node.reporting.profile import PLAIN, Profile, profile_of
from dicom_node.reporting.shown import consistent
from dicom_node.reporting.turn import NotReadThere, report
from dicom_node.settings.delivering import Destination
from dicom_node.settings.file import Settings
from dicom_node.settings.reporting import Reporting
from dicom_node.wiring import Node
from inference.findings import ExamFindings
from inference.transcript import pack

Opening = Callable[..., Node]
LAST = "; those without a cancer score come last."
PACS = {"ae_title": "PACS", "host": "localhost", "port": 104}


@pytest.fixture
def sending(settled: Callable[..., Settings], opened: Callable[[Settings], Node]) -> Opening:
    """Open a node with a destination of each name and wishes."""

    def make(node: dict[str, Any] | None = None, **wishes: dict[str, Any]) -> Node:
        destinations = [{"name": name, **PACS, **wish} for name, wish in wishes.items()]
        elsewhere = {"node": node} if node else {}
        return opened(settled(delivering={"destinations": destinations}, **elsewhere))

    return make


def only(objects: Sequence[Dataset]) -> Dataset:
    (one,) = objects
    return one


def findings(told: Dataset) -> set[str]:
    return {mark.tracking_id for mark in marks(told)}


def test_destinations_that_want_the_same_share_their_objects(
    sending: Opening, headers: list[Dataset], exam: ExamFindings
) -> None:
    node = sending(pacs={}, workstation={"objects": ["cad_sr"]})
    case_id = reported(node, headers, exam)
    assert len(node.questions.products_of(case_id)) == 5
    assert only(owed(node, "pacs")).SOPInstanceUID == only(owed(node, "workstation")).SOPInstanceUID


def test_what_is_made_otherwise_has_uids_of_its_own_and_goes_only_where_it_is_wanted(
    sending: Opening, headers: list[Dataset], exam: ExamFindings
) -> None:
    node = sending(pacs={}, workstation={"max_marks": 2})
    case_id = reported(node, headers, exam)
    products = node.questions.products_of(case_id)
    assert {product.profile for product in products} == {"", "max_marks=2"}
    for uid in ("SOPInstanceUID", "SeriesInstanceUID"):
        assert owed(node, "pacs")[0][uid] != owed(node, "workstation")[0][uid]
    assert len(findings(only(owed(node, "pacs")))) == 5
    assert len(findings(only(owed(node, "workstation")))) == 2


def test_a_wish_changes_only_the_kinds_it_concerns(
    sending: Opening, headers: list[Dataset], exam: ExamFindings
) -> None:
    node = sending(pacs={}, workstation={"codes": "SRT"})
    reported(node, headers, exam)
    for kind, same in (("cad_sr", False), ("measurement_report", True), ("segmentation", True)):
        uids = [
            [each.SOPInstanceUID for each in owed(node, name, kind)]
            for name in ("pacs", "workstation")
        ]
        assert (uids[0] == uids[1]) is same, kind


def test_a_report_made_again_has_the_same_uids(
    sending: Opening, headers: list[Dataset], exam: ExamFindings, tmp_path: Path
) -> None:
    made = []
    for folder in ("once", "again"):
        wishes = {"codes": "SRT", "max_marks": 3}
        node = sending(node={"data": tmp_path / folder}, workstation=wishes)
        case_id = reported(node, headers, exam)
        made.append([product.sop_uid for product in node.questions.products_of(case_id)])
    assert made[0] == made[1]


def test_the_most_suspicious_marks_are_shown_and_the_text_says_of_how_many(
    sending: Opening, headers: list[Dataset], exam: ExamFindings
) -> None:
    node = sending(workstation={"max_marks": 2})
    reported(node, headers, exam)
    for kind in ("cad_sr", "measurement_report"):
        objects = owed(node, "workstation", kind)
        assert {name for told in objects for name in findings(told)} == {
            "LCC mass 1",
            "LMLO mass 1",
        }
        for told in objects:
            assert (f"Shown are the 2 most suspicious of 5 findings{LAST}") in plain_text(told)


def test_marks_that_are_few_enough_are_all_shown_without_a_word(
    sending: Opening, headers: list[Dataset], exam: ExamFindings
) -> None:
    node = sending(workstation={"max_marks": 5})
    reported(node, headers, exam)
    told = only(owed(node, "workstation"))
    assert len(findings(told)) == 5
    assert "Shown are" not in plain_text(told)


def test_old_codes_and_short_meanings_are_written_where_they_are_wanted(
    sending: Opening, headers: list[Dataset], exam: ExamFindings
) -> None:
    node = sending(pacs={}, old={"codes": "SRT"}, short={"short_meanings": True})
    reported(node, headers, exam)
    values = {name: str(only(owed(node, name))) for name in ("pacs", "old", "short")}
    assert "F-01796" in values["old"]
    assert "129793001" not in values["old"]
    assert "129793001" in values["pacs"]
    assert "Presentation Required: Rendering" in values["pacs"]
    assert "Presentation Required: Rendering" not in values["short"]


@pytest.mark.parametrize(
    ("wish", "uid"),
    [
        ("explicit", ExplicitVRLittleEndian),
        ("implicit", ImplicitVRLittleEndian),
        ("deflated", DeflatedExplicitVRLittleEndian),
    ],
)
def test_objects_are_encoded_as_a_destination_wants_them(
    sending: Opening, headers: list[Dataset], exam: ExamFindings, wish: str, uid: str
) -> None:
    node = sending(pacs={"transfer_syntax": wish})
    case_id = reported(node, headers, exam)
    assert {product.transfer_syntax_uid for product in node.questions.products_of(case_id)} == {uid}
    for kind in ("cad_sr", "measurement_report", "segmentation"):
        for each in owed(node, "pacs", kind):
            assert each.file_meta.TransferSyntaxUID == uid
            assert each.PatientID == "SYN001"


def test_the_maker_has_the_name_that_a_destination_knows_it_by(
    sending: Opening, headers: list[Dataset], exam: ExamFindings
) -> None:
    node = sending(pacs={}, listing={"manufacturer": "FOUR VIEWS INC", "model": "FV-1"})
    reported(node, headers, exam)
    for kind in ("cad_sr", "measurement_report", "segmentation"):
        told = owed(node, "listing", kind)[0]
        assert (told.Manufacturer, told.ManufacturerModelName) == ("FOUR VIEWS INC", "FV-1")
        assert owed(node, "pacs", kind)[0].Manufacturer == "Four Views"


def test_to_wish_for_what_is_so_anyway_is_no_wish() -> None:
    same = Destination(name="pacs", **PACS, manufacturer="Four Views", model="fourviews")
    assert profile_of(same, Reporting()) == PLAIN
    assert Profile().words == ""


def test_a_later_round_replaces_what_its_own_destination_got(
    sending: Opening, headers: list[Dataset], exam: ExamFindings
) -> None:
    node = sending(pacs={}, workstation={"codes": "SRT"})
    reported(node, headers[:3], replace(exam, views=exam.views[:3]))
    former = {name: only(owed(node, name)).SOPInstanceUID for name in ("pacs", "workstation")}
    second = analyzed(node, headers[3:], exam)
    report(workshop(node), second)
    for name, uid in former.items():
        told = owed(node, name)[-1]
        (study,) = told.PredecessorDocumentsSequence
        replaced = study.ReferencedSeriesSequence[0].ReferencedSOPSequence[0]
        assert replaced.ReferencedSOPInstanceUID == uid


def exam_score(told: Dataset) -> float:
    (item,) = (item for _, item in walk(told) if is_named(item, codes.CERTAINTY_OF_IMPRESSION))
    return float(item.MeasuredValueSequence[0].NumericValue)


def test_no_score_is_less_than_that_of_its_parts_unless_they_are_wanted_as_given(
    sending: Opening, headers: list[Dataset], exam: ExamFindings
) -> None:
    node = sending(pacs={}, given={"scores": "as-given"})
    reported(node, headers, exam)
    told, given = only(owed(node, "pacs")), only(owed(node, "given"))
    probabilities = [
        value
        for mark in marks(told)
        for name, value in mark.scores
        if name == "Probability of cancer"
    ]
    assert exam_score(told) == max(probabilities) == 83.0
    assert (
        "Cancer score of the left breast: 83.0 %. Cancer score of the right breast: 3.0 %."
    ) in plain_text(told)
    assert (
        "Cancer score of the exam: 83.0 %, the highest of its parts "
        "(as a whole it was given 82.5 %)."
    ) in plain_text(told)
    assert plain_text(told).count("82.5 %") == 1
    assert "Cancer score of the exam: 82.5 %." in plain_text(given)
    assert "LCC (score 83.0 %)" in plain_text(told)
    assert exam_score(given) == 82.5
    assert "as a whole" not in plain_text(given)
    assert "LCC (score 80.0 %)" in plain_text(given)


def test_who_does_not_judge_is_given_no_score(masses_only: ExamFindings) -> None:
    assert consistent(masses_only) == (masses_only, ())


def test_scores_agree_whatever_was_given(exam: ExamFindings) -> None:
    for given in (0.0, 0.2, 0.9, 1.0):
        told, _ = consistent(replace(exam, cancer_score=given))
        assert told.cancer_score is not None
        for view in told.views:
            assert view.cancer_score is not None
            assert view.cancer_score <= told.cancer_score
            for found in view.findings:
                assert (found.cancer_score or 0.0) <= view.cancer_score
        assert told.cancer_score >= given


def test_a_presentation_state_says_that_marks_were_left_out(
    sending: Opening, headers: list[Dataset], exam: ExamFindings
) -> None:
    node = sending(viewer={"objects": ["presentation_state"], "max_marks": 1})
    reported(node, headers, exam)
    state = only(owed(node, "viewer", "presentation_state"))
    *_, statement = state.GraphicAnnotationSequence[0].TextObjectSequence
    assert statement.UnformattedTextValue.endswith("those without a cancer score come last.")
    assert "Shown are the 1 most suspicious of 5 findings;" in statement.UnformattedTextValue


def test_findings_at_another_operating_point_are_shown_and_named_alike(
    sending: Opening, headers: list[Dataset], exam: ExamFindings
) -> None:
    views = tuple(replace(view, findings=view.findings[:1]) for view in exam.views)
    quiet = replace(exam, operating_point="quiet", views=views)
    node = sending(pacs={}, workstation={"operating_point": "quiet"})
    case_id = analyzed(node, headers, exam)
    also_read_at(node, case_id, quiet)
    report(workshop(node), case_id)
    all_of_them, few = only(owed(node, "pacs")), only(owed(node, "workstation"))
    assert len(findings(all_of_them)) == 5
    assert findings(few) == {"LCC mass 1", "LMLO mass 1"}
    assert "operating point quiet" in plain_text(few)
    uids = {mark.tracking_id: mark.tracking_uid for mark in marks(all_of_them)}
    assert all(uids[mark.tracking_id] == mark.tracking_uid for mark in marks(few))


def test_to_wish_for_the_point_that_was_read_at_is_no_wish(
    sending: Opening, headers: list[Dataset], exam: ExamFindings
) -> None:
    node = sending(pacs={}, workstation={"operating_point": exam.operating_point})
    case_id = reported(node, headers, exam)
    assert {product.profile for product in node.questions.products_of(case_id)} == {""}


def test_a_study_that_was_not_read_at_a_point_says_what_to_do(
    sending: Opening, headers: list[Dataset], exam: ExamFindings
) -> None:
    node = sending(workstation={"operating_point": "sensitive"})
    case_id = analyzed(node, headers, exam)
    with pytest.raises(NotReadThere, match="was not read at operating point sensitive"):
        report(workshop(node), case_id)
    case = node.questions.case(case_id)
    assert case is not None
    assert "take it out of delivering.destinations" in case.reason


def test_an_operating_point_that_no_card_names_is_found_out_at_the_start(
    sending: Opening,
) -> None:
    node = sending(workstation={"operating_point": "bold"})
    with pytest.raises(Misconfigured, match="no operating point 'bold'"):
        assert node.cards


def test_a_report_at_another_operating_point_replaces_the_one_that_its_destination_has(
    sending: Opening, headers: list[Dataset], exam: ExamFindings
) -> None:
    node = sending(pacs={}, workstation={"operating_point": "quiet", "max_marks": 1})
    for fresh, views in ((headers[:3], exam.views[:3]), (headers[3:], exam.views)):
        seen = replace(exam, views=views)
        case_id = analyzed(node, fresh, seen)
        also_read_at(node, case_id, replace(seen, operating_point="quiet"))
        report(workshop(node), case_id)
    first, second = owed(node, "workstation", "measurement_report")
    for kind in ("cad_sr", "measurement_report"):
        said = plain_text(owed(node, "workstation", kind)[-1])
        assert "Round 2: replaces the report of round 1; LMLO added." in said
    series = second.PredecessorDocumentsSequence[0].ReferencedSeriesSequence[0]
    assert series.ReferencedSOPSequence[0].ReferencedSOPInstanceUID == first.SOPInstanceUID
    assert series.SeriesInstanceUID == first.SeriesInstanceUID


def also_read_at(node: Node, case_id: int, seen: ExamFindings) -> None:
    path = f"cases/{seen.operating_point}-{case_id}.json"
    kept = {"path": path, "sha256": node.spool.write(path, pack(seen))}
    with node.ledger.writing() as session:
        run = session.scalars(select(ModelRun).where(ModelRun.case_id == case_id)).one()
        run.elsewhere = {seen.operating_point: kept}
