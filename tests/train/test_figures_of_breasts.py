"""Where labels are of breasts, figures are too; and exams are measured as screening asks."""

from dataclasses import replace

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from inference.mammogram import Side
from inference.systems.views import BOTH, Scope
from train.evaluation import SeenPatient, SeenView
from train.figures import PUBLISHED, measured, published
from train.metrics.froc import Marked
from train.metrics.probabilistic import probabilistic_f1
from train.rankings import rankings

SCOPE = Scope(marks=(), judges=BOTH)
LEFT, RIGHT = Side.LEFT, Side.RIGHT


def view(side: Side, score: float, *, told: bool) -> SeenView:
    return SeenView(score, Marked((), ()), (), (), (), 0, told=told, outlined=False, side=side)


def patients() -> list[SeenPatient]:
    """Make three: of the first the cancer shows in one view of its breast alone."""
    views = [
        (view(LEFT, 0.2, told=True), view(LEFT, 0.8, told=True), view(RIGHT, 0.4, told=False)),
        (view(LEFT, 0.1, told=False), view(RIGHT, 0.6, told=False)),
        (view(RIGHT, 0.9, told=True), view(LEFT, 0.3, told=False)),
    ]
    return [
        SeenPatient(str(number), max(one.score or 0 for one in some), some)
        for number, some in enumerate(views)
    ]


@pytest.mark.parametrize(("breast", "cancers"), [("mean", (0.5, 0.9)), ("maximum", (0.8, 0.9))])
def test_a_breast_is_counted_once_with_the_score_of_all_its_views(
    breast: str, cancers: tuple[float, float]
) -> None:
    counting = published(patients(), breast)  # type: ignore[arg-type]
    found = {one.name: one for one in measured(patients(), {}, "three", SCOPE, counting)}
    truth, scores = [1, 0, 0, 0, 1, 0], [cancers[0], 0.4, 0.1, 0.6, cancers[1], 0.3]
    area, f1 = found["breast_auc"], found["breast_probabilistic_f1"]
    assert area.value == pytest.approx(roc_auc_score(truth, scores), abs=1e-4)
    assert f1.value == pytest.approx(2 * sum(cancers) / (sum(scores) + 2), abs=1e-4)
    assert breast in area.rule
    assert breast in f1.rule
    for one in (area, f1):
        assert 0 <= one.low <= one.value <= one.high <= 1
        assert one.low < one.high


def test_a_patient_who_was_drawn_twice_has_four_breasts() -> None:
    (ranking,) = (one for one in rankings(SCOPE, "mean") if one.name == "breast_auc")
    (_, one, _) = patients()
    truth, scores, weights = ranking.cases([one, one])
    assert truth == [False] * 4
    assert scores == pytest.approx([0.1, 0.6, 0.1, 0.6])
    assert weights == [1.0] * 4


def test_where_any_image_has_all_its_lesions_marked_breasts_are_not_counted() -> None:
    first, *others = patients()
    marked = replace(first, views=(replace(first.views[0], outlined=True), *first.views[1:]))
    assert published([marked, *others], "mean") is PUBLISHED
    names = {one.name for one in measured([marked, *others], {}, "three", SCOPE, PUBLISHED)}
    assert "exam_auc" in names
    assert not any(name.startswith("breast") for name in names)


def test_f1_of_certain_answers_is_f1_and_doubt_costs_what_it_claims() -> None:
    truth = [1, 1, 1, 0, 0]
    assert probabilistic_f1(truth, [1, 1, 0, 1, 0]) == pytest.approx(2 * 2 / (2 * 2 + 1 + 1))
    assert probabilistic_f1(truth, truth) == 1
    # Precision 1.2 of 1.7, recall 1.2 of 3.
    precision, recall = 1.2 / 1.7, 1.2 / 3
    expected = 2 * precision * recall / (precision + recall)
    assert probabilistic_f1(truth, [0.7, 0.5, 0, 0.5, 0]) == pytest.approx(expected)
    weights = [2, 1, 1, 3, 1]
    again = np.repeat(truth, weights), np.repeat([0.7, 0.5, 0, 0.5, 0], weights)
    assert probabilistic_f1(truth, [0.7, 0.5, 0, 0.5, 0], weights) == pytest.approx(
        probabilistic_f1(*again)
    )
    assert np.isnan(probabilistic_f1([0, 0], [0.1, 0.2]))
    with pytest.raises(ValueError, match="give no logits"):
        probabilistic_f1([0, 1], [0.1, 1.2])
    with pytest.raises(ValueError, match="one a case"):
        probabilistic_f1([0, 1], [0.1])


def test_exams_are_measured_where_screening_reads_the_curve() -> None:
    rng = np.random.default_rng(5)
    cancer = rng.random(120) < 0.3
    scores = np.clip(rng.normal(0.4 + 0.2 * cancer, 0.15), 0.01, 0.99)
    some = [
        SeenPatient(str(number), float(score), (view(LEFT, float(score), told=bool(told)),))
        for number, (score, told) in enumerate(zip(scores, cancer, strict=True))
    ]
    found = {one.name: one.value for one in measured(some, {}, "120", SCOPE, PUBLISHED)}
    assert found["exam_partial_auc"] == pytest.approx(
        roc_auc_score(cancer, scores, max_fpr=0.2), abs=1e-4
    )
    healthy = np.sort(scores[~cancer])
    called = scores[cancer] > healthy[int(np.ceil(0.908 * healthy.size)) - 1]
    assert found["exam_sensitivity_at_specificity_0.908"] == pytest.approx(called.mean(), abs=1e-4)
