"""From boxes and from a map of calcium to one list of findings with comparable scores."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from untrained import untrained_card

from inference.analyzer import open_bundle
from inference.bundle import Calibration, save_bundle, save_card
from inference.errors import BadBundle
from inference.findings import Box, Kind
from inference.mammogram import Exam, GreyScale, Mammogram, Projection, Side
from inference.networks.deeplima import CalcificationNet, CalcificationReading
from inference.preparing.placement import Placement
from inference.preparing.prepare import Preparation, prepare
from inference.preparing.tiles import Tiling
from inference.scores import sigmoid
from inference.systems.deeplima import (
    CalcificationSettings,
    Decision,
    Deeplima,
    MassSettings,
    Network,
    Preparations,
    calcifications,
    masses,
)
from inference.systems.views import BOTH

AS_THEY_ARE = Calibration(slope=1.0, intercept=0.0)
TILING = Tiling(size_px=64, step_px=32)
DECISION = Decision(
    tiling=TILING,
    calcium=0.5,
    least_px=3,
    linking_mm=2.0,
    least_members=2,
    mass_score=AS_THEY_ARE,
    calcification_score=AS_THEY_ARE,
)
NETWORK = Network(
    mass=MassSettings(
        trunk="resnet18",
        in_channels=2,
        width=8,
        channels=8,
        norm="group",
        fpn=True,
        focal=True,
        nonlocal_at=("layer3", "layer4"),
        smallest_anchor_px=8.0,
    ),
    calcification=CalcificationSettings(in_channels=1, width=4, norm="group"),
)
PREPARATION = Preparations(
    mass=Preparation(height_px=96, width_px=64, pitch_mm=0.4, channels=("mean", "max")),
    calcification=Preparation(
        height_px=192, width_px=128, pitch_mm=0.2, channels=("max",), mend_columns=True
    ),
)
WHERE = Placement(left=100, top=200, right=220, bottom=360, flipped=False, rows=40, columns=30)
MIRRORED = Placement(left=100, top=200, right=220, bottom=360, flipped=True, rows=40, columns=30)


def calcium(*areas: tuple[slice, slice, float]) -> NDArray[np.float32]:
    """Make a map of 48 x 32 in which only these areas are likely calcification."""
    made = np.full((48, 32), 0.01, np.float32)
    for rows, columns, likely in areas:
        made[rows, columns] = likely
    return made


def view(side: Side, projection: Projection, seed: int, *, broken: bool = False) -> Mammogram:
    rows, columns = np.mgrid[0:400, 0:300]
    inside = np.hypot((rows - 200) / 150, columns / 200) < 1
    noise = np.random.default_rng(seed).integers(0, 200, inside.shape)
    pixels = np.where(inside, 1500 + noise, 0).astype(np.uint16)
    if broken:
        pixels[70:330:2, 60] = 4095
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


def system(**changed: Any) -> Deeplima:  # noqa: ANN401 - any field
    torch.manual_seed(3)
    fields: dict[str, Any] = {
        "network": NETWORK.build().eval(),
        "preparation": PREPARATION,
        "decision": DECISION,
        "device": torch.device("cpu"),
    }
    return Deeplima(**fields | changed)


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    """Make a bundle that was never trained."""
    torch.manual_seed(3)
    card = untrained_card(
        "deeplima",
        NETWORK,
        DECISION,
        PREPARATION.model_dump(),
    )
    save_bundle(tmp_path, card, NETWORK.build().state_dict())
    return tmp_path


def test_a_cluster_becomes_a_finding_in_source_pixels() -> None:
    seen = calcium((np.s_[10:20], np.s_[5:10], 0.8))
    (found,) = calcifications(seen, WHERE, 0.2, DECISION)
    assert found.box == Box(120, 240, 140, 280)
    assert found.mask is not None
    assert found.mask.on(400, 300).sum() == 20 * 40
    assert found.kind is Kind.CALCIFICATION
    assert found.score == pytest.approx(0.8, abs=1e-4)
    assert found.cancer_score is None
    assert found.systems == ("deeplima",)
    (found,) = calcifications(seen, MIRRORED, 0.2, DECISION)
    assert (found.box.left, found.box.right) == (180, 200)


def test_parts_that_lie_near_are_one_finding_and_others_stay_apart() -> None:
    """The middles of the first two are 1.6 mm apart, and a linking of 2 mm joins them."""
    seen = calcium(
        (np.s_[4:8], np.s_[4:8], 0.9),
        (np.s_[4:8], np.s_[12:16], 0.7),
        (np.s_[30:34], np.s_[4:8], 0.9),
    )
    together, alone = calcifications(seen, WHERE, 0.2, DECISION)
    assert (together.box, alone.box) == (Box(116, 216, 164, 232), Box(116, 320, 132, 336))
    assert together.mask is not None
    assert together.mask.pixels.sum() == 2 * 16 * 16  # and nothing of the tissue between
    assert len(calcifications(seen, WHERE, 0.4, DECISION)) == 3


def test_specks_and_empty_space_below_the_breast_are_no_findings() -> None:
    seen = calcium((np.s_[5:6], np.s_[5:7], 0.9), (np.s_[41:47], np.s_[0:9], 0.9))
    assert calcifications(seen, WHERE, 0.2, DECISION) == ()


def test_a_box_around_a_mass_becomes_a_finding_in_source_pixels() -> None:
    boxes, scores = torch.tensor([[5.0, 10.0, 10.0, 20.0]]), torch.tensor([0.3])
    (found,) = masses(boxes, scores, WHERE, DECISION)
    assert (found.kind, found.box, found.mask) == (Kind.MASS, Box(120, 240, 140, 280), None)
    assert found.score == pytest.approx(0.3)
    assert found.cancer_score is None
    (found,) = masses(boxes, scores, MIRRORED, DECISION)
    assert found.box == Box(180, 240, 200, 280)


def test_each_kind_has_its_own_line_from_raw_scores_to_probabilities() -> None:
    lines = DECISION.model_copy(
        update={
            "mass_score": Calibration(slope=2.0, intercept=1.0),
            "calcification_score": Calibration(slope=0.5, intercept=-3.0),
        }
    )
    logit = np.log(0.8 / 0.2)
    (mass,) = masses(torch.tensor([[5.0, 10, 10, 20]]), torch.tensor([0.8]), WHERE, lines)
    (cluster,) = calcifications(calcium((np.s_[1:9], np.s_[1:9], 0.8)), WHERE, 0.2, lines)
    assert mass.score == pytest.approx(sigmoid(2 * logit + 1), abs=1e-4)
    assert cluster.score == pytest.approx(sigmoid(0.5 * logit - 3), abs=1e-4)


def test_certainty_itself_keeps_a_score_between_0_and_1() -> None:
    steep = DECISION.model_copy(update={"mass_score": Calibration(slope=99.0, intercept=0.0)})
    assert [steep.score(Kind.MASS, raw) for raw in (0.0, 1.0)] == [pytest.approx(0), 1.0]


def test_the_system_marks_both_kinds_and_judges_neither() -> None:
    reader = system()
    assert reader.scope.marks == BOTH
    assert reader.scope.judges == ()
    assert reader.preparations == (PREPARATION.mass, PREPARATION.calcification)


def test_an_analyzer_reads_an_exam_and_invents_no_cancer_score(bundle: Path) -> None:
    said = open_bundle(bundle).analyze(EXAM)
    assert said.system == "deeplima"
    assert said.cancer_score is None
    assert {finding.kind for finding in said.findings} == set(BOTH)
    for seen, mammogram in zip(said.views, EXAM.views, strict=True):
        assert seen.cancer_score is None
        rows, columns = mammogram.pixels.shape
        for finding in seen.findings:
            assert finding.cancer_score is None
            assert (finding.mask is None) == (finding.kind is Kind.MASS)
            assert 0 <= finding.box.left < finding.box.right <= columns
            assert 0 <= finding.box.top < finding.box.bottom <= rows


class BrightPixels(CalcificationNet):
    """Call every bright pixel calcification, as a network may that never saw a broken column."""

    def forward(self, tiles: torch.Tensor) -> CalcificationReading:
        """Read a batch of tiles."""
        return CalcificationReading(torch.cat([torch.zeros_like(tiles), 99 * tiles - 80], dim=1))


@pytest.mark.parametrize("side", list(Side))
def test_a_broken_column_is_no_finding(side: Side) -> None:
    """Without the mending it is one, from top to bottom."""
    network = NETWORK.build().eval()
    network.calcification = BrightPixels(width=4)
    broken = view(side, Projection.CC, 1, broken=True)

    def clusters(*, mend_columns: bool) -> list[Box]:
        fine = PREPARATION.calcification.model_copy(update={"mend_columns": mend_columns})
        reader = system(
            network=network, preparation=PREPARATION.model_copy(update={"calcification": fine})
        )
        seen = reader.read([prepare(broken, how) for how in reader.preparations])
        return [one.box for one in seen.findings if one.kind is Kind.CALCIFICATION]

    assert clusters(mend_columns=True) == []
    (column,) = clusters(mend_columns=False)
    assert column.bottom - column.top > 250
    left = 60 if side is Side.LEFT else 239
    assert column.left <= left < column.right


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"decision": DECISION.model_dump(exclude={"mass_score"})}, r"card\.toml: mass_score"),
        ({"decision": DECISION.model_dump() | {"calcium": 1.0}}, r"card\.toml: calcium"),
        ({"preparation": PREPARATION.mass.model_dump()}, r"card\.toml: calcification: Field req"),
        (
            {"network": NETWORK.model_dump() | {"mass": {"trunk": "resnet99"}}},
            r"card\.toml: mass\.trunk",
        ),
        (
            {
                "network": {"mass": NETWORK.mass.model_dump() | {"fpn": False}}
                | {"calcification": {}}
            },
            r"card\.toml: calcification\.width",
        ),
        (
            {
                "network": NETWORK.model_dump()
                | {"calcification": {"in_channels": 1, "width": 8, "norm": "group"}}
            },
            "do not fit the network",
        ),
    ],
)
def test_a_card_that_does_not_fit_is_refused(
    bundle: Path, changed: dict[str, object], sentence: str
) -> None:
    card = open_bundle(bundle).card
    save_card(bundle, card.model_copy(update=changed))
    with pytest.raises(BadBundle, match=sentence):
        open_bundle(bundle)


@pytest.mark.parametrize(
    "part",
    [
        "mass.scales.trunk.bn1",
        "mass.proposals.head.cls_logits",
        "mass.proposals.head.bbox_pred",
        "mass.heads.box_predictor.cls_score",
        "mass.heads.box_predictor.bbox_pred",
        "calcification.u_net",
    ],
)
def test_a_network_that_answers_with_no_number_has_no_answer(bundle: Path, part: str) -> None:
    analyzer = open_bundle(bundle)
    reader = analyzer.system.reader
    assert isinstance(reader, Deeplima)

    def spoiled(_: torch.nn.Module, __: object, answer: torch.Tensor) -> torch.Tensor:
        return answer * torch.nan

    reader.network.get_submodule(part).register_forward_hook(spoiled)
    with pytest.raises(BadBundle, match="not finite"):
        analyzer.analyze(EXAM)
