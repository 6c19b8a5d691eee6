"""Pictures of a run and of a measurement, as PNG."""

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from inference.systems.views import Scope
from train.curves import Banded, froc, roc
from train.errors import HOW_TO_INSTALL, Refused
from train.rankings import Patients, rankings
from train.run_folder import METRICS, Facts, measurements

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Numbers = NDArray[np.float64]

CAUTION = "research use only, synthetic data"

_NO_LOSSES = {"step", "stage", "rate", "seconds", "validation"}
_SMOOTHED = 0.02  # part of the steps


def can_plot() -> bool:
    """Tell whether matplotlib is installed; the node itself does without."""
    return find_spec("matplotlib") is not None


def require_matplotlib() -> None:
    """Say how to install what draws."""
    if not can_plot():
        raise Refused(f"plots need matplotlib, which is not installed: {HOW_TO_INSTALL}")


def plot_run(folder: Path) -> list[Path]:
    """Draw losses and validation figures of a run, and of each run inside it."""
    require_matplotlib()
    drawn = []
    for path in sorted(folder.rglob(METRICS)):
        entries = measurements(path.parent)
        for name, title, series in (
            ("losses.png", "Losses", _losses(entries)),
            ("validation.png", "Validation", _validations(entries)),
        ):
            if series:
                drawn.append(_series(path.parent / name, title, series, entries))
    if not drawn:
        raise Refused(f"{folder} holds no measurements to draw: train it with `train run`")
    return drawn


def plot_curves(patients: Patients, scope: Scope, on: str, folder: Path) -> list[Path]:
    """Draw the curves of what a system can be asked for; those without a value are left out."""
    require_matplotlib()
    folder.mkdir(parents=True, exist_ok=True)
    drawn = []
    for ranking in rankings(scope):
        found = roc(patients, ranking)
        if found.drawable:
            path = folder / f"roc_{ranking.name}.png"
            labels = ("False positive rate", "Sensitivity")
            _curve(path, f"ROC: {ranking.rule}", on, found, labels)
            drawn.append(path)
    if scope.marks:
        found = froc(patients)
        if found.drawable:
            labels = ("False marks per image", "Part of the lesions found")
            _curve(folder / "froc.png", "FROC", on, found, labels)
            drawn.append(folder / "froc.png")
    return drawn


def _losses(entries: Sequence[Facts]) -> dict[str, list[tuple[int, float]]]:
    found: dict[str, list[tuple[int, float]]] = {}
    for entry in entries:
        for name in entry.keys() - _NO_LOSSES:
            found.setdefault(name, []).append((entry["step"], entry[name]))
    return dict(sorted(found.items()))


def _validations(entries: Sequence[Facts]) -> dict[str, list[tuple[int, float]]]:
    found: dict[str, list[tuple[int, float]]] = {}
    for entry in entries:
        for name, value in entry.get("validation", {}).items():
            found.setdefault(name, []).append((entry["step"], value))
    return found


def _series(
    path: Path,
    title: str,
    series: dict[str, list[tuple[int, float]]],
    entries: Sequence[Facts],
) -> Path:
    figure, axes = _sheet()
    dense = title == "Losses"
    begins = _begins(entries)
    for name, points in series.items():
        steps, values = (np.array(part, dtype=np.float64) for part in zip(*points, strict=True))
        if dense:
            (line,) = axes.plot(steps, values, alpha=0.25, linewidth=0.8)
            axes.plot([], [], color=line.get_color(), label=name)
            # Losses of two stages are not of one kind: none is smoothed into the next.
            cuts = np.searchsorted(steps, [step for step, _ in begins])
            for at, some in zip(np.split(steps, cuts), np.split(values, cuts), strict=True):
                axes.plot(*_smooth(at, some, len(values)), color=line.get_color())
        else:
            axes.plot(steps, values, marker="o", markersize=3, label=name)
    for step, stage in begins:
        axes.axvline(step, color="0.7", linewidth=0.8, zorder=0)
        axes.text(
            step, 0.99, f" {stage}", transform=axes.get_xaxis_transform(), va="top", fontsize=8
        )
    axes.set_xlabel("Step")
    axes.set_title(f"{title} of {path.parent.name}\n{CAUTION}", fontsize=10)
    axes.legend(frameon=False)
    _save(figure, axes, path)
    return path


def _smooth(steps: Numbers, values: Numbers, of: int) -> tuple[Numbers, Numbers]:
    """Return the mean over the steps before each, as many as are a small part of the run."""
    width = max(1, min(len(values), round(of * _SMOOTHED)))
    if not values.size:
        return steps, values
    return steps[width - 1 :], np.convolve(values, np.full(width, 1 / width), mode="valid")


def _begins(entries: Sequence[Facts]) -> list[tuple[int, str]]:
    """Return where each stage begins."""
    found: dict[str, int] = {}
    for entry in entries:
        found.setdefault(entry["stage"], entry["step"])
    return [(step, stage) for stage, step in found.items()]


def _curve(path: Path, title: str, on: str, found: Banded, labels: tuple[str, str]) -> None:
    figure, axes = _sheet()
    axes.fill_between(found.across, found.low, found.high, alpha=0.25, step="post", label="95 %")
    axes.step(found.across, found.up, where="post")
    axes.set_xlabel(labels[0])
    axes.set_ylabel(labels[1])
    axes.set_xlim(0, found.across[-1])
    axes.set_ylim(0, 1.02)
    axes.set_title(f"{title}\n{on}; {CAUTION}", fontsize=9, wrap=True)
    axes.legend(frameon=False, loc="lower right", title="band: bootstrap over patients")
    _save(figure, axes, path)


def _save(figure: "Figure", axes: "Axes", path: Path) -> None:
    """Write a sheet; its title goes along where a picture is looked up without being looked at."""
    figure.savefig(path, metadata={"Title": axes.get_title().replace("\n", "; ")})


def _sheet() -> "tuple[Figure, Axes]":
    """Return an empty sheet; no window, and no state that other drawings share."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 5), dpi=120, layout="constrained")
    return figure, figure.add_subplot()
