"""A report of what several systems agreed on tells a radiologist who saw what."""

from collections.abc import Sequence
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import pytest
import validators
from pydicom import dcmread
from pydicom.dataset import Dataset

from dicom_node.reporting.circumstances import Circumstances
from dicom_node.reporting.frame import encoded
from dicom_node.reporting.maker import Maker
from dicom_node.reporting.marks import plain_text
from dicom_node.reporting.proof import Unsound, prove
from dicom_node.reporting.report import KINDS, Built, report
from inference.findings import ExamFindings, Kind

CAD, MEASURED, SEGMENTED = "cad_sr", "measurement_report", "segmentation"
MASS = "marked by 2 of 2 that look for masses (shared_trunk 91.3 %, ft_mtl 30.4 %)"
CALCIFICATION = "marked by 1 of 1 that look for calcifications (shared_trunk 60.0 %)"


@pytest.fixture
def built(
    headers: list[Dataset], agreement: ExamFindings, maker: Maker, first_round: Circumstances
) -> list[Built]:
    return report(headers, agreement, maker, first_round, KINDS)


def of_kind(built: Sequence[Built], kind: str) -> Dataset:
    """Return the first of a kind: of measurement reports and segmentations, the LCC's."""
    return dcmread(BytesIO(encoded(next(each.dataset for each in built if each.kind == kind))))


def lines(dataset: Dataset) -> list[str]:
    return [line.strip() for line in plain_text(dataset).splitlines()]


def test_every_object_passes_its_proof(
    built: list[Built], headers: list[Dataset], agreement: ExamFindings
) -> None:
    assert [each.kind for each in built] == [CAD, MEASURED, MEASURED, SEGMENTED, SEGMENTED]
    for each in built:
        prove(each.dataset, headers, agreement)


@pytest.mark.parametrize("kind", [CAD, MEASURED])
def test_the_words_name_the_systems_their_scores_and_who_saw_each_finding(
    built: list[Built], kind: str
) -> None:
    begins = ("Impression Description: ", "Comment: ")
    (words,) = (line for line in lines(of_kind(built, kind)) if line.startswith(begins))
    for sentence in (
        "Agreement of shared_trunk 1.2.0 at operating point quiet, ft_mtl 1.0.0 at operating point",
        " and all_conv 0.3.0 at operating point quiet: 5 findings in RCC (score 3.0 %), ",
        "Cancer score of the exam: 82.5 % (shared_trunk 70.0 %, ft_mtl 91.0 %).",
        "Looked for masses (shared_trunk, ft_mtl) and calcifications (shared_trunk).",
        f"LCC mass 1: {MASS}.",
        f"LCC calcification 1: 6 calcifications in a group; {CALCIFICATION}.",
    ):
        assert sentence in words


@pytest.mark.parametrize(("kind", "count"), [(CAD, 5), (MEASURED, 2)])
def test_each_finding_says_who_saw_it(built: list[Built], kind: str, count: int) -> None:
    told = lines(of_kind(built, kind))
    assert told.count(f"Algorithm Parameters: {MASS}") == 1
    assert told.count(f"Algorithm Parameters: {CALCIFICATION}") == 1
    assert sum(line.startswith("Algorithm Parameters: marked by") for line in told) == count
    assert "Algorithm Name: agreement" in told
    assert "Algorithm Version: 1.2.0+1.0.0+0.3.0" in told


def test_every_object_names_the_weights_of_every_member(
    built: list[Built], agreement: ExamFindings
) -> None:
    for kind in (CAD, MEASURED, SEGMENTED):
        dataset = of_kind(built, kind)
        if kind == SEGMENTED:
            algorithm = dataset.SegmentSequence[0].SegmentationAlgorithmIdentificationSequence[0]
            text = str(algorithm.AlgorithmParameters)
        else:
            text = plain_text(dataset)
        for member in agreement.members:
            assert f"member {member.name}" in text
            assert member.digest in text


def test_a_finding_that_does_not_say_who_saw_it_is_unsound(
    built: list[Built], headers: list[Dataset], agreement: ExamFindings
) -> None:
    views = tuple(
        replace(
            view,
            findings=tuple(
                replace(found, scores=tuple(score / 2 for score in found.scores))
                for found in view.findings
            ),
        )
        for view in agreement.views
    )
    other = replace(agreement, views=views)
    for each in built[:2]:
        with pytest.raises(Unsound) as caught:
            prove(each.dataset, headers, other)
        assert "LCC mass 1 does not say who saw it" in caught.value.reasons
        assert any("no text of the report says 'LCC mass 1" in r for r in caught.value.reasons)


def test_an_agreement_that_does_not_say_who_saw_a_finding_is_refused(
    headers: list[Dataset], agreement: ExamFindings, maker: Maker, first_round: Circumstances
) -> None:
    views = tuple(
        replace(view, findings=tuple(replace(found, scores=()) for found in view.findings))
        for view in agreement.views
    )
    with pytest.raises(ValueError, match="LCC mass 1 does not say who of 3 saw it"):
        report(headers, replace(agreement, views=views), maker, first_round, KINDS)


def test_an_agreement_of_those_who_mark_nothing_and_judge_says_so(
    headers: list[Dataset], agreement: ExamFindings, maker: Maker, first_round: Circumstances
) -> None:
    views = tuple(replace(view, findings=()) for view in agreement.views)
    members = tuple(replace(member, marks=()) for member in agreement.members)
    silent = replace(agreement, marks=(), views=views, members=members)
    (cad,) = report(headers, silent, maker, first_round, KINDS)
    prove(cad.dataset, headers, silent)
    words = plain_text(cad.dataset)
    assert "The systems score views and the exam; they mark nothing." in words
    assert "and all_conv 0.3.0 at operating point quiet read RCC (score 3.0 %)" in words


def test_an_agreement_on_masses_that_nobody_judged_says_so(
    headers: list[Dataset], agreement: ExamFindings, maker: Maker, first_round: Circumstances
) -> None:
    views = tuple(replace(view, findings=(), cancer_score=None) for view in agreement.views)
    members = tuple(replace(member, marks=(Kind.MASS,)) for member in agreement.members)
    unjudged = replace(
        agreement, marks=(Kind.MASS,), cancer_score=None, views=views, members=members
    )
    (cad,) = report(headers, unjudged, maker, first_round, KINDS)
    prove(cad.dataset, headers, unjudged)
    assert "Looked for masses only. Nobody judged cancer." in plain_text(cad.dataset)


def test_dciodvfy_and_dcmtk_accept_it(built: list[Built], tmp_path: Path) -> None:
    for number, each in enumerate(built):
        path = tmp_path / f"{number}.dcm"
        path.write_bytes(encoded(each.dataset))
        assert validators.dciodvfy_errors(path) == []
        if each.kind != SEGMENTED:
            assert validators.dsrdump_errors(path) == []


def test_pixelmed_accepts_it(
    headers: list[Dataset],
    agreement: ExamFindings,
    maker: Maker,
    first_round: Circumstances,
    tmp_path: Path,
) -> None:
    one_view = replace(agreement, views=agreement.views[1:2])  # its time grows with the tree
    paths = []
    for each in report(headers, one_view, maker, first_round, frozenset({CAD, MEASURED})):
        paths.append(tmp_path / f"{each.kind}.dcm")
        paths[-1].write_bytes(encoded(each.dataset))
    assert validators.pixelmed_errors(paths) == []
