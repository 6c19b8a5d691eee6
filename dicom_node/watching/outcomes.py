"""What became of the exams that were read, and the line that fits their scores to it."""

import csv
import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dicom_node.analyzing.deciding import scale_of, weights_of
from dicom_node.errors import Misconfigured
from dicom_node.ledger.clock import by_the_clock
from dicom_node.ledger.questions import Result
from dicom_node.watching.accessions import number_of
from dicom_node.wiring import Node
from inference.errors import BadBundle
from inference.platt import platt
from inference.scores import EDGE, logit_of, sigmoid

LEAST = 25  # exams with a cancer, and without: fewer make a line that the next ones bend
FLAT = 0.01  # a slope that may be as small as this orders nothing
RESAMPLED = 500
ANSWERS = {"1": True, "yes": True, "true": True, "0": False, "no": False, "false": False}
NAMES = ("study_uid", "accession")
SHOWN_FAULTS = 10

Numbers = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Outcomes:
    """What a file says: whether an exam held a cancer, by study UID or accession number."""

    by: str
    cancers: Mapping[str, bool]
    sha256: str


@dataclass(frozen=True, slots=True)
class Estimate:
    """A number, and the interval that holds it in 95 % of what might have come as well."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        """Write it as commands show it."""
        return f"{self.value:.3f} ({self.low:.3f} to {self.high:.3f})"


@dataclass(frozen=True, slots=True)
class Fitted:
    """The line, on what it rests, and what it makes of the exams that it was fitted on."""

    bundle: str
    digest: str
    scale: str
    cases: int
    cancers: int
    slope: Estimate
    intercept: Estimate
    told: float  # the mean score as the card calibrates it
    tells: float  # and with the line
    left_out: Mapping[str, int]  # why, and how many

    @property
    def prevalence(self) -> float:
        """Return which part of the exams held a cancer."""
        return self.cancers / self.cases

    @property
    def fitted_on(self) -> str:
        """Say on what it rests, as reports will."""
        day = by_the_clock().date().isoformat()
        return f"{self.cases} exams, {self.cancers} with a cancer, {day}"

    @property
    def table(self) -> str:
        """Write what belongs into the settings."""
        return "\n".join(
            (
                "[[analyzing.calibrations]]",
                f'digest = "{self.digest}"',
                f'scale = "{self.scale}"',
                f"slope = {self.slope.value!r}",
                f"intercept = {self.intercept.value!r}",
                f"prevalence = {self.prevalence!r}",
                f'fitted_on = "{self.fitted_on}"',
                "",
            )
        )


def outcomes_in(path: Path) -> Outcomes:
    """Read a CSV file with a header; every fault of it is said at once."""
    try:
        content = path.read_bytes()
        text = content.decode("utf-8-sig")
    except OSError as trouble:
        raise Misconfigured([f"{path}: cannot be read: {trouble.strerror}"]) from trouble
    except UnicodeDecodeError as fault:
        raise Misconfigured([f"{path}: is not UTF-8"]) from fault
    lines = text.splitlines()
    head = lines[0] if lines else ""
    rows = csv.DictReader(lines, delimiter=";" if head.count(";") > head.count(",") else ",")
    columns = [name.strip().lower() for name in rows.fieldnames or ()]
    rows.fieldnames = columns
    by = next((name for name in NAMES if name in columns), None)
    if by is None or "cancer" not in columns:
        raise Misconfigured(
            [f"{path}:1: wanted: a column study_uid or accession, and a column cancer (1 or 0)"]
        )
    cancers, faults = dict[str, bool](), list[str]()
    for row in rows:
        name = (row[by] or "").strip()
        answer = ANSWERS.get((row["cancer"] or "").strip().lower())
        where = f"{path}:{rows.line_num}"
        if not name or answer is None:
            faults.append(f"{where}: wanted: a {by}, and 1 or 0 (yes or no) in cancer")
        elif cancers.setdefault(name, answer) is not answer:
            faults.append(f"{where}: says the opposite of an earlier line of the same {by}")
    if faults:
        more = [f"and {len(faults) - SHOWN_FAULTS} more"] if len(faults) > SHOWN_FAULTS else []
        raise Misconfigured([*faults[:SHOWN_FAULTS], *more])
    return Outcomes(by, cancers, hashlib.sha256(content).hexdigest())


def fit(node: Node, outcomes: Outcomes, point: str = "") -> Fitted:
    """Fit the line for the bundles that read now, and record that it was done; nothing changes.

    `point`: for what is read at this operating point; empty: at the one of the settings.
    """
    digest, scale = _read_now(node, point or node.settings.analyzing.operating_point)
    left_out = Counter[str]()
    scores, truth = [], []
    for result, cancer in _matched(node, outcomes, left_out):
        if (why := _other(result, digest, scale)) is not None:
            left_out[why] += 1
        elif result.card_score is not None:
            scores.append(result.card_score)
            truth.append(cancer)
    cancers = sum(truth)
    if min(cancers, len(truth) - cancers) < LEAST:
        why = "".join(f"; {count} {reason}" for reason, count in left_out.items())
        sentence = (
            f"calibrate: {cancers} exams with a cancer and {len(truth) - cancers} without have a "
            f"result and an outcome, and a line needs {LEAST} of each{why}"
        )
        raise Misconfigured([sentence])
    raw = np.array([logit_of(score, EDGE) for score in scores])
    slope, intercept = _line(raw, np.array(truth))
    fitted = Fitted(
        bundle=" and ".join(f"{card.name} {card.version}" for card in node.cards),
        digest=digest,
        scale=scale,
        cases=len(truth),
        cancers=cancers,
        slope=slope,
        intercept=intercept,
        told=float(np.mean(scores)),
        tells=float(np.mean([sigmoid(slope.value * one + intercept.value) for one in raw])),
        left_out=dict(left_out),
    )
    _record(node, outcomes, fitted)
    return fitted


def _read_now(node: Node, point: str) -> tuple[str, str]:
    """Name the weights that read now, and what their scores rest on at an operating point."""
    try:
        return weights_of(node.cards), scale_of(node.cards, point)
    except BadBundle as fault:
        raise Misconfigured(str(fault).splitlines()) from fault


def _other(result: Result, digest: str, scale: str) -> str | None:
    """Say why a result's score is none of those that are fitted; None where it is."""
    if result.digest != digest:
        return "were read by other weights than those that read now"
    if result.card_score is None:
        return "have no score: the bundle does not judge, or the node was an older one"
    if not result.scale:
        return "were read by a node that did not keep yet on what their scores rest"
    if result.scale != scale:
        return "have scores of another card of these weights, or of another operating point"
    return None


def _matched(
    node: Node, outcomes: Outcomes, left_out: Counter[str]
) -> Iterator[tuple[Result, bool]]:
    """Pair the newest result of each study that stands with what became of it."""
    results = {one.study_uid: one for one in node.questions.results()}  # later rounds come later
    if outcomes.by == "accession":
        results = dict(_by_accession(node, results.values(), left_out))
    left_out["name no exam that was read"] += len(outcomes.cancers.keys() - results.keys())
    left_out += Counter()  # what is zero is not told
    for name, cancer in outcomes.cancers.items():
        if name in results:
            yield results[name], cancer


def _by_accession(
    node: Node, results: Iterable[Result], left_out: Counter[str]
) -> Iterator[tuple[str, Result]]:
    """Name results by the accession numbers in their files: the ledger holds none."""
    twice, named = set[str](), dict[str, Result]()
    files = node.questions.files_of_studies()
    for result in results:
        name = number_of(node.spool, files.get(result.study_uid, ()))
        if name in named:
            twice.add(name)
        elif name:
            named[name] = result
    if twice:
        left_out["have an accession number that several studies have"] += len(twice)
    yield from ((name, result) for name, result in named.items() if name not in twice)


def _line(raw: Numbers, truth: NDArray[np.bool_]) -> tuple[Estimate, Estimate]:
    """Fit the line, and again on exams drawn from these, for the intervals."""
    best = platt(raw, truth)
    dice, lines = np.random.default_rng(0), list[tuple[float, float]]()
    while len(lines) < RESAMPLED:
        drawn = dice.integers(0, truth.size, truth.size)
        if 0 < truth[drawn].sum() < truth.size:
            lines.append(platt(raw[drawn], truth[drawn]))
    low, high = np.percentile(lines, (2.5, 97.5), axis=0)
    slope, intercept = (
        Estimate(best[place], float(low[place]), float(high[place])) for place in (0, 1)
    )
    if slope.low < FLAT:
        sentence = (
            f"calibrate: the slope is {slope}: on these {truth.size} exams the scores do not tell "
            "those with a cancer from the others, and no line mends that; are the outcomes right?"
        )
        raise Misconfigured([sentence])
    return slope, intercept


def _record(node: Node, outcomes: Outcomes, fitted: Fitted) -> None:
    node.ledger.record(
        "calibrated",
        f"on {fitted.fitted_on}; nothing is changed by it",
        digest=fitted.digest,
        scale=fitted.scale,
        outcomes_sha256=outcomes.sha256,
        cases=fitted.cases,
        cancers=fitted.cancers,
        slope=_numbers(fitted.slope),
        intercept=_numbers(fitted.intercept),
        left_out=dict(fitted.left_out),
    )


def _numbers(estimate: Estimate) -> Sequence[float]:
    return [estimate.value, estimate.low, estimate.high]
