"""The numbers of the node in Prometheus' text format: names of settings and senders, no others."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from dicom_node.life import State
from dicom_node.watching.latency import CASES

KIND = "text/plain; version=0.0.4; charset=utf-8"


def metrics(told: Mapping[str, Any]) -> str:
    """Write where everything stands as numbers."""
    return "\n".join(_lines(told)) + "\n"


def _lines(told: Mapping[str, Any]) -> Iterator[str]:
    yield from _gauge(
        "fourviews_info", "The version that runs", {_label("version", told["version"]): 1}
    )
    yield from _gauge(
        "fourviews_cases",
        "Cases in each state",
        {_label("state", state): told["cases"].get(state.value, 0) for state in State},
    )
    parked, lost, unkept = (
        {name: one["objects"] for name, one in told[what].items()}
        for what in ("parked", "lost", "not_committed")
    )
    for name, what, counts in (
        ("fourviews_owed_objects", "Objects that are owed to a destination", told["owed"]),
        ("fourviews_refused_objects", "Objects that a destination will not take", parked),
        ("fourviews_lost_objects", "Objects owed to one, whose files are gone or altered", lost),
        ("fourviews_uncommitted_objects", "Objects that one does not promise to keep", unkept),
    ):
        places = sorted({*told["destinations"], *counts})
        yield from _gauge(
            name, what, {_label("destination", place): counts.get(place, 0) for place in places}
        )
    yield from _gauge(
        "fourviews_unreachable_destinations",
        "Destinations that could not be reached the last time",
        {"": len(told["unreachable"])},
    )
    yield from _latency(told["legs"])
    if told["drift"]:
        for name, what, key in (
            ("fourviews_score_drift", "How far a device's scores lie from the card's", "drift"),
            ("fourviews_score_drift_alarm", "Whether that is too far", "alarm"),
            ("fourviews_mean_score", "The mean score of a device's last exams", "mean"),
        ):
            judged = {_of(one): float(one[key]) for one in told["drift"] if one["judged"]}
            if judged:
                yield from _gauge(name, what, judged)
        yield from _gauge(
            "fourviews_score_drift_judged",
            "Whether a device has sent enough exams to tell",
            {_of(one): float(one["judged"]) for one in told["drift"]},
        )
    yield from _gauge(
        "fourviews_disk_free_bytes", "Room where images are kept", {"": told["free_bytes"]}
    )
    yield from _gauge(
        "fourviews_disk_reserve_bytes",
        "With less room images are refused",
        {"": told["reserve_bytes"]},
    )
    if told["last_image_seconds"] is not None:
        yield from _gauge(
            "fourviews_last_image_timestamp_seconds",
            "When the last image came",
            {"": told["last_image_seconds"]},
        )


def _latency(legs: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Write how long the newest cases took for each leg: quantiles, as they cannot be summed up."""
    took = {
        _labels(leg=one["leg"], quantile=quantile): one[key]
        for one in legs
        for quantile, key in (("0.5", "half"), ("0.95", "most"), ("1", "longest"))
        if one[key] is not None
    }
    waits = {_label("leg", one["leg"]): one["waits"] for one in legs if one["waits"] is not None}
    counts = {_label("leg", one["leg"]): one["cases"] for one in legs}
    for name, what, values in (
        ("fourviews_leg_seconds", f"How long each leg took the last {CASES} cases", took),
        ("fourviews_leg_cases", "How many of these have it behind them", counts),
        ("fourviews_leg_wait_seconds", "How long the oldest case on it waits there", waits),
    ):
        if values:
            yield from _gauge(name, what, values)


def _gauge(name: str, what: str, values: Mapping[str, float]) -> Iterator[str]:
    yield f"# HELP {name} {what}."
    yield f"# TYPE {name} gauge"
    yield from (f"{name}{label} {value}" for label, value in values.items())


def _labels(**named: str) -> str:
    return "{" + ",".join(_label(name, value)[1:-1] for name, value in named.items()) + "}"


def _of(one: Mapping[str, Any]) -> str:
    return _labels(device=one["device"], bundle=one["bundle"])


def _label(name: str, value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'{{{name}="{escaped}"}}'
