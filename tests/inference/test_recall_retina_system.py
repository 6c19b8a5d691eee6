"""From the boxes of a RetinaNet to findings."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from inference.errors import BadBundle
from inference.findings import Box, Kind
from inference.networks.recall_retina import (
    BENIGN_CALCIFICATION,
    BENIGN_MASS,
    MALIGNANT_CALCIFICATION,
    MALIGNANT_MASS,
    Reading,
    Sight,
)
from inference.preparing.placement import Placement
from inference.preparing.prepare import Preparation, PreparedView
from inference.scores import logit_of
from inference.systems.recall_retina import (
    Boxes,
    Decision,
    Network,
    RecallRetina,
    findings,
    met,
    turned,
)

DECISION = Decision(least_score=0.01, most_overlap=0.3, same_lesion=0.3)
WHERE = Placement(left=100, top=200, right=220, bottom=360, flipped=False, rows=40, columns=30)
MIRRORED = Placement(left=100, top=200, right=220, bottom=360, flipped=True, rows=40, columns=30)

Seen = tuple[tuple[float, float, float, float], float, int]


def tensors(*seen: Seen) -> tuple[Tensor, Tensor, Tensor]:
    return (
        torch.tensor([box for box, _, _ in seen], dtype=torch.float32).reshape(-1, 4),
        torch.tensor([score for _, score, _ in seen]),
        torch.tensor([label for _, _, label in seen], dtype=torch.int64),
    )


@pytest.fixture
def system() -> RecallRetina:
    torch.manual_seed(3)
    networks = Network(
        trunk="resnet18",
        in_channels=1,
        width=8,
        channels=16,
        norm="group",
        attach="c5",
        smallest_anchor_px=8,
    ).build()
    return RecallRetina(
        networks=networks.eval(),
        preparation=Preparation(height_px=64, width_px=64, pitch_mm=0.4, channels=("mean",)),
        decision=DECISION,
        device=torch.device("cpu"),
    )


def test_a_box_becomes_a_finding_in_source_pixels() -> None:
    (found,) = findings(*tensors(((5, 10, 10, 20), 0.8, MALIGNANT_MASS)), WHERE, DECISION)
    assert found.box == Box(120, 240, 140, 280)
    assert found.kind is Kind.MASS
    assert found.score == pytest.approx(0.8)
    assert found.cancer_score == 1
    assert found.mask is None
    assert found.systems == ("recall_retina",)


def test_a_box_in_a_mirrored_picture_lies_on_the_other_side() -> None:
    (found,) = findings(*tensors(((5, 10, 10, 20), 0.8, MALIGNANT_MASS)), MIRRORED, DECISION)
    assert found.box == Box(180, 240, 200, 280)


def test_boxes_of_one_lesion_are_one_finding_that_knows_both_answers() -> None:
    found = findings(
        *tensors(
            ((5, 10, 10, 20), 0.6, MALIGNANT_CALCIFICATION),
            ((5, 11, 10, 20), 0.3, BENIGN_CALCIFICATION),
            ((20, 30, 25, 40), 0.5, BENIGN_MASS),
        ),
        WHERE,
        DECISION,
    )
    assert [(one.kind, round(one.score, 3)) for one in found] == [
        (Kind.CALCIFICATION, 0.6),
        (Kind.MASS, 0.5),
    ]
    assert found[0].cancer_score == pytest.approx(0.6 / 0.9)
    assert found[0].box == Box(120, 240, 140, 280)  # the surest one's
    assert found[1].cancer_score == 0


def test_no_box_is_no_finding() -> None:
    assert findings(*tensors(), WHERE, DECISION) == ()


def test_the_cancer_score_is_the_recall_heads_alone(system: RecallRetina) -> None:
    picture = torch.rand(1, 64, 64).numpy()
    seen = system.read([PreparedView(picture, Placement(0, 0, 64, 64, False, 64, 64))])
    with torch.inference_mode():
        reading = system.networks[0].read(torch.from_numpy(picture)[None], [(64, 64)])
    assert seen.cancer == pytest.approx(float(reading.recall[0]))


@pytest.mark.parametrize(("second", "judged"), [(MALIGNANT_MASS, 0.3), (BENIGN_MASS, 0.0)])
def test_without_a_recall_head_the_surest_malignant_box_judges(
    system: RecallRetina, second: int, judged: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    boxes, scores, labels = tensors(
        ((20, 30, 25, 40), 0.5, BENIGN_MASS), ((5, 10, 10, 20), 0.3, second)
    )
    reading = Reading([boxes], [scores], [labels], torch.tensor([7.0]))
    monkeypatch.setattr(system.networks[0], "read", lambda *_, **__: reading)
    alone = replace(system, decision=DECISION.model_copy(update={"judged_by": "boxes"}))
    picture = PreparedView(torch.rand(1, 64, 64).numpy(), Placement(0, 0, 64, 64, False, 64, 64))
    assert alone.read([picture]).cancer == pytest.approx(logit_of(judged))
    assert system.read([picture]).cancer == 7


def test_the_head_and_the_boxes_may_judge_together(
    system: RecallRetina, monkeypatch: pytest.MonkeyPatch
) -> None:
    boxes, scores, labels = tensors(((5, 10, 10, 20), 0.3, MALIGNANT_MASS))
    reading = Reading([boxes], [scores], [labels], torch.tensor([7.0]))
    monkeypatch.setattr(system.networks[0], "read", lambda *_, **__: reading)
    both = replace(system, decision=DECISION.model_copy(update={"judged_by": "both"}))
    picture = PreparedView(torch.rand(1, 64, 64).numpy(), Placement(0, 0, 64, 64, False, 64, 64))
    assert both.read([picture]).cancer == pytest.approx((7 + logit_of(0.3)) / 2)


def test_what_two_looks_saw_is_one_box_and_what_one_saw_counts_half() -> None:
    upright = Boxes(
        *tensors(
            ((10, 10, 20, 20), 0.8, MALIGNANT_MASS),
            ((40, 40, 50, 50), 0.6, MALIGNANT_MASS),
            ((10, 10, 20, 20), 0.1, BENIGN_MASS),
        )
    )
    flipped = Boxes(
        *tensors(((10, 14, 20, 24), 0.4, MALIGNANT_MASS), ((10, 10, 20, 20), 0.3, BENIGN_MASS))
    )
    boxes, scores, labels = met([upright, flipped], 0.3)
    assert scores.tolist() == pytest.approx([0.6, 0.3, 0.2])
    assert labels.tolist() == [MALIGNANT_MASS, MALIGNANT_MASS, BENIGN_MASS]
    assert boxes[0].tolist() == pytest.approx([10, 10 + 4 / 3, 20, 20 + 4 / 3])
    assert boxes[1].tolist() == [40, 40, 50, 50]


def test_one_look_has_one_voice_however_many_boxes_it_draws() -> None:
    once = Boxes(
        *tensors(((10, 10, 20, 20), 0.8, BENIGN_MASS), ((10, 13, 20, 23), 0.7, BENIGN_MASS))
    )
    boxes, scores, _ = met([once, Boxes(*tensors())], 0.3)
    assert scores.tolist() == pytest.approx([0.4])
    assert boxes[0].tolist() == [10, 10, 20, 20]
    assert len(met([Boxes(*tensors())] * 2, 0.3).scores) == 0


def test_members_look_each_for_itself_and_their_boxes_meet(
    system: RecallRetina, monkeypatch: pytest.MonkeyPatch
) -> None:
    several = replace(system, networks=nn.ModuleList([system.networks[0], nn.Identity()]))
    told = [
        Reading(*([part] for part in tensors(((5, 10, 10, 20), 0.8, MALIGNANT_MASS))), one(7.0)),
        Reading(*([part] for part in tensors(((5, 10, 10, 20), 0.4, MALIGNANT_MASS))), one(3.0)),
    ]
    monkeypatch.setattr(RecallRetina, "_reading", lambda *_: told.pop(0))
    picture = PreparedView(torch.rand(1, 64, 64).numpy(), Placement(0, 0, 64, 64, False, 64, 64))
    seen = several.read([picture])
    assert seen.cancer == pytest.approx(5)
    assert [found.score for found in seen.findings] == pytest.approx([0.6])


def one(logit: float) -> torch.Tensor:
    return torch.tensor([logit])


def test_a_second_look_upside_down_sees_what_is_shown_and_no_padding(
    system: RecallRetina,
) -> None:
    twice = replace(system, decision=DECISION.model_copy(update={"upside_down": True}))
    place = Placement(left=7, top=9, right=47, bottom=41, flipped=True, rows=32, columns=40)
    picture = torch.zeros(1, 64, 64)
    picture[:, :32, :40] = torch.rand(1, 32, 40)
    other = picture.clone()
    other[:, :32] = picture[:, :32].flip(1)
    one, two = (PreparedView(each.numpy(), place) for each in (picture, other))
    seen, turned_over = twice.read([one]), twice.read([two])
    alone = [system.read([each]).cancer for each in (one, two)]
    assert seen.cancer == pytest.approx(sum(filter(None, alone)) / 2, abs=1e-5)
    assert turned_over.cancer == pytest.approx(seen.cancer, abs=1e-5)
    assert len(seen.findings) == len(turned_over.findings) > 0
    for up, down in zip(seen.findings, turned_over.findings, strict=True):
        assert up.score == pytest.approx(down.score, abs=1e-5)
        assert up.box.top - 9 == pytest.approx(41 - down.box.bottom, abs=1e-3)


def test_boxes_turned_twice_lie_where_they_were() -> None:
    boxes = torch.tensor([[1.0, 2.0, 3.0, 7.0]])
    assert turned(boxes, 10).tolist() == [[1.0, 3.0, 3.0, 8.0]]
    assert torch.equal(turned(turned(boxes, 10), 10), boxes)


def test_what_learned_of_masses_alone_marks_nothing_else(
    system: RecallRetina, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = tensors(
        ((20, 30, 25, 40), 0.5, BENIGN_CALCIFICATION), ((5, 10, 10, 20), 0.3, MALIGNANT_MASS)
    )
    reading = Reading(*([part] for part in seen), torch.tensor([7.0]))
    monkeypatch.setattr(system.networks[0], "read", lambda *_, **__: reading)
    picture = PreparedView(torch.rand(1, 64, 64).numpy(), Placement(0, 0, 64, 64, False, 64, 64))
    assert len(system.read([picture]).findings) == 2
    narrow = replace(system, kinds=(Kind.MASS,))
    assert [one.kind for one in narrow.read([picture]).findings] == [Kind.MASS]
    assert narrow.scope.marks == narrow.scope.judges == (Kind.MASS,)


def test_findings_lie_within_what_the_picture_shows(system: RecallRetina) -> None:
    place = Placement(left=7, top=9, right=47, bottom=41, flipped=True, rows=32, columns=40)
    seen = system.read([PreparedView(torch.rand(1, 64, 64).numpy(), place)])
    assert seen.findings
    for finding in seen.findings:
        assert 7 <= finding.box.left < finding.box.right <= 47
        assert 9 <= finding.box.top < finding.box.bottom <= 41


@pytest.mark.parametrize("end", ["recall", "logits"])
def test_a_network_that_answers_with_no_number_has_no_answer(
    system: RecallRetina, end: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = system.networks[0]._seen

    def spoiled(pictures: Tensor, shown: list[tuple[int, int]]) -> Sight:
        sight = seen(pictures, shown)
        return sight._replace(**{end: getattr(sight, end) * torch.nan})

    monkeypatch.setattr(system.networks[0], "_seen", spoiled)
    view = PreparedView(torch.rand(1, 64, 64).numpy(), Placement(0, 0, 64, 64, False, 64, 64))
    with pytest.raises(BadBundle, match="not finite"):
        system.read([view])


@pytest.mark.parametrize("part", ["trunk.bn1", "head.classification_head", "head.regression_head"])
def test_features_and_boxes_that_are_no_numbers_are_no_silence(
    system: RecallRetina, part: str
) -> None:
    def spoiled(_: nn.Module, __: object, answer: Tensor) -> Tensor:
        return answer * torch.nan

    hook = system.networks[0].get_submodule(part).register_forward_hook(spoiled)
    view = PreparedView(torch.rand(1, 64, 64).numpy(), Placement(0, 0, 64, 64, False, 64, 64))
    try:
        with pytest.raises(BadBundle, match="not finite"):
            system.read([view])
    finally:
        hook.remove()
