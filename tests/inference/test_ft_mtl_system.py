"""Boxes of the feature-transfer network become findings where the masses are."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from untrained import untrained_card

from inference.analyzer import Analyzer, open_bundle
from inference.bundle import Calibration, save_bundle, save_card
from inference.errors import BadBundle
from inference.findings import Box, Kind
from inference.mammogram import Exam, GreyScale, Mammogram, Projection, Side
from inference.networks.ft_mtl import Reading
from inference.preparing.placement import Placement
from inference.preparing.prepare import PreparedView
from inference.scores import logit_of
from inference.systems.ft_mtl import Decision, FtMtl, Network, look, pasted, seen
from inference.systems.views import Seen

NETWORK = Network(
    trunk="resnet18", in_channels=1, width=8, norm="group", anchors_px=[16, 32], transfer=True
)
DECISION = Decision(objectness=0.3, veto="gated", gate=0.5, overlap=0.4, extent=0.5)
PAPER = DECISION.model_copy(update={"veto": "paper"})
WHERE = Placement(left=100, top=200, right=220, bottom=360, flipped=False, rows=40, columns=30)
MIRRORED = Placement(left=100, top=200, right=220, bottom=360, flipped=True, rows=40, columns=30)


def reading(*boxes: tuple[Box, tuple[float, float, float]], masks: Tensor | None = None) -> Reading:
    """Say what a network would; its masks fill their boxes where none are given."""
    return Reading(
        torch.tensor([[box.left, box.top, box.right, box.bottom] for box, _ in boxes]),
        torch.tensor([probabilities for _, probabilities in boxes]),
        torch.ones(len(boxes), 28, 28) if masks is None else masks,
    )


MALIGNANT, BENIGN, WEAK = (0.1, 0.2, 0.7), (0.05, 0.9, 0.05), (0.66, 0.32, 0.02)
HERE, NEAR, FAR = Box(4, 8, 12, 20), Box(5, 9, 12, 20), Box(16, 22, 28, 34)


def test_a_box_becomes_a_finding_in_source_pixels() -> None:
    (found,) = seen(reading((HERE, MALIGNANT)), WHERE, DECISION).findings
    assert found.kind is Kind.MASS
    assert found.box == Box(116, 232, 148, 280)
    assert found.score == pytest.approx(0.9)
    assert found.cancer_score == pytest.approx(0.7)
    assert found.systems == ("ft_mtl",)
    assert found.mask is not None
    assert (found.mask.left, found.mask.top, found.mask.pixels.shape) == (116, 232, (48, 32))
    assert found.mask.pixels.all()


def test_a_finding_in_a_mirrored_picture_lies_on_the_other_side() -> None:
    masks = torch.zeros(1, 28, 28)
    masks[:, :, :14] = 1  # the half toward the chest wall
    (found,) = seen(reading((HERE, MALIGNANT), masks=masks), MIRRORED, DECISION).findings
    assert (found.box.left, found.box.right) == (220 - 48, 220 - 16)
    assert found.mask is not None
    assert (found.mask.left, found.mask.pixels.shape[1]) == (220 - 32, 16)


def test_boxes_of_one_mass_are_one_finding_and_one_malignant_box_is_enough() -> None:
    answer = seen(reading((HERE, BENIGN), (NEAR, MALIGNANT), (FAR, BENIGN)), WHERE, DECISION)
    first, second = answer.findings
    # It lies where the surest of its boxes does, though another one made it malignant.
    assert first.box == WHERE.box_to_source(HERE)
    assert (first.score, first.cancer_score) == (pytest.approx(0.95), pytest.approx(0.7))
    assert (second.score, second.cancer_score) == (pytest.approx(0.95), pytest.approx(0.1))
    assert answer.cancer == pytest.approx(logit_of(0.7), abs=1e-4)


def test_the_surest_box_is_the_likeliest_to_hold_a_mass_of_either_kind() -> None:
    halves = (0.02, 0.49, 0.49)
    (found,) = seen(reading((HERE, (0.3, 0.7, 0.0)), (NEAR, halves)), WHERE, DECISION).findings
    assert found.box == WHERE.box_to_source(NEAR)
    assert found.score == pytest.approx(0.98)


def test_below_the_gate_a_mass_is_a_finding_that_says_nothing_of_cancer() -> None:
    answer = seen(reading((HERE, WEAK)), WHERE, DECISION)
    (found,) = answer.findings
    assert found.score == pytest.approx(0.34)
    assert found.cancer_score is None
    assert answer.cancer == logit_of(0.01)


def test_the_papers_form_takes_every_mass_at_its_word() -> None:
    answer = seen(reading((HERE, WEAK), (FAR, (0.35, 0.05, 0.6))), WHERE, PAPER)
    assert [found.cancer_score for found in answer.findings] == [
        pytest.approx(0.6),
        pytest.approx(0.68),
    ]
    assert answer.cancer == pytest.approx(logit_of(0.68), abs=1e-4)
    gated = seen(reading((HERE, WEAK), (FAR, (0.35, 0.05, 0.6))), WHERE, DECISION)
    assert gated.cancer == pytest.approx(logit_of(0.6), abs=1e-4)


def test_the_discounted_form_leaves_the_background_out() -> None:
    discounted = DECISION.model_copy(update={"veto": "discounted"})
    answer = seen(reading((HERE, WEAK), (FAR, (0.35, 0.05, 0.6))), WHERE, discounted)
    assert [found.cancer_score for found in answer.findings] == [
        pytest.approx(0.6),
        pytest.approx(0.02),
    ]
    assert answer.cancer == pytest.approx(logit_of(0.6), abs=1e-4)


@pytest.mark.parametrize("veto", ["gated", "discounted"])
def test_without_background_all_forms_are_the_papers(veto: str) -> None:
    boxes = reading((HERE, (0.0, 0.8, 0.2)), (NEAR, (0.0, 0.9, 0.1)), (FAR, (0.0, 0.3, 0.7)))
    paper = seen(boxes, WHERE, PAPER)
    ours = seen(boxes, WHERE, DECISION.model_copy(update={"veto": veto}))
    assert ours.cancer == pytest.approx(paper.cancer, abs=1e-4)
    assert [found.cancer_score for found in paper.findings] == pytest.approx([0.1, 0.7])
    assert [found.cancer_score for found in ours.findings] == pytest.approx([0.1, 0.7])


def test_without_a_box_there_is_no_finding_and_hardly_any_malignancy() -> None:
    nothing = Reading(torch.zeros(0, 4), torch.zeros(0, 3), torch.zeros(0, 28, 28))
    assert seen(nothing, WHERE, DECISION) == Seen(logit_of(0.01), ())
    # The other view of the breast is not shouted down: their logits' mean still says cancer.
    assert (logit_of(0.01) + logit_of(0.995)) / 2 > 0


def test_a_mask_is_the_surest_boxs_and_an_empty_one_is_none() -> None:
    masks = torch.stack([torch.full((28, 28), 0.4), torch.full((28, 28), 0.9)])
    (found,) = seen(
        reading((HERE, BENIGN), (NEAR, MALIGNANT), masks=masks), WHERE, DECISION
    ).findings
    assert found.mask is None
    (other,) = seen(reading((HERE, BENIGN), masks=masks[1:]), WHERE, DECISION).findings
    assert other.mask is not None


def test_a_mask_is_stretched_over_its_box() -> None:
    mask = torch.zeros(28, 28)
    mask[7:14, 14:21] = 1
    picture = pasted(mask, Box(10, 20, 66, 48), (60, 70))  # twice as wide, as high as the mask
    rows, columns = np.nonzero(picture > 0.5)
    assert (rows.min(), rows.max() + 1) == (27, 34)
    assert (columns.min(), columns.max() + 1) == (38, 52)
    assert picture[:, :10].max() == picture[:20].max() == 0


def test_a_mask_reaches_no_farther_than_its_box_and_the_picture() -> None:
    full = torch.ones(28, 28)
    assert pasted(full, Box(2.6, 3.4, 5.4, 9.6), (20, 12)).sum() == 2 * 7
    corner = pasted(full, Box(8.0, 15.0, 12.0, 20.0), (20, 12))
    assert corner.sum() == corner[15:, 8:].sum() == 20
    # A box between two pixels' centers covers none of them.
    assert pasted(full, Box(2.6, 2.6, 3.4, 9.0), (20, 12)).sum() == 0


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
    (view(Side.LEFT, Projection.CC, 1), view(Side.RIGHT, Projection.CC, 2)),
)


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    """Make a bundle that was never trained."""
    torch.manual_seed(3)
    card = untrained_card(
        "ft_mtl",
        NETWORK,
        DECISION,
        {"height_px": 96, "width_px": 64, "pitch_mm": 0.4, "channels": ["mean"]},
        calibration=Calibration(slope=2.0, intercept=-0.5),
    )
    save_bundle(tmp_path, card, NETWORK.build().state_dict())
    return tmp_path


def reader_of(analyzer: Analyzer) -> FtMtl:
    reader = analyzer.system.reader
    assert isinstance(reader, FtMtl)
    return reader


def test_an_analyzer_reads_an_exam_and_stays_on_its_images(bundle: Path) -> None:
    said = open_bundle(bundle).analyze(EXAM)
    assert said.system == "ft_mtl"
    assert said.cancer_score is not None
    assert [len(found.findings) > 0 for found in said.views] == [True, True]
    for found, mammogram in zip(said.views, EXAM.views, strict=True):
        rows, columns = mammogram.pixels.shape
        for finding in found.findings:
            assert finding.kind is Kind.MASS
            assert 0 <= finding.box.left < finding.box.right <= columns
            assert 0 <= finding.box.top < finding.box.bottom <= rows
            assert finding.mask is None or finding.mask.on(rows, columns).any()


def test_it_is_asked_for_masses_only(bundle: Path) -> None:
    scope = reader_of(open_bundle(bundle)).scope
    assert scope.marks == scope.judges == (Kind.MASS,)


def test_no_finding_reaches_beyond_the_shown_rows_and_columns(bundle: Path) -> None:
    reader = reader_of(open_bundle(bundle))
    short = Placement(left=0, top=0, right=64, bottom=48, flipped=False, rows=48, columns=40)
    picture = np.random.default_rng(5).random((1, 96, 64)).astype(np.float32)
    answer = reader.read([PreparedView(picture, short)])
    assert answer.findings
    for finding in answer.findings:
        assert finding.box.right <= 64
        assert finding.box.bottom <= 48


def test_the_decision_says_how_much_like_a_mass_a_region_must_look(bundle: Path) -> None:
    network = reader_of(open_bundle(bundle)).network
    picture = torch.rand(1, 1, 96, 64, generator=torch.Generator().manual_seed(1))
    strict = DECISION.model_copy(update={"objectness": 0.999})
    (few,), (many,) = (
        look(network, picture, [(96, 64)], decision) for decision in (strict, DECISION)
    )
    assert len(few.boxes) == 0 < len(many.boxes)


@pytest.mark.parametrize(
    "part",
    ["trunk", "regions.head.cls_logits", "regions.head.bbox_pred"]
    + [f"heads.{head}" for head in ("box", "mask", "classifier")],
)
def test_a_network_that_answers_with_no_number_has_no_answer(bundle: Path, part: str) -> None:
    analyzer = open_bundle(bundle)

    def spoiled(_: nn.Module, __: object, answer: Tensor) -> Tensor:
        return answer * torch.nan

    reader_of(analyzer).network.get_submodule(part).register_forward_hook(spoiled)
    with pytest.raises(BadBundle, match="not finite"):
        analyzer.analyze(EXAM)


def test_the_same_reader_reads_again_after_a_refusal(bundle: Path) -> None:
    reader = reader_of(open_bundle(bundle))
    place = Placement(left=0, top=0, right=64, bottom=96, flipped=False, rows=96, columns=64)
    picture = np.random.default_rng(5).random((1, 96, 64)).astype(np.float32)
    before = reader.read([PreparedView(picture, place)])
    with pytest.raises(BadBundle, match="not finite"):
        reader.read([PreparedView(picture * np.nan, place)])
    after = reader.read([PreparedView(picture, place)])
    assert after.cancer == before.cancer
    assert [found.box for found in after.findings] == [found.box for found in before.findings]


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"decision": DECISION.model_dump() | {"veto": "loud"}}, r"card\.toml: veto"),
        ({"decision": DECISION.model_dump() | {"gate": 1.5}}, r"card\.toml: gate"),
        ({"network": NETWORK.model_dump() | {"anchors_px": []}}, r"card\.toml: anchors_px"),
        ({"network": NETWORK.model_dump() | {"transfer": False}}, "do not fit the network"),
    ],
)
def test_a_card_that_does_not_fit_is_refused(
    bundle: Path, changed: dict[str, object], sentence: str
) -> None:
    card = open_bundle(bundle).card
    save_card(bundle, card.model_copy(update=changed))
    with pytest.raises(BadBundle, match=sentence):
        open_bundle(bundle)
