"""Shen's system as the node serves it: one network, or several whose scores are averaged."""

from pathlib import Path

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from torch import Tensor, nn
from untrained import untrained_card

from inference.analyzer import open_bundle
from inference.bundle import Calibration, save_bundle
from inference.errors import BadBundle
from inference.mammogram import Exam, GreyScale, Mammogram, Projection, Side
from inference.networks.all_conv import Reading, ResNetBlock, VggBlock
from inference.preparing.placement import Placement
from inference.preparing.prepare import Preparation, PreparedView, prepare
from inference.scores import logit_of, sigmoid
from inference.systems.all_conv import AllConv, Decision, Layers, Member, Network, top_of
from inference.systems.views import BOTH, Scope

HOW = Preparation(height_px=160, width_px=128, pitch_mm=0.4, channels=("mean", "max"))
RESNET = Member(
    trunk="resnet18", width=8, norm="group", patch_px=64, top=("[8-8-16] x 2",), top_norm="group"
)
VGG = Member(
    trunk="vgg16", width=8, norm="none", patch_px=64, top=("16 x 1", "8 x 1"), top_norm="batch"
)
PAIR = Network(in_channels=2, members=(RESNET, VGG))


class Corner(nn.Module):
    """A network that reads its logit from the upper left pixel."""

    def forward(self, pictures: Tensor) -> Reading:
        logit = pictures[:, 0, 0, 0]
        return Reading(torch.stack([torch.zeros_like(logit), logit], dim=1))


class Opposite(Corner):
    """A network that never agrees with `Corner`."""

    def forward(self, pictures: Tensor) -> Reading:
        return super().forward(-2 * pictures)


def system(*networks: nn.Module, flips: bool, how: Preparation = HOW) -> AllConv:
    return AllConv(nn.ModuleList(networks), how, Decision(flips=flips), torch.device("cpu"))


def prepared(picture: np.ndarray) -> PreparedView:
    rows, columns = picture.shape[-2:]
    where = Placement(0, 0, columns, rows, flipped=False, rows=rows, columns=columns)
    return PreparedView(picture.astype(np.float32), where)


def view(seed: int = 1) -> Mammogram:
    rows, columns = np.mgrid[0:400, 0:300]
    inside = np.hypot((rows - 200) / 150, columns / 200) < 1
    noise = np.random.default_rng(seed).integers(0, 2000, inside.shape)
    return Mammogram(
        sop_instance_uid="1.2",
        side=Side.LEFT,
        projection=Projection.CC,
        pixels=np.where(inside, 1500 + noise, 0).astype(np.uint16),
        grey=GreyScale(0, np.linspace(0, 1, 4096, dtype=np.float32)),
        spacing_mm=(0.1, 0.1),
    )


def bundle(folder: Path, weights: dict[str, Tensor], **changes: object) -> Path:
    card = untrained_card(
        "all_conv",
        PAIR,
        Decision(flips=True),
        HOW.model_dump(),
        calibration=Calibration(slope=2.0, intercept=-0.5),
    ).model_copy(update=changes)
    save_bundle(folder, card, weights)
    return folder


@pytest.fixture(scope="module")
def networks() -> nn.ModuleList:
    torch.manual_seed(3)
    return PAIR.build(HOW).eval()


# What stands on a patch network, in the paper's words


def test_a_top_is_written_as_the_paper_writes_it() -> None:  # tables 2 and 3
    resnet = ("[512-512-1024] x 2", "[512-512-2048] x 1")
    assert top_of(resnet) == (ResNetBlock((512, 512, 1024), 2), ResNetBlock((512, 512, 2048), 1))
    assert top_of(("256 x 1", "128 x 3")) == (VggBlock(256, 1), VggBlock(128, 3))
    assert top_of(("pool 5x5, FC 64, FC 32",)) == Layers(5, (64, 32))


@pytest.mark.parametrize(
    "words",
    [
        ("256",),
        ("[512-512] x 2",),
        ("pool 5x5, FC 64, FC 32", "256 x 1"),
        ("pool 5x2, FC 1, FC 1",),
    ],
)
def test_a_top_that_nobody_can_read_is_refused_with_what_to_write(words: tuple[str, ...]) -> None:
    with pytest.raises(ValidationError, match=r"is no block: write|choose a square"):
        Member.model_validate(RESNET.model_dump() | {"top": words})


@pytest.mark.parametrize(
    "change",
    [{"heatmap": True}, {"top": ("pool 2x2, FC 16, FC 8",)}, {"top": ("16 x 1", "8 x 2")}],
)
def test_the_papers_other_tops_are_served_as_well(change: dict[str, object]) -> None:
    member = Member.model_validate(RESNET.model_dump() | change)
    network = Network(in_channels=2, members=(member,)).build(HOW)
    seen = system(*network.eval(), flips=True).read([prepare(view(), HOW)])
    assert seen.cancer is not None


# The score


def test_a_score_is_the_mean_over_four_flips_and_then_over_the_networks() -> None:  # 3.1.4
    picture = np.zeros((2, 4, 4), np.float32)
    picture[0, 0, 0], picture[0, 0, 3], picture[0, 3, 0], picture[0, 3, 3] = 2.0, -1.0, 0.5, 3.0
    corners = [2.0, -1.0, 0.5, 3.0]
    one = sum(sigmoid(logit) for logit in corners) / 4
    other = sum(sigmoid(-2 * logit) for logit in corners) / 4
    seen = system(Corner(), Opposite(), flips=True).read([prepared(picture)])
    assert seen.cancer == pytest.approx(logit_of((one + other) / 2), abs=1e-5)
    seen = system(Corner(), Opposite(), flips=False).read([prepared(picture)])
    assert seen.cancer == pytest.approx(logit_of((sigmoid(2) + sigmoid(-4)) / 2), abs=1e-5)


def test_a_single_network_without_flips_keeps_its_own_logit() -> None:
    picture = np.full((2, 4, 4), 1.75, np.float32)
    seen = system(Corner(), flips=False).read([prepared(picture)])
    assert seen.cancer == pytest.approx(1.75, abs=1e-5)


def test_the_average_stands_between_its_members(networks: nn.ModuleList) -> None:
    picture = [prepare(view(), HOW)]
    alone = [system(network, flips=True).read(picture).cancer for network in networks]
    together = system(*networks, flips=True).read(picture).cancer
    assert alone[0] != alone[1]
    low, high = sorted(alone)  # type: ignore[type-var]
    assert together is not None
    assert low < together < high  # type: ignore[operator]


def test_it_judges_and_marks_nothing(networks: nn.ModuleList) -> None:
    reader = system(*networks, flips=False)
    assert reader.scope == Scope(marks=(), judges=BOTH)
    assert reader.read([prepare(view(), HOW)]).findings == ()


# Bundles


def test_weights_are_named_by_the_members_number(networks: nn.ModuleList) -> None:
    names = networks.state_dict()
    assert {name.partition(".")[0] for name in names} == {"0", "1"}
    assert "0.trunk.conv1.weight" in names
    assert "1.trunk.features.0.weight" in names


def test_a_bundle_is_opened_as_it_was_written(tmp_path: Path, networks: nn.ModuleList) -> None:
    analyzer = open_bundle(bundle(tmp_path, networks.state_dict()))
    raw = system(*networks, flips=True).read([prepare(view(), HOW)]).cancer
    assert raw is not None
    seen = analyzer.analyze(Exam("1.2.3", (view(),)))
    assert seen.system == "all_conv"
    assert seen.cancer_score == pytest.approx(sigmoid(2 * raw - 0.5), abs=1e-5)
    assert seen.views[0].findings == ()
    (first, second) = Network.model_validate(analyzer.card.network).members
    assert (first, second) == (RESNET, VGG)


def test_a_card_with_fewer_members_than_weights_is_refused(
    tmp_path: Path, networks: nn.ModuleList
) -> None:
    single = Network(in_channels=2, members=(RESNET,)).model_dump()
    with pytest.raises(BadBundle, match="do not fit the network of the card"):
        open_bundle(bundle(tmp_path, networks.state_dict(), network=single))


def test_a_card_with_an_unreadable_top_is_refused_by_its_place(
    tmp_path: Path, networks: nn.ModuleList
) -> None:
    wrong = PAIR.model_dump()
    wrong["members"][1]["top"] = ["two layers"]
    with pytest.raises(BadBundle, match=r"members\.1\.top: .*'two layers' is no block"):
        open_bundle(bundle(tmp_path, networks.state_dict(), network=wrong))


def test_an_answer_that_is_no_number_is_refused(networks: nn.ModuleList) -> None:
    picture = prepared(np.full((2, 160, 128), np.nan, np.float32))
    with pytest.raises(BadBundle, match="not finite"):
        system(*networks, flips=True).read([picture])
