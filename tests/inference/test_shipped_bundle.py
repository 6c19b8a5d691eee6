"""The bundle that comes with the code does what its card says, as far as a test can tell."""

from pathlib import Path

import pytest

from dicom_node.settings.file import Settings
from inference.analyzer import Analyzer, open_bundle
from inference.bundle import WEIGHTS, load_card
from inference.findings import ExamFindings, Kind
from inference.reading import exam
from phantom.dicom import datasets
from phantom.patient import Wanted
from phantom.study import study

BUNDLE = Path(__file__).parents[2] / "bundles" / "shared_trunk_phantom"


@pytest.fixture(scope="module")
def analyzer() -> Analyzer:
    return open_bundle(BUNDLE)


def read(analyzer: Analyzer, seed: int, *lesions: Wanted, preset: str = "plain") -> ExamFindings:
    images = datasets(study(seed, lesions=lesions), preset=preset)
    return analyzer.analyze(exam("1.2.3", images))


def test_the_card_is_honest_about_what_the_model_saw(analyzer: Analyzer) -> None:
    card = analyzer.card
    assert "synthetic data only" in card.intended_use
    assert "not for clinical use" in card.intended_use
    for metric in card.metrics:
        assert metric.low <= metric.value <= metric.high
        assert metric.studies >= 200
        assert "unseen" in metric.on


@pytest.mark.parametrize("bundle", sorted(BUNDLE.parent.iterdir()), ids=lambda path: path.name)
def test_the_weights_are_small_enough_to_travel_with_the_code(bundle: Path) -> None:
    assert (bundle / WEIGHTS).stat().st_size < 16e6


def test_the_default_bundle_says_what_it_learned_from_and_what_it_never_saw() -> None:
    (folder,) = Settings().bundle_folders
    card = load_card(folder)
    assert "not for clinical use" in card.intended_use
    assert card.marks == (Kind.MASS,)
    said = " ".join(card.limits)
    assert "digitized films" in said
    assert "healthy breast" in said
    assert [one.license for one in card.data_sets] == ["CC BY 3.0"] * 2
    assert all("10.7937/K9/TCIA.2016.7O02S9CY" in one.credit for one in card.data_sets)


def test_the_default_bundle_is_clearly_better_than_histograms_of_gradients() -> None:
    """Given the true boxes, they reach an AUC of 0.708; blobs find no mass at four marks."""
    figures = {
        one.name: one for one in load_card(Settings().bundle_folders[0]).metrics if not one.subgroup
    }
    assert figures["image_auc"].low > 0.708
    for rate, least in (("0.5", 0.4), ("1", 0.5), ("2", 0.6), ("4", 0.7)):
        assert figures[f"sensitivity_at_{rate}_false_marks_per_image"].low > least


@pytest.mark.parametrize("preset", ["plain", "fuji", "ge"])
def test_a_plain_cancer_is_found_in_both_views_of_its_breast(
    analyzer: Analyzer, preset: str
) -> None:
    wanted = Wanted("mass", malignant=True, side="L", shape="spiculated")
    said = read(analyzer, 31_001, wanted, preset=preset)
    marked = {view.projection for view in said.views if view.findings}
    assert marked == {"CC", "MLO"}
    surest = max(said.findings, key=lambda finding: finding.score)
    assert surest.kind is Kind.MASS
    assert surest.cancer_score is not None
    assert surest.cancer_score > 0.5
    assert all(view.side == "L" for view in said.views if view.findings)


def test_the_same_woman_without_it_gets_a_lower_score(analyzer: Analyzer) -> None:
    wanted = Wanted("mass", malignant=True, side="L", shape="spiculated")
    assert read(analyzer, 31_001).cancer_score < 0.5 < read(analyzer, 31_001, wanted).cancer_score


def test_at_the_quiet_point_a_healthy_exam_has_no_finding_and_a_plain_cancer_has() -> None:
    quiet = open_bundle(BUNDLE, operating_point="quiet")
    wanted = Wanted("mass", malignant=True, side="L", shape="spiculated")
    assert read(quiet, 31_001).findings == ()
    assert read(quiet, 31_001, wanted).findings


CARDS = sorted(BUNDLE.parent.glob("*_phantom"))


@pytest.mark.parametrize("folder", CARDS, ids=[folder.name for folder in CARDS])
def test_every_card_states_what_was_measured_on_patients_it_never_saw(folder: Path) -> None:
    card = load_card(folder)
    assert f"{card.system}_phantom" == folder.name
    assert "synthetic data only" in card.intended_use
    assert (folder / WEIGHTS).stat().st_size < 16e6
    figures = {figure.name: figure for figure in card.metrics}
    assert any("auc" in name for name in figures)
    for figure in figures.values():
        assert figure.low <= figure.value <= figure.high
        assert figure.studies >= 200
        assert "unseen" in figure.on
    if card.system != "all_conv":  # it marks nothing
        assert "sensitivity_at_1_false_marks_per_image" in figures


@pytest.mark.parametrize("folder", CARDS, ids=[folder.name for folder in CARDS])
def test_a_bundle_looks_for_what_its_system_says(folder: Path) -> None:
    analyzer = open_bundle(folder)
    wanted = Wanted("mass", malignant=True, side="L", shape="spiculated")
    said = read(analyzer, 31_001, wanted)
    scope = analyzer.system.reader.scope
    assert {finding.kind for finding in said.findings} <= set(scope.marks)
    assert (said.cancer_score is not None) == bool(scope.judges)
    if scope.marks:
        assert {view.side for view in said.views if view.findings} == {"L"}
    ranks = next((one.value for one in analyzer.card.metrics if one.name == "exam_auc"), 0.0)
    if ranks > 0.9:  # a card that says less promises less
        assert said.cancer_score is not None
        assert said.cancer_score > 0.5
