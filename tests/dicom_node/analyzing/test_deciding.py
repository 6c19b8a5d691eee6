"""At which operating point images are read, and what a site makes of its scores."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from pydantic import ValidationError
from pydicom import Dataset

from dicom_node.analyzing.deciding import calibrated_at, corrections, faults, idle, point_for
from dicom_node.errors import Misconfigured
from dicom_node.settings.analyzing import Analyzing
from dicom_node.settings.file import Settings
from dicom_node.shipped import shipped
from dicom_node.watching.checkup import QUESTIONS, checkup
from dicom_node.wiring import Node
from inference.bundle import (
    WEIGHTS,
    Aggregation,
    Calibration,
    Card,
    OperatingPoint,
    load_card,
    save_card,
)
from inference.scores import logit_of

HERE = "prevalence 0.6 % in place of 30 %"


def header(manufacturer: str = "HOLOGIC, Inc.", versions: list[str] | str = "1.8.4") -> Dataset:
    made = Dataset()
    made.Manufacturer, made.ManufacturerModelName = manufacturer, "Selenia Dimensions"
    made.SoftwareVersions = versions
    return made


def settings(*points: dict[str, str], own: str = "") -> Analyzing:
    return Analyzing.model_validate({"points": points, "operating_point": own})


@pytest.fixture(scope="module")
def card() -> Card:
    card = load_card(shipped("bundles") / "shared_trunk_phantom")
    return card.model_copy(
        update={"calibration": Calibration(slope=1.0, intercept=0.0, prevalence=0.3)}
    )


@pytest.mark.parametrize(
    ("rule", "fits"),
    [
        ({"manufacturer": "hologic*"}, True),
        ({"manufacturer": "hologic"}, False),
        ({"manufacturer": "hologic*", "model": "selenia dimensions"}, True),
        ({"manufacturer": "hologic*", "model": "3Dimensions"}, False),
        ({"software_versions": "1.8*"}, True),
        ({"software_versions": "1.9*"}, False),
    ],
)
def test_a_device_is_known_by_maker_model_and_software(rule: dict[str, str], fits: bool) -> None:  # noqa: FBT001
    analyzing = settings({**rule, "operating_point": "quiet"}, own="balanced")
    assert point_for(analyzing, [header()]) == ("quiet" if fits else "balanced")


def test_any_of_several_software_versions_may_fit() -> None:
    analyzing = settings({"software_versions": "2.*", "operating_point": "quiet"})
    assert point_for(analyzing, [header(versions=["1.8", "2.1"])]) == "quiet"
    assert point_for(analyzing, [Dataset()]) == ""


def test_the_first_rule_that_fits_counts() -> None:
    first = {"manufacturer": "*", "software_versions": "1.8*", "operating_point": "quiet"}
    analyzing = settings(first, {"manufacturer": "*", "operating_point": "sensitive"})
    assert point_for(analyzing, [header()]) == "quiet"
    assert point_for(analyzing, [header(versions="2")]) == "sensitive"


def test_images_of_devices_with_several_points_are_read_at_the_nodes_own() -> None:
    analyzing = settings({"manufacturer": "H*", "operating_point": "quiet"}, own="balanced")
    assert point_for(analyzing, [header(), header("Siemens")]) == "balanced"


def test_a_rule_has_to_name_a_device() -> None:
    with pytest.raises(ValidationError, match="name a manufacturer"):
        settings({"operating_point": "quiet"})


def test_a_prevalence_shifts_the_logit(card: Card) -> None:
    analyzing = Analyzing(prevalence=0.006)
    (its,), ours = corrections(analyzing, [card], "")
    assert ours is None
    assert its is not None
    assert (its.slope, its.why) == (1.0, HERE)
    assert its.intercept == pytest.approx(logit_of(0.006) - logit_of(0.3))
    assert list(faults(analyzing, [card])) == []


def test_nothing_is_done_where_nothing_is_said(card: Card) -> None:
    assert corrections(Analyzing(), [card], "") == ((None,), None)


def test_a_card_that_says_no_prevalence_cannot_be_corrected_for_one(card: Card) -> None:
    silent = card.model_copy(update={"calibration": Calibration(slope=1.0, intercept=0.0)})
    (said,) = faults(Analyzing(prevalence=0.006), [silent])
    assert "does not say at which prevalence" in said
    assert list(faults(Analyzing(), [silent])) == []


def lined(digest: str, scale: str, **more: object) -> Analyzing:
    """Hold a line that was fitted here."""
    line = {"slope": 0.5, "intercept": 1.0, "prevalence": 0.3, "fitted_on": "60 exams"}
    table = line | {"digest": digest, "scale": scale}
    return Analyzing.model_validate({"calibrations": [table], **more})


def test_a_line_of_this_site_holds_for_the_scores_that_it_was_fitted_on(card: Card) -> None:
    fits = lined(card.weights_sha256, card.scale(None))
    others = lined("0" * 64, "0" * 64)
    assert corrections(others, [card], "") == ((None,), None)
    assert list(idle(others, [card])) == [], "it waits for its bundle"
    assert list(idle(fits, [card])) == []
    its, ours = corrections(fits, [card], "")
    assert its == (None,)
    assert ours is not None
    assert (ours.slope, ours.intercept, ours.why) == (0.5, 1.0, "calibrated here on 60 exams")
    _, rarer = corrections(fits.model_copy(update={"prevalence": 0.006}), [card], "")
    assert rarer is not None
    assert rarer.intercept == pytest.approx(1.0 + logit_of(0.006) - logit_of(0.3))
    assert rarer.why == f"calibrated here on 60 exams; {HERE}"


def test_what_scores_speak_of_is_said_by_the_card_or_by_the_line_of_this_site(card: Card) -> None:
    said = f"{card.name} {card.version}"
    assert calibrated_at(Analyzing(), [card]) == {said: 0.3}
    silent = card.model_copy(update={"calibration": Calibration(slope=1.0, intercept=0.0)})
    assert calibrated_at(Analyzing(), [silent]) == {}
    line = {"digest": card.weights_sha256, "slope": 0.5, "intercept": 1.0}
    line["scale"] = card.scale(None)
    ours = Analyzing.model_validate({"calibrations": [line | {"prevalence": 0.2}]})
    assert calibrated_at(ours, [card]) == {"what was fitted here": 0.2}
    assert calibrated_at(Analyzing.model_validate({"calibrations": [line]}), [card]) == {}


@pytest.mark.parametrize(
    ("part", "here", "warned"),
    [(0.5, 0.0, True), (0.05, 0.0, True), (0.02, 0.0, False), (0.5, 0.006, False)],
)
def test_scores_that_are_too_high_for_screening_are_warned_of(
    part: float,
    here: float,
    warned: bool,  # noqa: FBT001
    card: Card,
    settled: Callable[..., Settings],
) -> None:
    line = {"digest": card.weights_sha256, "slope": 1.0, "intercept": 0.0, "prevalence": part}
    line["scale"] = load_card(shipped("bundles") / "shared_trunk_phantom").scale(None)
    analyzing = {"bundle": "shared_trunk_phantom", "prevalence": here, "calibrations": [line]}
    said = QUESTIONS["do scores fit who is read here?"](Node(settled(analyzing=analyzing)))
    assert said.startswith("warning: ") == warned
    if warned:
        assert f"what was fitted here is calibrated where {100 * part:.0f} % of the exams" in said
        assert said.endswith("into analyzing.prevalence")


def test_a_bundle_that_is_not_there_is_told_of_once(settled: Callable[..., Settings]) -> None:
    node = Node(settled(analyzing={"bundle": "nowhere"}))
    said = QUESTIONS["do scores fit who is read here?"](node)
    assert said == "asked once the bundle is sound"


@pytest.mark.parametrize(
    "changes",
    [
        {"calibration": Calibration(slope=1.1, intercept=0.0, prevalence=0.3)},
        {"finding_calibration": Calibration(slope=1.0, intercept=0.5)},
        {"finding_calibration": None},
        {"aggregation": Aggregation(breast="maximum")},
        {"decision": {"flips": True}},
        {"weights_sha256": "0" * 64},
    ],
)
def test_a_card_that_scores_otherwise_finds_no_line_and_that_is_said(
    card: Card, changes: dict[str, object]
) -> None:
    fits = lined(card.weights_sha256, card.scale(None))
    after = card.model_copy(update=changes)
    assert corrections(fits, [after], "") == ((None,), None)
    said = "".join(idle(fits, [after]))
    same_weights = after.weights_sha256 == card.weights_sha256
    assert ("the line fitted on 60 exams belongs to another card" in said) == same_weights


def test_a_line_for_a_former_card_may_wait_beside_the_one_that_holds(card: Card) -> None:
    line = {"digest": card.weights_sha256, "slope": 0.5, "intercept": 1.0}
    lines = [line | {"scale": "0" * 64}, line | {"scale": card.scale(None)}]
    assert list(idle(Analyzing.model_validate({"calibrations": lines}), [card])) == []
    (said,) = idle(Analyzing.model_validate({"calibrations": lines[:1]}), [card])
    assert "belongs to another card" in said


def test_what_was_measured_and_what_is_called_changes_no_score(card: Card) -> None:
    called = OperatingPoint(finding_score=0.5, exam_score=0.5, chosen_for="a")
    elsewhere = OperatingPoint(finding_score=0.5, exam_score=0.9, chosen_for="b")
    shown = card.model_copy(update={"operating_points": {"balanced": called}})
    changes = {"operating_points": {"balanced": elsewhere}, "metrics": [], "regression": None}
    assert shown.scale("balanced") == shown.model_copy(update=changes).scale("balanced")


def test_a_line_holds_at_the_operating_point_that_it_was_fitted_at(card: Card) -> None:
    weights, quiet = card.weights_sha256, {"manufacturer": "H*", "operating_point": "quiet"}
    (said,) = idle(lined(weights, card.scale("quiet")), [card])
    assert "is for operating point quiet, at which nothing is read" in said
    both = lined(weights, card.scale("quiet"), points=[quiet], operating_point="balanced")
    assert corrections(both, [card], "quiet")[1] is not None
    assert corrections(both, [card], "balanced")[1] is None
    (said,) = idle(both, [card])
    assert "no line was fitted for operating point balanced" in said
    assert "`dicom-node calibrate --point balanced`" in said


def test_cards_of_old_are_readable() -> None:
    for path in sorted(Path(shipped("bundles")).glob("*/card.toml")):
        assert load_card(path.parent).aggregation.breast == "mean"


def test_a_node_that_cannot_heed_its_prevalence_or_a_point_does_not_start(
    settled: Callable[..., Settings], opened: Callable[[Settings], Node], tmp_path: Path, card: Card
) -> None:
    kept = shipped("bundles") / "shared_trunk_phantom"
    (tmp_path / "ours").mkdir()
    shutil.copy(kept / WEIGHTS, tmp_path / "ours")
    analyzing = {
        "bundle": "ours",
        "bundles": tmp_path,
        "prevalence": 0.006,
        "points": [{"manufacturer": "H*", "operating_point": "bold"}],
    }
    save_card(tmp_path / "ours", card)
    with pytest.raises(Misconfigured, match="has no operating point 'bold'"):
        _ = opened(settled(analyzing=analyzing)).cards
    analyzing["points"] = []
    assert f"scores are corrected: {HERE}" in _said(opened(settled(analyzing=analyzing)))
    silent = card.model_copy(update={"calibration": Calibration(slope=1.0, intercept=0.0)})
    save_card(tmp_path / "ours", silent)
    with pytest.raises(Misconfigured, match="does not say at which prevalence"):
        _ = opened(settled(analyzing=analyzing)).cards


def _said(node: Node) -> str:
    return next(one.sentence for one in checkup(node) if one.question == "is the bundle sound?")
