"""A card in words, and two bundles side by side: their cards, and what both said of cases here."""

from collections.abc import Iterator, Sequence
from statistics import fmean, median
from typing import TYPE_CHECKING

from dicom_node.ledger.questions import Questions
from dicom_node.ledger.shadows import Pair, Said, read_by_both

if TYPE_CHECKING:
    from inference.bundle import Calibration, Card, Measurement, OperatingPoint

NONE = "-"


def described(card: "Card") -> Iterator[str]:
    """Say in lines what a card says, the weightiest first."""
    yield f"{card.name} {card.version} ({card.system}), {card.license}"
    yield f"for: {card.intended_use}"
    yield from (f"not: {limit}" for limit in card.limits)
    yield f"weights: {card.weights_sha256}"
    yield f"made: {card.created:%Y-%m-%d} with {card.training.recipe} on {card.training.data}"
    for one in card.data_sets:
        yield (
            f"{one.use}: {one.name}, {one.patients} patients, {one.images} images, {one.license}, "
            f"list {one.sha256[:12]}"
        )
    yield from dict.fromkeys(f"credit: {one.credit}" for one in card.data_sets if one.credit)
    if card.training.begun_from:
        yield f"begun from: {card.training.begun_from}"
    yield f"reads: {', '.join(card.reads)}; marks: {', '.join(card.marks) or 'nothing'}"
    if (contract := card.contract) is not None:
        finest, coarsest = contract.spacing_mm
        yield f"learned from: {', '.join(contract.views)}, pixels of {finest:g} to {coarsest:g} mm"
        if contract.devices:
            yield f"learned from devices: {', '.join(contract.devices)}"
        if contract.remarks:
            yield contract.remarks
    for name, point in card.operating_points.items():
        default = " (default)" if name == card.default_operating_point else ""
        yield f"operating point {name}{default}: {_from(point)}; {point.chosen_for}"
    yield f"scores of views and exams: {_scale(card.calibration)}"
    yield f"scores of findings: {_scale(card.finding_calibration)}"
    yield f"a breast's score: the {card.aggregation.breast} of its views' logits"
    for metric in card.metrics:
        yield f"{_what(metric)}: {_value(metric)}, on {metric.on}"
    if (reference := card.reference) is not None:
        yield f"scores lie at: {', '.join(f'{one:.3f}' for one in reference.deciles)} (deciles)"
    if (kept := card.regression) is not None:
        yield f"phantom {kept.seed} has to get {kept.cancer_score} and {kept.surest}"


def compared(one: "Card", other: "Card") -> list[dict[str, str]]:
    """Lay two cards side by side; a figure counts only beside one on the same exams."""
    rows = [
        _row(what, getattr(one, key), getattr(other, key))
        for what, key in (
            ("version", "version"),
            ("system", "system"),
            ("license", "license"),
            ("weights", "weights_sha256"),
        )
    ]
    rows.append(_row("trained on", one.training.data, other.training.data))
    rows.append(_row("reads", ", ".join(one.reads), ", ".join(other.reads)))
    rows += [
        _row("scores of views and exams", _scale(one.calibration), _scale(other.calibration)),
        _row(
            "scores of findings", _scale(one.finding_calibration), _scale(other.finding_calibration)
        ),
        _row("of a breast's views", one.aggregation.breast, other.aggregation.breast),
        _row("default operating point", one.default_operating_point, other.default_operating_point),
    ]
    for name in dict.fromkeys([*one.operating_points, *other.operating_points]):
        points = one.operating_points.get(name), other.operating_points.get(name)
        for what, said in (("marks from", _marks), ("exams from", _exams), ("chosen for", _why)):
            rows.append(_row(f"{name}: {what}", *(said(it) if it else NONE for it in points)))
    return rows + list(_measured(one, other))


def _measured(one: "Card", other: "Card") -> Iterator[dict[str, str]]:
    """Lay what was measured side by side, all that was on the same exams together."""
    ours, theirs = ({(m.on, _what(m)): m for m in card.metrics} for card in (one, other))
    sets = list(dict.fromkeys(on for on, _ in [*ours, *theirs]))
    for on, what in sorted(dict.fromkeys([*ours, *theirs]), key=lambda key: sets.index(key[0])):
        values = [_value(m) if (m := side.get((on, what))) else NONE for side in (ours, theirs)]
        yield _row(f"{what}, on {on}", *values) | {"on": on}


def met(questions: Questions, one: "Card", other: "Card") -> list[dict[str, str]]:
    """Lay side by side what two bundles said of the same cases, one of them in shadow or both."""
    pairs = read_by_both(questions.engine, one.weights_sha256, other.weights_sha256)
    if not pairs:
        return []
    ours, theirs = [pair.one for pair in pairs], [pair.other for pair in pairs]
    both = sum(pair.one.findings > 0 < pair.other.findings for pair in pairs)
    alone = [
        sum(one.findings > 0 == other.findings for one, other in each)
        for each in (zip(ours, theirs, strict=True), zip(theirs, ours, strict=True))
    ]
    quiet = sum(not pair.one.findings and not pair.other.findings for pair in pairs)
    rows = [
        _row("cases here that both read", str(len(pairs)), str(len(pairs))),
        _row("of these, with findings of both", str(both), str(both)),
        _row("with findings of this one alone", *map(str, alone)),
        _row("without any finding", str(quiet), str(quiet)),
        _row(
            "findings in a case, mean", *(f"{_mean_findings(side):.2f}" for side in (ours, theirs))
        ),
        _row(
            "seconds, median",
            *(f"{median(one.seconds for one in side):.1f}" for side in (ours, theirs)),
        ),
    ]
    return rows + _scores(pairs)


def _scores(pairs: Sequence[Pair]) -> list[dict[str, str]]:
    judged = [
        (pair.case_id, pair.one.score, pair.other.score)
        for pair in pairs
        if pair.one.score is not None and pair.other.score is not None
    ]
    if not judged:
        return []
    apart = {case_id: abs(one - other) for case_id, one, other in judged}
    furthest = max(apart, key=lambda case_id: apart[case_id])
    said = f"{apart[furthest]:.3f} (case {furthest})"
    between = f"{fmean(apart.values()):.3f}"
    return [
        _row(
            "score, mean",
            *(f"{fmean(scores):.3f}" for scores in list(zip(*judged, strict=True))[1:]),
        ),
        _row("scores apart, mean", between, between),
        _row("scores apart, most", said, said),
    ]


def _mean_findings(side: Sequence[Said]) -> float:
    return fmean(one.findings for one in side)


def _row(what: str, one: str, other: str) -> dict[str, str]:
    return {"what": what, "one": one, "other": other}


def _from(point: "OperatingPoint") -> str:
    """Say from which score on a finding is marked, and an exam called."""
    called = "no exam is called" if point.exam_score is None else f"exams from {_exams(point)}"
    return f"marks from {_marks(point)}, {called}"


def _marks(point: "OperatingPoint") -> str:
    return f"{point.finding_score:g}"


def _exams(point: "OperatingPoint") -> str:
    return NONE if point.exam_score is None else f"{point.exam_score:g}"


def _why(point: "OperatingPoint") -> str:
    return point.chosen_for


def _scale(line: "Calibration | None") -> str:
    """Say how a network's logit becomes a probability, and at which prevalence that holds."""
    if line is None:
        return NONE
    at = "" if line.prevalence is None else f", where {100 * line.prevalence:.3g} % hold a cancer"
    return f"{line.slope:.4g} x logit {line.intercept:+.4g}{at}"


def _what(metric: "Measurement") -> str:
    return f"{metric.name} of {metric.subgroup}" if metric.subgroup else metric.name


def _value(metric: "Measurement") -> str:
    return f"{metric.value:.3f} ({metric.low:.3f} to {metric.high:.3f})"
