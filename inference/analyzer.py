"""The front door: open a bundle, analyze exams."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from pydantic import ValidationError
from torch import Tensor

from inference.bundle import CARD, Card, faults, load_card, load_weights
from inference.errors import BadBundle, NoDevice
from inference.findings import ExamFindings, Kind, Member, ViewFindings
from inference.mammogram import Exam
from inference.scores import exam_logit, told
from inference.systems import all_conv, deeplima, ft_mtl, recall_retina, shared_trunk
from inference.systems.views import Reader, ViewByView, surest_first

SYSTEMS: dict[str, Callable[[Card, dict[str, Tensor], torch.device], Reader]] = {
    all_conv.NAME: all_conv.AllConv.opened,
    deeplima.NAME: deeplima.Deeplima.opened,
    ft_mtl.NAME: ft_mtl.FtMtl.opened,
    recall_retina.NAME: recall_retina.RecallRetina.opened,
    shared_trunk.NAME: shared_trunk.SharedTrunk.opened,
}


@dataclass(frozen=True, slots=True, eq=False)
class Analyzer:
    """An opened bundle at one operating point."""

    card: Card
    operating_point: str
    system: ViewByView

    @property
    def digest(self) -> str:
        """Return the SHA-256 of the weights."""
        return self.card.weights_sha256

    @property
    def threshold(self) -> float:
        """Return the score from which on a finding is told, at this operating point."""
        return self.card.finding_score(self.operating_point)

    def analyze(self, exam: Exam) -> ExamFindings:
        """Read one exam."""
        return self.readings(exam)[self.operating_point]

    def readings(self, exam: Exam) -> dict[str, ExamFindings]:
        """Read one exam once, and say what stands at each operating point of the card."""
        if not exam.views:
            raise ValueError(f"exam {exam.study_instance_uid} has no view")
        points = {name: self.card.finding_score(name) for name in self.card.operating_points}
        cancer_score, views = self.system.read_exam(exam, min(points.values()))
        return {
            name: self._told(name, cancer_score, _at_least(views, threshold))
            for name, threshold in points.items()
        }

    def _told(
        self, operating_point: str, cancer_score: float | None, views: tuple[ViewFindings, ...]
    ) -> ExamFindings:
        alone = Member(
            name=self.card.system,
            system=self.card.system,
            bundle=self.card.name,
            version=self.card.version,
            digest=self.digest,
            operating_point=operating_point,
            marks=self.system.reader.scope.marks,
            cancer_score=cancer_score,
        )
        sides, raw = [view.side for view in views], [view.raw for view in views]
        exam = ExamFindings(
            system=alone.system,
            version=alone.version,
            digest=alone.digest,
            operating_point=alone.operating_point,
            marks=alone.marks,
            cancer_score=cancer_score,
            views=views,
            members=(alone,),
            raw=exam_logit(sides, raw, self.card.aggregation.breast),
            called_from=self.card.operating_points[operating_point].exam_score,
        )
        return replace(exam, card_score=told(exam))


def _at_least(views: Sequence[ViewFindings], threshold: float) -> tuple[ViewFindings, ...]:
    return tuple(replace(view, findings=surest_first(view.findings, threshold)) for view in views)


def tried(device: str) -> str:
    """Compute something on a device, and describe it; `NoDevice` says what is wrong with it."""
    try:
        place = torch.device(device)
        twice = torch.ones(64, 64, device=place) @ torch.ones(64, 64, device=place)
        if float(twice[0, 0]) != 64:  # noqa: PLR2004 - as many ones as were added up
            raise NoDevice(f"{device} computes wrongly")
        if place.type != "cuda":
            return f"{device} computes, {torch.get_num_threads()} threads"
        free, whole = (size >> 20 for size in torch.cuda.mem_get_info(place))
        return f"{device} computes: {torch.cuda.get_device_name(place)}, {free} of {whole} MB free"
    except (RuntimeError, AssertionError) as fault:  # what torch raises, with or without CUDA
        said = str(fault).strip().partition("\n")[0]
        raise NoDevice(f"{device} cannot be used: {said}") from fault


def _kinds(kinds: Sequence[Kind]) -> str:
    return " and ".join(kinds) or "nothing"


def open_bundle(
    folder: Path, *, device: str = "cpu", operating_point: str | None = None
) -> Analyzer:
    """Open a bundle; `BadBundle` says why one is refused."""
    card = load_card(folder)
    card.finding_score(operating_point)
    if card.system not in SYSTEMS:
        raise BadBundle(
            f"{folder / CARD}: system: there is no system {card.system!r}, "
            f"only {', '.join(SYSTEMS)}"
        )
    weights = load_weights(folder, card)
    try:
        reader = SYSTEMS[card.system](card, weights, torch.device(device))
    except ValidationError as error:
        raise BadBundle("\n".join(faults(str(folder / CARD), error))) from error
    if set(reader.scope.marks) != set(card.marks):
        raise BadBundle(
            f"{card.system} marks {_kinds(reader.scope.marks)}, but MARKS in inference/bundle.py "
            f"says {_kinds(card.marks)}, and studies that are declined would be told so: mend it"
        )
    system = ViewByView(reader, card.calibration, card.finding_calibration, card.aggregation.breast)
    return Analyzer(card, operating_point or card.default_operating_point, system)
