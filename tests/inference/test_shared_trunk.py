import hashlib
from pathlib import Path

import numpy as np
import pytest
import torch
from untrained import untrained_card

from inference.analyzer import Analyzer, open_bundle
from inference.bundle import Calibration, OperatingPoint, save_bundle, save_card
from inference.errors import BadBundle
from inference.findings import Kind
from inference.mammogram import Exam, GreyScale, Mammogram, Projection, Side
from inference.networks.shared_trunk import Reading
from inference.preparing.placement import Placement
from inference.scores import exam_score
from inference.systems.shared_trunk import (
    BENIGN_MASS,
    MALIGNANT_CALCIFICATION,
    MALIGNANT_MASS,
    Decision,
    Network,
    SharedTrunk,
    findings,
)
from inference.systems.views import surest_first

DECISION = Decision(extent=0.5, least_px=2)
NETWORK = Network(trunk="resnet18", in_channels=2, width=8, output_stride=16, norm="group")


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    """Make a bundle that was never trained."""
    torch.manual_seed(3)
    card = untrained_card(
        "shared_trunk",
        NETWORK,
        DECISION,
        {
            "height_px": 96,
            "width_px": 64,
            "pitch_mm": 0.4,
            "channels": ["mean", "max"],
        },
        calibration=Calibration(slope=2.0, intercept=-0.5),
        operating_points={
            "all": OperatingPoint(finding_score=0.0, chosen_for="tests"),
            "none": OperatingPoint(finding_score=1.0, chosen_for="tests"),
        },
    )
    save_bundle(tmp_path, card, NETWORK.build().state_dict())
    return tmp_path


def view(side: Side, projection: Projection, seed: int) -> Mammogram:
    rows, columns = np.mgrid[0:400, 0:300]
    inside = np.hypot((rows - 200) / 150, columns / 200) < 1
    noise = np.random.default_rng(seed).integers(0, 2000, inside.shape)
    pixels = np.where(inside, 1500 + noise, 0).astype(np.uint16)
    if side is Side.RIGHT:
        pixels = np.ascontiguousarray(pixels[:, ::-1])
    return Mammogram(
        sop_instance_uid=f"1.{seed}",
        side=side,
        projection=projection,
        pixels=pixels,
        grey=GreyScale(0, np.linspace(0, 1, 4096, dtype=np.float32)),
        spacing_mm=(0.1, 0.1),
    )


EXAM = Exam(
    "1.2.3",
    tuple(
        view(side, projection, seed)
        for seed, (side, projection) in enumerate(
            (side, projection) for projection in Projection for side in Side
        )
    ),
)


def probabilities(*areas: tuple[slice, slice, int, float]) -> np.ndarray:
    """Make a map of 40 x 30 that is healthy but for these areas."""
    made = np.zeros((5, 40, 30), np.float32)
    made[0] = 1
    for rows, columns, label, certain in areas:
        made[0, rows, columns] = 1 - certain
        made[label, rows, columns] = certain
    return made


WHERE = Placement(left=100, top=200, right=220, bottom=360, flipped=False, rows=40, columns=30)
MIRRORED = Placement(left=100, top=200, right=220, bottom=360, flipped=True, rows=40, columns=30)


def test_an_area_becomes_a_finding_in_source_pixels() -> None:
    seen = probabilities((np.s_[10:20], np.s_[5:10], MALIGNANT_MASS, 0.8))
    (found,) = findings(seen, WHERE, DECISION)
    assert (found.box.left, found.box.top, found.box.right, found.box.bottom) == (
        120,
        240,
        140,
        280,
    )
    assert found.mask is not None
    assert found.mask.on(400, 300).sum() == 20 * 40
    assert found.kind is Kind.MASS
    assert found.score == pytest.approx(0.8)
    assert found.cancer_score == pytest.approx(1.0)
    assert found.systems == ("shared_trunk",)


def test_a_finding_in_a_mirrored_picture_lies_on_the_other_side() -> None:
    seen = probabilities((np.s_[10:20], np.s_[5:10], MALIGNANT_MASS, 0.8))
    (found,) = findings(seen, MIRRORED, DECISION)
    assert (found.box.left, found.box.right) == (180, 200)


def test_kind_and_cancer_score_come_from_the_sums_over_the_area() -> None:
    seen = probabilities((np.s_[0:4], np.s_[0:4], MALIGNANT_CALCIFICATION, 0.9))
    seen[MALIGNANT_CALCIFICATION, 0:4, 0:4], seen[BENIGN_MASS, 0:4, 0:4] = 0.6, 0.3
    (found,) = findings(seen, WHERE, DECISION)
    assert found.kind is Kind.CALCIFICATION
    assert found.cancer_score == pytest.approx(0.6 / 0.9)


def test_findings_are_as_certain_as_asked_for_and_surest_first() -> None:
    seen = probabilities(
        (np.s_[0:4], np.s_[0:4], BENIGN_MASS, 0.6),
        (np.s_[10:14], np.s_[0:4], BENIGN_MASS, 0.9),
        (np.s_[20:24], np.s_[0:4], BENIGN_MASS, 0.75),
    )
    assert [
        round(found.score, 2) for found in surest_first(findings(seen, WHERE, DECISION), 0.7)
    ] == [0.9, 0.75]


def test_specks_and_empty_space_below_the_breast_are_no_findings() -> None:
    short = Placement(left=0, top=0, right=120, bottom=120, flipped=False, rows=30, columns=30)
    seen = probabilities(
        (np.s_[5:6], np.s_[5:6], BENIGN_MASS, 0.9), (np.s_[32:38], np.s_[0:9], BENIGN_MASS, 0.9)
    )
    assert findings(seen, short, DECISION) == ()


def test_the_exam_is_its_worse_breast_and_a_breast_the_mean_of_its_views() -> None:
    sides = [Side.RIGHT, Side.LEFT, Side.RIGHT, Side.LEFT]
    expected = 1 / (1 + np.exp(-1.0))
    assert exam_score(sides, [-3.0, 3.0, -1.0, -1.0]) == pytest.approx(expected)
    assert exam_score([Side.LEFT], [1.0]) == pytest.approx(expected)


def test_an_analyzer_reads_an_exam(bundle: Path) -> None:
    analyzer = open_bundle(bundle)
    assert isinstance(analyzer, Analyzer)
    said = analyzer.analyze(EXAM)
    assert (said.system, said.version, said.operating_point) == ("shared_trunk", "0.0.1", "all")
    assert said.digest == hashlib.sha256((bundle / "weights.safetensors").read_bytes()).hexdigest()
    assert [found.sop_instance_uid for found in said.views] == ["1.0", "1.1", "1.2", "1.3"]
    assert said.cancer_score is not None
    assert 0 < said.cancer_score < 1
    assert said.findings
    for seen, mammogram in zip(said.views, EXAM.views, strict=True):
        rows, columns = mammogram.pixels.shape
        for finding in seen.findings:
            assert 0 <= finding.box.left < finding.box.right <= columns
            assert 0 <= finding.box.top < finding.box.bottom <= rows


def test_the_same_exam_gets_the_same_answer(bundle: Path) -> None:
    one, other = open_bundle(bundle).analyze(EXAM), open_bundle(bundle).analyze(EXAM)
    assert one.cancer_score == other.cancer_score
    assert [finding.box for finding in one.findings] == [finding.box for finding in other.findings]


def test_the_cancer_scores_are_calibrated(bundle: Path) -> None:
    analyzer = open_bundle(bundle)
    plain = analyzer.card.model_copy(update={"calibration": Calibration(slope=1, intercept=0)})
    save_card(bundle, plain)
    raw = open_bundle(bundle).analyze(EXAM)
    for one, other in zip(raw.views, analyzer.analyze(EXAM).views, strict=True):
        assert one.cancer_score is not None
        logit = np.log(one.cancer_score / (1 - one.cancer_score))
        assert other.cancer_score == pytest.approx(1 / (1 + np.exp(-(2 * logit - 0.5))))


def test_another_operating_point_changes_the_findings_only(bundle: Path) -> None:
    quiet = open_bundle(bundle, operating_point="none").analyze(EXAM)
    assert quiet.operating_point == "none"
    assert quiet.findings == ()
    assert quiet.cancer_score == open_bundle(bundle).analyze(EXAM).cancer_score


def test_an_unknown_operating_point_is_refused(bundle: Path) -> None:
    with pytest.raises(BadBundle, match="choose one of all, none"):
        open_bundle(bundle, operating_point="loud")


def test_an_exam_without_views_is_refused(bundle: Path) -> None:
    with pytest.raises(ValueError, match=r"1\.2\.3 has no view"):
        open_bundle(bundle).analyze(Exam("1.2.3", ()))


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"system": "crystal_ball"}, "no system 'crystal_ball'"),
        ({"decision": {"extent": 2.0, "least_px": 1}}, r"card\.toml: extent"),
        ({"network": NETWORK.model_dump() | {"width": 16}}, "do not fit the network"),
        ({"network": NETWORK.model_dump() | {"colour": "red"}}, r"card\.toml: colour"),
    ],
)
def test_a_card_that_does_not_fit_is_refused(
    bundle: Path, changed: dict[str, object], sentence: str
) -> None:
    card = open_bundle(bundle).card
    save_card(bundle, card.model_copy(update=changed))
    with pytest.raises(BadBundle, match=sentence):
        open_bundle(bundle)


@pytest.mark.parametrize("end", ["pixels", "cancer"])
def test_a_network_that_answers_with_no_number_has_no_answer(bundle: Path, end: str) -> None:
    analyzer = open_bundle(bundle)
    system = analyzer.system.reader
    assert isinstance(system, SharedTrunk)

    def spoiled(_: torch.nn.Module, __: object, reading: Reading) -> Reading:
        return reading._replace(**{end: getattr(reading, end) * torch.nan})

    system.network.register_forward_hook(spoiled)
    with pytest.raises(BadBundle, match="not finite"):
        analyzer.analyze(EXAM)


def test_weights_that_are_no_numbers_are_refused(bundle: Path) -> None:
    card = open_bundle(bundle).card
    weights = NETWORK.build().state_dict()
    weights["c_net.bias"][0] = torch.nan
    save_bundle(bundle, card, weights)
    with pytest.raises(BadBundle, match=r"not finite, in c_net\.bias"):
        open_bundle(bundle)
