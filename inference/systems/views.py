"""What the five systems have in common: each view is read alone, and an exam is its views together.

A system is a `Reader`: it says which pictures of a view it wants, and what it sees in them. The
node hands it pictures made from DICOM, training hands it kept ones; nothing else differs.
"""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from inference.bundle import Calibration
from inference.errors import BadBundle
from inference.findings import Finding, Kind, Mask, ViewFindings
from inference.mammogram import Exam, Mammogram
from inference.preparing.nipple import nipple
from inference.preparing.prepare import Preparation, PreparedView, prepare
from inference.scores import Breast, exam_score, finding_logit, sigmoid
from inference.systems.memory import with_less

BOTH: tuple[Kind, ...] = (Kind.MASS, Kind.CALCIFICATION)


class Seen(NamedTuple):
    """What a system sees in one view."""

    cancer: float | None  # the logit, not calibrated; None where the system does not judge
    findings: tuple[Finding, ...]  # all of them, however unsure


@dataclass(frozen=True, slots=True)
class Scope:
    """What a system can be asked for, so that nobody measures it by what it does not do."""

    marks: tuple[Kind, ...]  # kinds of lesions that it marks
    judges: tuple[Kind, ...]  # kinds of lesions whose malignancy its cancer score stands for


class Reader(Protocol):
    """A network with its preparation and its decision."""

    @property
    def preparations(self) -> tuple[Preparation, ...]:
        """Tell how the pictures of a view are to be made, in the order of `read`."""

    @property
    def scope(self) -> Scope:
        """Tell what the system can be asked for."""

    @property
    def device(self) -> torch.device:
        """Tell where it computes."""

    def read(self, pictures: Sequence[PreparedView]) -> Seen:
        """Look at one view, prepared in each of the ways asked for."""


@dataclass(frozen=True, slots=True, eq=False)
class ViewByView:
    """A reader with its calibration, ready for exams."""

    reader: Reader
    calibration: Calibration | None
    finding_calibration: Calibration | None = None
    breast: Breast = "mean"  # how views make a breast

    def read_exam(
        self, exam: Exam, finding_score: float
    ) -> tuple[float | None, tuple[ViewFindings, ...]]:
        """Return the exam's cancer score and the findings at least as certain as asked for."""
        views, logits = [], []
        for view in exam.views:
            pictures = [prepare(view, how) for how in self.reader.preparations]
            seen = with_less(self.reader, partial(_read, pictures=pictures))
            logit = self.calibrated(seen)
            sound(seen, logit, view)
            logits.append(logit)
            views.append(
                ViewFindings(
                    sop_instance_uid=view.sop_instance_uid,
                    side=view.side,
                    projection=view.projection,
                    cancer_score=None if logit is None else sigmoid(logit),
                    findings=surest_first(self._judged(seen.findings), finding_score),
                    nipple=nipple(view),
                    raw=seen.cancer,
                )
            )
        sides = [view.side for view in exam.views]
        return exam_score(sides, logits, self.breast), tuple(views)

    def calibrated(self, seen: Seen) -> float | None:
        """Return the logit of cancer as the card calibrates it."""
        if seen.cancer is None:
            return None
        if self.calibration is None:
            raise BadBundle("the system judges cancer, but its card has no calibration")
        return self.calibration.logit(seen.cancer)

    def _judged(self, findings: Sequence[Finding]) -> list[Finding]:
        """Bring the findings' cancer scores to the scale of the views', where the card can."""
        return [judged(finding, self.finding_calibration) for finding in findings]


def judged(finding: Finding, line: Calibration | None) -> Finding:
    """Return a finding with its cancer score as a card calibrates it."""
    raw = finding_logit(finding)
    if raw is None or line is None:
        return finding
    return replace(finding, cancer_score=sigmoid(line.logit(raw)), raw=raw)


def _read(reader: Reader, pictures: Sequence[PreparedView]) -> Seen:
    return reader.read(pictures)


def sound(seen: Seen, logit: float | None, view: Mammogram) -> None:
    """Let no answer pass that is none: the one gate between what a system says and what is told.

    It stands before every threshold. NaN is below none of them and above none, so behind one a
    lesion of score NaN would be no lesion, and nobody would know.
    """
    for judged in (seen.cancer, logit):
        if judged is not None and not math.isfinite(judged):
            raise BadBundle(f"the cancer score of {view.name} is no number")
    for found in seen.findings:
        fault = _unsound(found, *view.pixels.shape)
        if fault:
            raise BadBundle(f"a {found.kind} in {view.name}: {fault}")


def _unsound(found: Finding, rows: int, columns: int) -> str:
    """Say what of a finding cannot be, if anything."""
    judged = [score for score in (found.cancer_score, found.uncertainty) if score is not None]
    likely = [found.score, found.cancer_score or 0.0]
    box = found.box
    wrong = {
        "a score is no number": not all(map(math.isfinite, [*likely, *judged, *found.scores])),
        "a score is no probability": not all(0 <= score <= 1 for score in likely),
        "a side of its box is no number": not all(
            map(math.isfinite, (box.left, box.top, box.right, box.bottom))
        ),
        "its box holds no pixel": not (box.left < box.right and box.top < box.bottom),
        "its mask marks nothing of the image": not _marks(found.mask, rows, columns),
    }
    return next((sentence for sentence, is_so in wrong.items() if is_so), "")


def _marks(mask: Mask | None, rows: int, columns: int) -> bool:
    """Say whether a mask, where there is one, marks pixels of an image of this size."""
    if mask is None:
        return True
    height, width = mask.pixels.shape
    lies_on_it = 0 <= mask.left <= columns - width and 0 <= mask.top <= rows - height
    return lies_on_it and mask.pixels.dtype == np.bool_ and bool(mask.pixels.any())


def surest_first(findings: Sequence[Finding], least_score: float) -> tuple[Finding, ...]:
    """Return the findings that are sure enough."""
    kept = [finding for finding in findings if finding.score >= least_score]
    return tuple(sorted(kept, key=lambda finding: -finding.score))


def loaded(network: nn.Module, weights: dict[str, Tensor], device: torch.device) -> nn.Module:
    """Fill a network with a bundle's weights, ready to read."""
    spoiled = [name for name, weight in weights.items() if not bool(weight.isfinite().all())]
    if spoiled:
        raise BadBundle(f"the weights hold numbers that are not finite, in {spoiled[0]}")
    try:
        network.load_state_dict(weights)
    except RuntimeError as fault:
        raise BadBundle(f"the weights do not fit the network of the card: {fault}") from fault
    ready: nn.Module = network.eval().to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    return ready


def finite(*answers: Tensor) -> None:
    """Refuse what is no number: none is below NaN, so a threshold would let it pass as nothing."""
    if not all(bool(torch.isfinite(answer).all()) for answer in answers):
        raise BadBundle("the network answered with numbers that are not finite")


@contextmanager
def finite_answers(layers: Iterable[nn.Module]) -> Iterator[None]:
    """Refuse a network whose layers answer with what is no number.

    A detector's reading would not show it: regions and boxes are chosen by thresholds that no NaN
    passes, and so the picture would have no finding.
    """

    def check(_: nn.Module, __: object, answer: Tensor | Mapping[str, Tensor]) -> None:
        finite(*([answer] if isinstance(answer, Tensor) else answer.values()))

    hooks = [layer.register_forward_hook(check) for layer in layers]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()
