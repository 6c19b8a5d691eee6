"""A card in words, and two of them side by side."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from inference.bundle import Card, Measurement

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
    if card.training.begun_from:
        yield f"begun from: {card.training.begun_from}"
    yield f"reads: {', '.join(card.reads)}"
    if (contract := card.contract) is not None:
        finest, coarsest = contract.spacing_mm
        yield f"learned from: {', '.join(contract.views)}, pixels of {finest:g} to {coarsest:g} mm"
        if contract.devices:
            yield f"learned from devices: {', '.join(contract.devices)}"
        if contract.remarks:
            yield contract.remarks
    for name, point in card.operating_points.items():
        default = " (default)" if name == card.default_operating_point else ""
        yield f"operating point {name}{default}: score {point.finding_score:g}, {point.chosen_for}"
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
    for name in dict.fromkeys([*one.operating_points, *other.operating_points]):
        scores = [
            f"{card.operating_points[name].finding_score:g}"
            if name in card.operating_points
            else NONE
            for card in (one, other)
        ]
        rows.append(_row(f"operating point {name}", *scores))
    ours, theirs = ({(_what(m), m.on): m for m in card.metrics} for card in (one, other))
    for what, on in dict.fromkeys([*ours, *theirs]):
        values = [_value(m) if (m := side.get((what, on))) else NONE for side in (ours, theirs)]
        rows.append(_row(f"{what}, on {on}", *values))
    return rows


def _row(what: str, one: str, other: str) -> dict[str, str]:
    return {"what": what, "one": one, "other": other}


def _what(metric: "Measurement") -> str:
    return f"{metric.name} of {metric.subgroup}" if metric.subgroup else metric.name


def _value(metric: "Measurement") -> str:
    return f"{metric.value:.3f} ({metric.low:.3f} to {metric.high:.3f})"
