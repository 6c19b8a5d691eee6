"""What a bundle says of one phantom: elsewhere, and later, it has to say the same."""

import hashlib
from collections.abc import Iterator

import numpy as np

from inference.analyzer import Analyzer
from inference.bundle import Regression
from inference.mammogram import Exam

TOLERANCE = 2e-3  # another processor adds in another order
DIGITS = 6


def regression(analyzer: Analyzer, exam: Exam, *, seed: int, pitch_mm: float) -> Regression:
    """Write down what a bundle says of a phantom's exam."""
    cancer_score, surest = _said(analyzer, exam)
    return Regression(
        seed=seed,
        pitch_mm=pitch_mm,
        pixels_sha256=digest_of(exam),
        tolerance=TOLERANCE,
        cancer_score=None if cancer_score is None else round(cancer_score, DIGITS),
        surest=[round(score, DIGITS) for score in surest],
    )


def regressed(analyzer: Analyzer, exam: Exam) -> tuple[str, ...]:
    """Say what a bundle answers otherwise than its card has it."""
    kept = analyzer.card.regression
    return () if kept is None else tuple(_differences(kept, analyzer, exam))


def is_same(kept: Regression, exam: Exam) -> bool:
    """Say whether a phantom has the pixels of the card's: other code may draw it otherwise."""
    return digest_of(exam) == kept.pixels_sha256


def _differences(kept: Regression, analyzer: Analyzer, exam: Exam) -> Iterator[str]:
    cancer_score, surest = _said(analyzer, exam)
    if not _near(cancer_score, kept.cancer_score, kept.tolerance):
        yield f"the cancer score is {cancer_score}, in the card {kept.cancer_score}"
    if len(surest) != len(kept.surest):
        yield f"there are {len(surest)} views, in the card {len(kept.surest)}"
        return
    for view, now, then in zip(exam.views, surest, kept.surest, strict=True):
        if not _near(now, then, kept.tolerance):
            yield f"the surest finding in {view.name} has {now:.6f}, in the card {then:.6f}"


def digest_of(exam: Exam) -> str:
    """Return the SHA-256 of an exam's pixels."""
    digest = hashlib.sha256()
    for view in exam.views:
        digest.update(f"{view.name} {view.pixels.shape}".encode())
        digest.update(np.ascontiguousarray(view.pixels, dtype="<i4").data)
    return digest.hexdigest()


def _near(now: float | None, then: float | None, tolerance: float) -> bool:
    if now is None or then is None:
        return now is then
    return abs(now - then) <= tolerance


def _said(analyzer: Analyzer, exam: Exam) -> tuple[float | None, list[float]]:
    cancer_score, views = analyzer.system.read_exam(exam, 0.0)
    surest = [max((found.score for found in view.findings), default=0.0) for view in views]
    return cancer_score, surest
