import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from io import BytesIO

import numpy as np
import pytest
from pydicom import config, dcmread
from pydicom.dataset import Dataset
from pydicom.uid import ComprehensiveSRStorage, ExplicitVRLittleEndian, MammographyCADSRStorage

from dicom_node.reporting.circumstances import Circumstances, Predecessor
from dicom_node.reporting.frame import encoded
from dicom_node.reporting.maker import Maker
from dicom_node.reporting.marks import marks, plain_text
from dicom_node.reporting.naming import uid
from dicom_node.reporting.profile import Profile
from dicom_node.reporting.proof import prove
from dicom_node.reporting.report import KINDS, Built, report
from dicom_node.reporting.sources import bundle_words
from inference.findings import Box, ExamFindings, Mask, ViewFindings

CAD = frozenset({"cad_sr"})
MEASURED = frozenset({"measurement_report"})


def second_round(predecessor: Predecessor | None = None, images_added: int = 1) -> Circumstances:
    return Circumstances(2, datetime(2025, 9, 1, 11, 0, tzinfo=UTC), predecessor, images_added)


def kinds(built: Sequence[Built]) -> list[str]:
    return [each.kind for each in built]


def only(built: Sequence[Built]) -> Dataset:
    (one,) = built
    return one.dataset


def with_views(exam: ExamFindings, views: Sequence[ViewFindings]) -> ExamFindings:
    return replace(exam, views=tuple(views))


def test_findings_become_a_cad_sr_and_a_measurement_report_and_a_segmentation_an_image(
    headers: list[Dataset], exam: ExamFindings, maker: Maker, first_round: Circumstances
) -> None:
    built = report(headers, exam, maker, first_round, KINDS)
    assert kinds(built) == ["cad_sr", *2 * ["measurement_report"], *2 * ["segmentation"]]
    for each in built:
        prove(each.dataset, headers, exam)


def test_an_exam_without_findings_becomes_a_cad_sr_alone(
    headers: list[Dataset], clear_exam: ExamFindings, maker: Maker, first_round: Circumstances
) -> None:
    built = report(headers, clear_exam, maker, first_round, KINDS)
    assert kinds(built) == ["cad_sr"]
    prove(only(built), headers, clear_exam)
    assert "All algorithms succeeded; without findings" in plain_text(only(built))
    assert marks(only(built)) == []


def test_only_what_is_wanted_is_built(
    headers: list[Dataset], exam: ExamFindings, maker: Maker, first_round: Circumstances
) -> None:
    assert kinds(report(headers, exam, maker, first_round, MEASURED)) == 2 * ["measurement_report"]
    assert report(headers, exam, maker, first_round, frozenset()) == []
    with pytest.raises(ValueError, match="hologram"):
        report(headers, exam, maker, first_round, frozenset({"hologram"}))


def test_a_finding_without_a_mask_is_outlined_but_not_segmented(
    headers: list[Dataset], exam: ExamFindings, maker: Maker, first_round: Circumstances
) -> None:
    boxed = exam.views[3].findings[2]
    views = [replace(view, findings=()) for view in exam.views]
    views[3] = replace(views[3], findings=(boxed,))
    alone = with_views(exam, views)
    built = report(headers, alone, maker, first_round, KINDS)
    assert kinds(built) == ["cad_sr", "measurement_report"]
    for each in built:
        prove(each.dataset, headers, alone)


def test_the_same_inputs_make_the_same_bytes(
    headers: list[Dataset], exam: ExamFindings, maker: Maker, first_round: Circumstances
) -> None:
    first = [encoded(each.dataset) for each in report(headers, exam, maker, first_round, KINDS)]
    time.sleep(1.01)  # a clock read anywhere would show
    again = [encoded(each.dataset) for each in report(headers, exam, maker, first_round, KINDS)]
    assert first == again


def test_the_clock_is_the_circumstances_alone(
    headers: list[Dataset], exam: ExamFindings, maker: Maker
) -> None:
    long_ago = datetime(2001, 2, 3, 4, 5, 6, tzinfo=timezone(timedelta(hours=2)))
    for each in report(headers, exam, maker, Circumstances(1, long_ago, None, 0), KINDS):
        dataset = each.dataset
        for what in ("InstanceCreation", "Series", "Content"):
            assert dataset.get(f"{what}Date") == "20010203"
            assert dataset.get(f"{what}Time") == "040506"
        this_year = datetime.now(UTC).strftime("%Y").encode()
        assert this_year not in {
            str(element.value)[:4].encode()
            for element in dataset.iterall()
            if element.VR in {"DA", "DT"} and element.keyword != "StudyDate"
        }


def test_a_time_without_a_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="time zone"):
        Circumstances(1, datetime(2025, 9, 1), None, 0)  # noqa: DTZ001 - the point of the test


def test_every_object_belongs_to_the_study_and_names_its_maker(
    headers: list[Dataset], exam: ExamFindings, maker: Maker, first_round: Circumstances
) -> None:
    for each in report(headers, exam, maker, first_round, KINDS):
        dataset = dcmread(BytesIO(encoded(each.dataset)))
        assert dataset.file_meta.TransferSyntaxUID == ExplicitVRLittleEndian
        assert dataset.StudyInstanceUID == headers[0].StudyInstanceUID
        assert dataset.PatientName == "Ĝarcía^Zoë"
        assert dataset.AccessionNumber == "ACC1"
        assert dataset.PatientAge == "060Y"
        assert dataset.StudyDescription == "MAMMO SCREENING"
        assert dataset.Manufacturer == "Nobody"
        assert dataset.ManufacturerModelName == "Four Views"
        assert dataset.SoftwareVersions == "0.1.0"
        assert dataset.SeriesNumber >= 9000
        assert dataset.SeriesDescription.startswith("AI ")
        assert "research use" in dataset.SeriesDescription


def test_a_maker_has_to_say_research_use() -> None:
    with pytest.raises(ValueError, match="research use"):
        Maker("Nobody", "Four Views", "0.1.0", "SN-1", "Trust me.")


def test_every_object_has_its_own_series(
    headers: list[Dataset], exam: ExamFindings, maker: Maker, first_round: Circumstances
) -> None:
    rounds = (first_round, second_round())
    built = [
        each.dataset for round_ in rounds for each in report(headers, exam, maker, round_, KINDS)
    ]
    assert len({dataset.SeriesInstanceUID for dataset in built}) == len(built) == 10
    assert len({dataset.SOPInstanceUID for dataset in built}) == 10
    assert len({dataset.SeriesNumber for dataset in built}) == 10


def test_a_later_round_names_the_report_it_replaces(
    headers: list[Dataset], exam: ExamFindings, maker: Maker, first_round: Circumstances
) -> None:
    before = only(report(headers, exam, maker, first_round, CAD))
    named = Predecessor(MammographyCADSRStorage, before.SOPInstanceUID, before.SeriesInstanceUID, 1)
    after = only(report(headers, exam, maker, second_round(named), CAD))
    prove(after, headers, exam)
    study = after.PredecessorDocumentsSequence[0]
    series = study.ReferencedSeriesSequence[0]
    assert study.StudyInstanceUID == before.StudyInstanceUID
    assert series.SeriesInstanceUID == before.SeriesInstanceUID
    assert series.ReferencedSOPSequence[0].ReferencedSOPInstanceUID == before.SOPInstanceUID
    said = "Round 2: replaces the report of round 1; 1 image added."
    assert said in plain_text(after)
    assert said not in plain_text(before)


@pytest.mark.parametrize(
    ("replaces", "added", "words"),
    [
        (1, 0, "Round 3: replaces the report of round 1."),
        (2, 1, "Round 3: replaces the report of round 2; 1 image added."),
        (1, 3, "Round 3: replaces the report of round 1; 3 images added."),
        (None, 1, "Round 3; 1 image added."),
    ],
)
def test_the_change_is_a_sentence_and_claims_no_report_that_never_was(
    replaces: int | None, added: int, words: str
) -> None:
    before = replaces and Predecessor(MammographyCADSRStorage, uid("old"), uid("series"), replaces)
    third = replace(second_round(before or None, images_added=added), round=3)
    assert third.change == words


@pytest.mark.parametrize(
    ("offset", "told", "clock"),
    [
        ("+0200", "+0200", "20250902003000"),
        ("-0930", "-0930", "20250901130000"),
        ("soon", None, "20250901223000"),  # no offset at all: it is left out
    ],
)
def test_times_are_told_in_the_offset_that_the_images_say(
    headers: list[Dataset],
    exam: ExamFindings,
    maker: Maker,
    offset: str,
    told: str | None,
    clock: str,
) -> None:
    made_at = datetime(2025, 9, 1, 22, 30, tzinfo=UTC)
    with config.disable_value_validation():
        for header in headers:
            header.TimezoneOffsetFromUTC = offset
    for each in report(headers, exam, maker, Circumstances(1, made_at, None, 0), KINDS):
        dataset = each.dataset
        assert dataset.get("TimezoneOffsetFromUTC") == told
        assert dataset.ContentDate + dataset.ContentTime == clock


def test_a_report_replaces_only_a_report_of_its_own_kind(
    headers: list[Dataset], exam: ExamFindings, maker: Maker
) -> None:
    named = Predecessor(ComprehensiveSRStorage, uid("old"), uid("old series"), 1)
    built = only(report(headers, exam, maker, second_round(named), CAD))
    assert "PredecessorDocumentsSequence" not in built


def test_a_measurement_report_is_about_one_image_and_says_so(
    headers: list[Dataset], exam: ExamFindings, maker: Maker, first_round: Circumstances
) -> None:
    built = report(headers, exam, maker, first_round, MEASURED)
    for each, name, place in zip(built, ("LCC", "LMLO"), (1, 3), strict=True):
        dataset, image_uid = each.dataset, headers[place].SOPInstanceUID
        assert dataset.SeriesDescription == f"AI measurements {name}, research use only"
        assert {mark.sop_instance_uid for mark in marks(dataset)} == {image_uid}
        assert f"This report holds the findings in {name} alone." in plain_text(dataset)
        others = {header.SOPInstanceUID for header in headers} - {image_uid}
        assert not any(other.encode() in encoded(dataset) for other in others)


def test_a_measurement_report_replaces_the_newest_one_about_the_same_image(
    headers: list[Dataset], exam: ExamFindings, maker: Maker, first_round: Circumstances
) -> None:
    words = bundle_words(exam)
    old = [each.dataset for each in report(headers, exam, maker, first_round, MEASURED)]
    before = [
        Predecessor(one.SOPClassUID, one.SOPInstanceUID, one.SeriesInstanceUID, 1, words)
        for one in old
    ]
    elsewhere = Predecessor(ComprehensiveSRStorage, uid("of round 2"), uid("its series"), 2, words)
    former = (elsewhere, *reversed(before))
    third = Circumstances(3, first_round.made_at, elsewhere, 1, former)
    for each, replaced in zip(report(headers, exam, maker, third, MEASURED), old, strict=True):
        prove(each.dataset, headers, exam)
        series = each.dataset.PredecessorDocumentsSequence[0].ReferencedSeriesSequence[0]
        assert series.SeriesInstanceUID == replaced.SeriesInstanceUID
        named = series.ReferencedSOPSequence[0].ReferencedSOPInstanceUID
        assert named == replaced.SOPInstanceUID
        assert "Round 3: replaces the report of round 1; 1 image" in plain_text(each.dataset)
    new = replace(third, former=(elsewhere,))
    for each in report(headers, exam, maker, new, MEASURED):
        assert "PredecessorDocumentsSequence" not in each.dataset
        assert "Round 3; 1 image added." in plain_text(each.dataset)


def test_a_lesion_has_one_tracking_uid_in_all_objects_and_rounds(
    headers: list[Dataset], exam: ExamFindings, maker: Maker, first_round: Circumstances
) -> None:
    cad, measured_cc, measured_mlo, left_cc, _ = (
        each.dataset for each in report(headers, exam, maker, first_round, KINDS)
    )
    later = only(report(headers, exam, maker, second_round(), CAD))
    tracked = {mark.tracking_uid for mark in marks(cad)}
    assert len(tracked) == 5
    measured = [*marks(measured_cc), *marks(measured_mlo)]
    assert tracked == {mark.tracking_uid for mark in measured}
    assert len(measured) == 5
    assert tracked == {mark.tracking_uid for mark in marks(later)}
    assert {segment.TrackingUID for segment in left_cc.SegmentSequence} < tracked


def test_a_segment_of_several_lesions_names_them_all(
    headers: list[Dataset], exam: ExamFindings, maker: Maker, first_round: Circumstances
) -> None:
    left_mlo = report(headers, exam, maker, first_round, KINDS)[4].dataset
    mass, calcifications = left_mlo.SegmentSequence
    assert mass.TrackingID == "LMLO mass 1, LMLO mass 2"
    assert "TrackingID" not in calcifications
    assert calcifications.SegmentLabel == "Calcifications"


def test_two_findings_in_one_place_have_two_tracking_uids(
    headers: list[Dataset], exam: ExamFindings, maker: Maker, first_round: Circumstances
) -> None:
    twice = exam.views[1].findings[0]
    views = list(exam.views)
    views[1] = replace(views[1], findings=(twice, twice))
    doubled = with_views(exam, views)
    cad = only(report(headers, doubled, maker, first_round, CAD))
    prove(cad, headers, doubled)


def test_a_segmentation_holds_the_masks_pixel_for_pixel(
    headers: list[Dataset], exam: ExamFindings, maker: Maker, first_round: Circumstances
) -> None:
    left_cc = report(headers, exam, maker, first_round, KINDS)[3].dataset
    pixels = dcmread(BytesIO(encoded(left_cc))).pixel_array
    for frame, finding in zip(pixels, exam.views[1].findings, strict=True):
        assert finding.mask is not None
        assert np.array_equal(frame, finding.mask.on(640, 512))


def test_masks_of_odd_width_keep_their_pixels(
    headers: list[Dataset], exam: ExamFindings, maker: Maker, first_round: Circumstances
) -> None:
    for header in headers:
        header.Rows, header.Columns = 451, 389
    segmentations = report(headers, exam, maker, first_round, frozenset({"segmentation"}))
    for each in segmentations:
        prove(each.dataset, headers, exam)
        assert each.dataset.Columns == 389


def test_old_codes_and_short_meanings_are_spelled_where_a_destination_wants_them(
    headers: list[Dataset], exam: ExamFindings, maker: Maker, first_round: Circumstances
) -> None:
    profile = Profile(codes="SRT", short_meanings=True)
    cad = only(report(headers, exam, maker, first_round, CAD, profile))
    prove(cad, headers, exam, profile=profile)
    written = encoded(cad)
    assert b"F-01796" in written
    assert b"T-04030" in written
    assert b"129793001" not in written
    assert b"Presentation Required:" not in written


def test_scores_are_percentages_and_no_score_is_no_item(
    headers: list[Dataset], exam: ExamFindings, maker: Maker, first_round: Circumstances
) -> None:
    for each in report(headers, exam, maker, first_round, CAD | MEASURED)[:2]:
        scores = {mark.tracking_id: dict(mark.scores) for mark in marks(each.dataset)}
        assert scores["LCC mass 1"] == {"Certainty of Finding": 91.3, "Probability of cancer": 83.0}
        assert scores["LCC calcification 1"] == {"Certainty of Finding": 60.0}


def test_a_header_as_bad_as_they_come_still_gets_its_reports(
    headers: list[Dataset], exam: ExamFindings, maker: Maker, first_round: Circumstances
) -> None:
    for header in headers:
        header.SpecificCharacterSet = ["", "ISO 2022 IR 87"]
        header.PatientName = "Yamada^Tarou=山田^太郎=やまだ^たろう"
        for keyword in ("AccessionNumber", "StudyID", "PatientBirthDate", "ReferringPhysicianName"):
            del header[keyword]
        for keyword in ("PatientOrientation", "ImagerPixelSpacing", "Manufacturer", "StudyTime"):
            del header[keyword]
        header.FrameOfReferenceUID = uid("frame of reference")
        header.Laterality = header.ImageLaterality
        del header.ImageLaterality, header.RequestAttributesSequence, header.ViewCodeSequence
        header.VOILUTFunction = ""
    built = report(headers, exam, maker, first_round, KINDS)
    assert len(built) == 5
    for each in built:
        prove(each.dataset, headers, exam)
    for each in built[:3]:
        assert "unknown" not in plain_text(each.dataset)


def test_an_image_that_was_not_read_is_not_spoken_of(
    headers: list[Dataset], exam: ExamFindings, maker: Maker, first_round: Circumstances
) -> None:
    three = with_views(exam, exam.views[1:])
    for each in report(headers, three, maker, first_round, KINDS):
        prove(each.dataset, headers, three)
        assert headers[0].SOPInstanceUID.encode() not in encoded(each.dataset)


def test_findings_without_their_header_are_refused(
    headers: list[Dataset], exam: ExamFindings, maker: Maker, first_round: Circumstances
) -> None:
    with pytest.raises(ValueError, match="LMLO was read from"):
        report(headers[:3], exam, maker, first_round, KINDS)


def test_headers_of_two_studies_are_refused(
    headers: list[Dataset], exam: ExamFindings, maker: Maker, first_round: Circumstances
) -> None:
    headers[0].StudyInstanceUID = uid("another study")
    with pytest.raises(ValueError, match="2 studies"):
        report(headers, exam, maker, first_round, KINDS)


def test_findings_that_cannot_be_are_refused(
    headers: list[Dataset], exam: ExamFindings, maker: Maker, first_round: Circumstances
) -> None:
    good = exam.views[1].findings[0]
    outside = Mask(500, 0, np.ones((20, 20), dtype=np.bool_))
    for bad in (
        replace(good, score=float("nan")),
        replace(good, cancer_score=1.5),
        replace(good, box=Box(600, 0, 700, 50)),
        replace(good, box=Box(50, 50, 50, 60)),
        replace(good, mask=outside),
    ):
        views = list(exam.views)
        views[1] = replace(views[1], findings=(bad,))
        with pytest.raises(ValueError, match="LCC mass 1"):
            report(headers, with_views(exam, views), maker, first_round, KINDS)
