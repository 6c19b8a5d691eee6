"""Which findings are shown where not all are, and what is said of the exam's own score."""

import re
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace

import pytest
from conftest import lightbox_of
from pydicom import Dataset

from dicom_node.reporting.circumstances import Circumstances
from dicom_node.reporting.common_proof import Origin
from dicom_node.reporting.maker import Maker
from dicom_node.reporting.profile import PLAIN, Profile
from dicom_node.reporting.proof import Unsound, prove
from dicom_node.reporting.report import report as build
from dicom_node.reporting.shown import shown
from inference.findings import Box, Correction, ExamFindings, Finding, Kind, Member
from inference.scores import corrected

LAST = "; those without a cancer score come last."


def one_view(exam: ExamFindings, *scores: tuple[float, float | None]) -> ExamFindings:
    """See masses of these certainties and cancer scores in one view."""
    masses = tuple(
        Finding(Kind.MASS, Box(60 * n, 90, 60 * n + 40, 130), sure, cancer, None, ("shared_trunk",))
        for n, (sure, cancer) in enumerate(scores, start=1)
    )
    views = (*exam.views[:-1], replace(exam.views[-1], findings=masses))
    return replace(exam, views=views)


@pytest.mark.parametrize(
    ("scores", "kept", "said"),
    [
        (
            [(1.0, 0.02), (1.0, 0.05), (0.6, 0.93), (1.0, None)],
            [(1.0, 0.05), (0.6, 0.93)],
            f"Shown are the 2 most suspicious of 4 findings{LAST}",
        ),
        (
            [(1.0, 0.1), (0.7, 0.9), (0.8, 0.9)],
            [(0.7, 0.9), (0.8, 0.9)],
            "Shown are the 2 most suspicious of 3 findings.",
        ),
        (
            [(0.9, None), (0.5, 0.01), (1.0, None)],
            [(0.5, 0.01), (1.0, None)],
            f"Shown are the 2 most suspicious of 3 findings{LAST}",
        ),
        (
            [(0.6, None), (1.0, None), (0.8, None)],
            [(1.0, None), (0.8, None)],
            "Shown are the 2 surest of 3 findings.",
        ),
    ],
)
def test_no_likely_cancer_is_left_out_for_what_is_only_surely_a_lesion(
    clear_exam: ExamFindings,
    scores: list[tuple[float, float | None]],
    kept: list[tuple[float, float | None]],
    said: str,
) -> None:
    seen = one_view(clear_exam, *scores)
    what = shown(seen, Profile(max_marks=2, scores="as-given"))
    assert [(one.score, one.cancer_score) for one in what.exam.findings] == kept
    assert what.remarks == (said,)


@pytest.mark.parametrize("given", [0.83, 0.8301, 0.97])
def test_an_exam_that_was_given_as_much_as_its_parts_has_one_score(
    exam: ExamFindings, given: float
) -> None:
    assert shown(replace(exam, cancer_score=given), PLAIN).given is None


@pytest.mark.parametrize("kind", ["cad_sr", "measurement_report", "secondary_capture", "summary"])
def test_every_text_that_says_the_exams_score_says_what_the_exam_was_given(
    headers: list[Dataset],
    exam: ExamFindings,
    maker: Maker,
    first_round: Circumstances,
    kind: str,
) -> None:
    what = shown(exam, PLAIN)
    told = replace(first_round, remarks=what.remarks, given=what.given)
    silent = replace(told, given=None)
    box = lightbox_of(headers)
    for said, wanted in ((told, told), (silent, told), (told, silent)):
        made = build(headers, what.exam, maker, said, frozenset({kind}), lightbox=box)
        with nullcontext() if said is wanted else pytest.raises(Unsound, match="Cancer score of"):
            for one in made:
                prove(
                    one.dataset,
                    headers,
                    what.exam,
                    box,
                    remarks=what.remarks,
                    origin=Origin(maker, wanted),
                )


@pytest.mark.parametrize("kind", ["cad_sr", "measurement_report", "secondary_capture", "summary"])
def test_every_text_says_whether_an_exam_is_called_and_how_its_scores_were_corrected(
    headers: list[Dataset],
    exam: ExamFindings,
    maker: Maker,
    first_round: Circumstances,
    kind: str,
) -> None:
    alone = Member("one", "one", "A", "1.0", "ab" * 32, "quiet", tuple(Kind), 0.5)
    steered = replace(exam, called_from=0.5, members=(alone,))
    what = shown(corrected(steered, Correction(1.0, 0.0, "prevalence 2 %")), PLAIN)
    told = replace(first_round, remarks=what.remarks, given=what.given)
    box = lightbox_of(headers)
    undecided = replace(what.exam, called_from=None)
    uncorrected = replace(what.exam, members=(alone,))
    for said, fault in (
        (what.exam, nullcontext()),
        (undecided, _unsaid("called from 50.0 % on: this one is called")),
        (uncorrected, _unsaid("corrected for this site: prevalence 2 %")),
    ):
        with fault:
            for one in build(headers, said, maker, told, frozenset({kind}), lightbox=box):
                prove(
                    one.dataset,
                    headers,
                    what.exam,
                    box,
                    remarks=what.remarks,
                    origin=Origin(maker, told),
                )


def _unsaid(words: str) -> AbstractContextManager[object]:
    return pytest.raises(Unsound, match=re.escape(words))
