"""What CC and MLO show of one lesion is one feature of the CAD SR, for those who want it so."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from pydicom.dataset import Dataset

from dicom_node.reporting import codes
from dicom_node.reporting.circumstances import Circumstances
from dicom_node.reporting.codes import Concept
from dicom_node.reporting.frame import encoded
from dicom_node.reporting.maker import Maker
from dicom_node.reporting.marks import children, is_named, marks, named, walk
from dicom_node.reporting.profile import PLAIN, Profile
from dicom_node.reporting.proof import Unsound, prove
from dicom_node.reporting.report import report
from inference.findings import ExamFindings
from tests.servers import validators

TIED = Profile(two_view=True)
PAIRS = 1  # the exam's LCC mass 1 and LMLO mass 1


@pytest.fixture
def headers(headers: list[Dataset]) -> list[Dataset]:
    for header in headers:
        header.ImagerPixelSpacing = [0.5, 0.5]
    return headers


@pytest.fixture
def exam(exam: ExamFindings) -> ExamFindings:
    """Let the nipple be seen, without which nothing is paired."""
    return replace(exam, views=tuple(replace(view, nipple=(290.0, 200.0)) for view in exam.views))


@pytest.fixture
def build(
    headers: list[Dataset], exam: ExamFindings, maker: Maker, first_round: Circumstances
) -> Callable[[Profile], Dataset]:
    def built(profile: Profile) -> Dataset:
        (only,) = report(headers, exam, maker, first_round, frozenset({"cad_sr"}), profile)
        return only.dataset

    return built


def features(dataset: Dataset) -> list[Dataset]:
    return [item for _, item in walk(dataset) if is_named(item, codes.COMPOSITE_FEATURE)]


def test_a_pair_is_one_feature_and_all_else_stays_as_it_is(
    build: Callable[[Profile], Dataset], exam: ExamFindings
) -> None:
    tied, plain = build(TIED), build(PLAIN)
    (feature,) = features(tied)
    assert features(plain) == []
    held = [child for child in children(feature) if child.RelationshipType == "INFERRED FROM"]
    names = [named(child, codes.TRACKING_IDENTIFIER) for child in held]
    assert [name.TextValue for name in names if name] == ["LCC mass 1", "LMLO mass 1"]
    assert len(marks(tied)) == len(marks(plain)) == 2 * len(exam.findings)
    opinions = [item for _, item in walk(tied) if is_named(item, codes.INDIVIDUAL_IMPRESSION)]
    assert len(opinions) == len(exam.findings) - PAIRS
    assert {mark.tracking_uid for mark in marks(tied)} == {m.tracking_uid for m in marks(plain)}
    assert tied.SOPInstanceUID != plain.SOPInstanceUID


def test_a_feature_is_as_sure_as_its_surest_finding(build: Callable[[Profile], Dataset]) -> None:
    (feature,) = features(build(TIED))
    certainty = named(feature, codes.CERTAINTY_OF_FEATURE)
    cancer = named(feature, codes.PROBABILITY_OF_CANCER)
    assert certainty is not None
    assert cancer is not None
    assert certainty.MeasuredValueSequence[0].NumericValue == 91.3
    assert cancer.MeasuredValueSequence[0].NumericValue == 83


@pytest.mark.parametrize("scheme", ["SCT", "SRT"])
def test_every_validator_accepts_it(
    scheme: str,
    tmp_path: Path,
    headers: list[Dataset],
    exam: ExamFindings,
    maker: Maker,
    first_round: Circumstances,
) -> None:
    profile = replace(TIED, codes=scheme, short_meanings=scheme == "SRT")
    (built,) = report(headers, exam, maker, first_round, frozenset({"cad_sr"}), profile)
    prove(built.dataset, headers, exam, profile=profile)
    path = tmp_path / "cad.dcm"
    path.write_bytes(encoded(built.dataset))
    assert validators.dciodvfy_errors(path) == []
    assert validators.dsrdump_errors(path) == []
    assert validators.pixelmed_errors([path]) == []


def without(item: Dataset, concept: Concept) -> None:
    item.ContentSequence = [child for child in children(item) if not is_named(child, concept)]


def said(item: Dataset, concept: Concept) -> Dataset:
    found = named(item, concept)
    assert found is not None
    return found


def one_finding_left(feature: Dataset) -> None:
    feature.ContentSequence = list(feature.ContentSequence)[:-1]


def related_otherwise(feature: Dataset) -> None:
    said(feature, codes.COMPOSITE_TYPE).ConceptCodeSequence[0].CodeValue = "111153"


def contained(feature: Dataset) -> None:
    feature.ContentSequence[-1].RelationshipType = "CONTAINS"


def named_after_a_finding(feature: Dataset) -> None:
    finding = said(feature, codes.SINGLE_IMAGE_FINDING)
    own = said(feature, codes.TRACKING_UNIQUE_IDENTIFIER)
    own.UID = said(finding, codes.TRACKING_UNIQUE_IDENTIFIER).UID


def another_certainty(feature: Dataset) -> None:
    said(feature, codes.CERTAINTY_OF_FEATURE).MeasuredValueSequence[0].NumericValue = "80"


def in_millimeters(feature: Dataset) -> None:
    measured = said(feature, codes.CERTAINTY_OF_FEATURE).MeasuredValueSequence[0]
    measured.MeasurementUnitsCodeSequence[0].CodeValue = "mm"


def another_algorithm(feature: Dataset) -> None:
    said(feature, codes.ALGORITHM_NAME).TextValue = "somebody_else"


def calcifications(feature: Dataset) -> None:
    feature.ConceptCodeSequence[0].CodeValue = "129769006"


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (one_finding_left, "that are no pair"),
        (related_otherwise, "does not say 'Target content items are related spatially'"),
        (contained, "that are no pair"),
        (named_after_a_finding, "has no tracking UID of its own"),
        (another_certainty, "another Certainty of Feature"),
        (in_millimeters, "other units than percent"),
        (another_algorithm, "another Algorithm Name"),
        (calcifications, "is not called Mammographic breast mass"),
        (lambda item: without(item, codes.SCOPE_OF_FEATURE), "detected on multiple images"),
        (lambda item: without(item, codes.RENDERING_INTENT), "Presentation Required"),
        (lambda item: without(item, codes.PROBABILITY_OF_CANCER), "has no Probability of cancer"),
        (lambda item: without(item, codes.TRACKING_IDENTIFIER), "another Tracking Identifier"),
        (lambda item: without(item, codes.TRACKING_UNIQUE_IDENTIFIER), "no tracking UID"),
    ],
)
def test_a_spoiled_feature_does_not_leave(
    spoil: Callable[[Dataset], None],
    reason: str,
    build: Callable[[Profile], Dataset],
    headers: list[Dataset],
    exam: ExamFindings,
) -> None:
    dataset = build(TIED)
    prove(dataset, headers, exam, profile=TIED)
    spoil(features(dataset)[0])
    with pytest.raises(Unsound, match=reason):
        prove(dataset, headers, exam, profile=TIED)


def test_a_feature_that_is_not_wanted_does_not_leave_and_one_that_is_missing_is_missed(
    build: Callable[[Profile], Dataset], headers: list[Dataset], exam: ExamFindings
) -> None:
    with pytest.raises(Unsound, match="0 lesions are seen in two views, the report ties 1"):
        prove(build(TIED), headers, exam, profile=PLAIN)
    with pytest.raises(Unsound, match="1 lesions are seen in two views, the report ties 0"):
        prove(build(PLAIN), headers, exam, profile=TIED)
