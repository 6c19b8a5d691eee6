"""The workshop's commands."""

import os
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from pydantic import ValidationError
from rich.console import Console
from rich.table import Column, Table

from inference.bundle import Measurement, faults
from inference.errors import BadBundle
from train.commands.experiments import experiments
from train.commands.split import split
from train.data.splits import PITCHES_MM, Seeds
from train.errors import HOW_TO_INSTALL, Refused

if TYPE_CHECKING:
    from train.recipes.recipe import Common

app = typer.Typer(
    help="Train, measure and export models.", no_args_is_help=True, pretty_exceptions_enable=False
)

Workers = Annotated[int, typer.Option(min=1, help="Processes that image patients.")]
Threads = Annotated[int, typer.Option(min=1, help="Threads of the network's arithmetic.")]
Cache = Annotated[Path, typer.Option(help="Where prepared pictures are kept.")]

DataFolder = Annotated[
    Path | None,
    typer.Option("--data", exists=True, file_okay=False, help="Where the data set lies."),
]
RunFolder = Annotated[
    Path, typer.Argument(exists=True, file_okay=False, help="A run's folder, runs/NAME.")
]

_CACHE = Path(".cache/lessons")
_EX_CONFIG = 78  # sysexits.h: something is misconfigured


@app.command("run")
def run_recipe(  # noqa: PLR0913 - what one may ask for, each by its name
    recipe: Annotated[
        Path,
        typer.Argument(exists=True, dir_okay=False, help="A recipe, config/recipes/*.toml."),
    ],
    *,
    # torchrun takes "--run", wherever it stands, for a shortened option of its own.
    folder: Annotated[
        Path | None, typer.Option("--run", "--into", help="The run folder; default: runs/NAME.")
    ] = None,
    cache: Cache = _CACHE,
    device: Annotated[str, typer.Option(help="As torch names it: cpu, cuda, cuda:1.")] = "cpu",
    workers: Workers = 2,
    threads: Threads = 2,
    data: DataFolder = None,
) -> None:
    """Train a recipe into a run folder, or go on where it stopped.

    Several processes train together where torchrun starts them:
    torchrun --nproc-per-node 2 -m train run RECIPE.
    """
    import torch

    from train import parallel
    from train.events import can_write
    from train.plots import can_plot
    from train.run_folder import Run

    torch.set_num_threads(threads)
    text = recipe.read_text(encoding="utf-8")
    course = _recipe(text, str(recipe), data)
    with parallel.together(device) as own:
        run = Run(folder or Path("runs") / recipe.stem, text)
        course.train(run, cache, device=own, workers=workers)
        if not parallel.leads():
            return
        run.tell(data_sha256=course.read)
    if not (can_plot() and can_write()):
        typer.echo(f"Plots and TensorBoard's events are an extra: {HOW_TO_INSTALL}")
    if can_plot():
        plot(run.folder)
    typer.echo(f"trained: {run.folder}; next: train export {run.folder} BUNDLE")


@app.command()
def plot(run: RunFolder) -> None:
    """Draw the losses and validation figures of a run, finished or not."""
    from train.plots import plot_run

    for path in plot_run(run):
        typer.echo(f"drawn: {path}")


@app.command("export")
def export_run(
    run: RunFolder,
    folder: Annotated[Path, typer.Argument(help="The bundle to write.")],
    *,
    cache: Cache = _CACHE,
    workers: Workers = 2,
    threads: Threads = 2,
    data: DataFolder = None,
) -> None:
    """Calibrate a finished run, choose its operating points and write the bundle."""
    import torch

    from train.fixture import with_phantom
    from train.run_folder import Run, require_finished

    torch.set_num_threads(threads)
    text, course = _recipe_of(run, data)
    require_finished(run)
    course.export(Run(run, text), cache, folder, workers=workers)
    card = with_phantom(folder)
    _print(card.metrics, {}, f"on {card.metrics[0].on}" if card.metrics else "")
    typer.echo(f"exported: {folder}; next: train evaluate {folder} {_measuring(course, data)}")


@app.command()
def forest(
    run: RunFolder,
    *,
    cache: Cache = _CACHE,
    workers: Workers = 2,
    threads: Threads = 2,
    data: DataFolder = None,
) -> None:
    """Measure the random forest that Shen compares with, on the heatmaps of a run of all_conv."""
    import torch

    from train.commands.forest import on_heatmaps
    from train.run_folder import Run

    torch.set_num_threads(threads)
    text, course = _recipe_of(run, data)
    found = on_heatmaps(course, Run(run, text), cache, workers=workers)
    _print([found], {}, f"forest on {found.on}")


@app.command()
def evaluate(  # noqa: PLR0913 - what one may ask for, each by its name
    bundle: Annotated[Path, typer.Argument(help="A bundle's folder.")],
    *,
    studies: Annotated[int, typer.Option(min=1, help="How many phantoms.")] = 200,
    first_seed: Annotated[int, typer.Option(min=0, help="The first one's seed.")] = 900_000,
    pitch_mm: Annotated[
        float, typer.Option(min=PITCHES_MM[0], max=PITCHES_MM[1], help="Their pixels.")
    ] = 0.1,
    seen: Annotated[
        bool, typer.Option("--seen", help="Allow patients seen in training, and say so.")
    ] = False,
    plots: Annotated[
        Path | None, typer.Option(help="A folder for the ROC and FROC curves, as PNG.")
    ] = None,
    cancers: Annotated[
        float | None,
        typer.Option(min=0, max=1, help="Weigh exams as where this part of them shows a cancer."),
    ] = None,
    benign: Annotated[
        float | None, typer.Option(min=0, max=1, help="And this part benign lesions only.")
    ] = None,
    write: Annotated[bool, typer.Option("--write", help="Put the figures in the card.")] = False,
    workers: Workers = 2,
    threads: Threads = 2,
    data: DataFolder = None,
    data_set: Annotated[
        str, typer.Option("--set", help="Its name, as cbis_ddsm, in place of phantoms.")
    ] = "",
    split: Annotated[
        Path | None, typer.Option(help="A split; without it, all images are read.")
    ] = None,
    part: Annotated[str, typer.Option(help="Which part of the split is read.")] = "validation",
    taught: Annotated[
        Path | None,
        typer.Option(help="The split that taught the bundle, where --split is another one."),
    ] = None,
    spacing_mm: Annotated[
        tuple[float, float] | None,
        typer.Option(help="Rows and columns of images of which nobody knows it."),
    ] = None,
) -> None:
    """Measure a bundle on phantoms that it never saw, or on images of a data set."""
    import torch

    from inference.analyzer import open_bundle
    from inference.bundle import save_card
    from train.commands.measuring import Asked, acquaintance, on_data
    from train.evaluation import as_in, examined
    from train.figures import USUAL, marking, measured, published, unmeasured
    from train.fixture import reference
    from train.plots import plot_curves, require_matplotlib

    torch.set_num_threads(threads)
    if plots is not None:
        require_matplotlib()
    if (data is None) != (not data_set):
        raise Refused(
            "a data set needs both --data, where it lies, and --set, the name of its reader"
        )
    if data is None and (split or taught or spacing_mm):
        raise Refused("--split, --taught and --spacing-mm are of a data set: say --data and --set")
    analyzer = open_bundle(bundle)
    scope = analyzer.system.reader.scope
    points = marking(analyzer.card.operating_points)
    population = _population(cancers, benign)
    if data is None:
        seeds = Seeds(first_seed=first_seed, studies=studies)
        on = f"{seeds} at {pitch_mm:g} mm, {acquaintance(analyzer.card, seeds, allowed=seen)}"
        patients = examined(analyzer.system, seeds.seeds, pitch_mm, workers=workers)
        counting = USUAL
    else:
        patients, on = on_data(
            analyzer,
            Asked(
                folder=data,
                name=data_set,
                split=split,
                part=part,
                taught=taught,
                spacing_mm=spacing_mm,
                allowed=seen,
            ),
        )
        counting = published(patients, analyzer.system.breast)
    if population is not None:
        patients = as_in(patients, cancers=population[0], benign=population[1])
        on += f", weighed as {population[0]:g} cancers and {population[1]:g} benign lesions only"
    metrics = measured(patients, points, on, scope, counting)
    _print(metrics, unmeasured(patients, points, scope, counting), f"on {on}")
    if plots is not None:
        for path in plot_curves(patients, scope, on, plots):
            typer.echo(f"drawn: {path}")
    if write:
        healthy = [one.score for one in patients if one.score is not None and not one.cancer]
        found = reference(healthy, f"{on}, without cancer") or analyzer.card.reference
        update = {"metrics": metrics, "reference": found}
        save_card(bundle, analyzer.card.model_copy(update=update))


@app.command("data")
def data_set(
    name: Annotated[str, typer.Argument(help="Which form it has, as cbis_ddsm or coco.")],
    folder: Annotated[Path, typer.Argument(help="Where it lies.")],
    *,
    described: Annotated[
        Path | None, typer.Option(help="What its words mean; default: dataset.toml in the folder.")
    ] = None,
) -> None:
    """Read a data set, and say what is in it and what was dropped."""
    from train.data.readers.by_name import samples
    from train.data.readers.counted import counted

    table = Table("what", "which", "how many", title=f"{name} in {folder}")
    last = ""
    for what, which, times in counted(samples(name, folder, described)):
        table.add_row("" if what == last else what, which, str(times))
        last = what
    Console().print(table)


@app.command()
def complete(
    bundle: Annotated[Path, typer.Argument(help="A bundle's folder.")],
    pitch_mm: Annotated[
        float, typer.Option(min=PITCHES_MM[0], max=PITCHES_MM[1], help="Pixels of the phantoms.")
    ] = 0.1,
    *,
    workers: Workers = 2,
    threads: Threads = 2,
) -> None:
    """Add what an older card leaves unsaid, from the phantoms that steered its training."""
    import torch

    from inference.analyzer import open_bundle
    from inference.bundle import save_card
    from train.data.splits import named_in
    from train.deciding import completed, read_again
    from train.fixture import with_phantom

    torch.set_num_threads(threads)
    analyzer = open_bundle(bundle)
    card, reader = analyzer.card, analyzer.system.reader
    steered = named_in(card.operating_points[card.default_operating_point].chosen_for)
    if not steered:
        raise Refused(f"{card.name} {card.version} names no phantoms that steered its training")
    patients = read_again(reader, steered[0].seeds, pitch_mm, workers=workers)
    after = completed(card, patients, reader.scope, str(steered[0]))
    save_card(bundle, after)
    with_phantom(bundle)
    typer.echo(f"{card.name} {card.version}: operating points {', '.join(after.operating_points)}")


app.command()(experiments)
app.command()(split)


def main() -> None:
    """Run the workshop's command line; what the user can put right needs no traceback."""
    try:
        app()
    except (BadBundle, Refused) as fault:
        if os.environ.get("RANK", "0") == "0":  # one of several processes is enough to say it
            typer.echo(fault, err=True)
        raise SystemExit(_EX_CONFIG) from fault


def _measuring(course: "Common", data: Path | None) -> str:
    """Say how what a recipe has made is measured: on patients of the sort that it learned from."""
    from train.recipes.patients import DataSet

    if data is None or not isinstance(course.data, DataSet):
        return "--write"
    told = f"--data {data} --set {course.data.set} --split {course.data.split}"
    if course.data.spacing_mm is None:
        return told
    return f"{told} --spacing-mm {' '.join(map(str, course.data.spacing_mm))}"


def _population(cancers: float | None, benign: float | None) -> tuple[float, float] | None:
    """Take the parts of a population: both, or none."""
    if cancers is None and benign is None:
        return None
    if cancers is None or benign is None:
        raise Refused("a population needs both --cancers and --benign")
    if cancers + benign > 1:
        raise Refused(f"--cancers {cancers:g} and --benign {benign:g} are more than all exams")
    return cancers, benign


def _recipe_of(run: Path, data: Path | None) -> tuple[str, "Common"]:
    """Read the recipe that a run keeps."""
    from train.run_folder import RECIPE

    kept = run / RECIPE
    if not kept.exists():
        raise Refused(f"{run} is no run folder: it has no {RECIPE}")
    text = kept.read_text(encoding="utf-8")
    return text, _recipe(text, str(kept), data)


def _recipe(text: str, where: str, data: Path | None) -> "Common":
    from train.recipes.by_name import read_recipe
    from train.recipes.patients import DataSet

    try:
        course = read_recipe(text)
    except tomllib.TOMLDecodeError as fault:
        typer.echo(f"{where} is not TOML: {fault}", err=True)
    except ValidationError as error:
        typer.echo("\n".join(faults(where, error)), err=True)
    else:
        if data is not None:
            if not isinstance(course.data, DataSet):
                raise Refused(f"{where} learns from phantoms: leave out --data")
            course.data.lie_in(data)
        return course
    raise typer.Exit(_EX_CONFIG)


def _print(metrics: list[Measurement], missing: dict[str, str], title: str) -> None:
    # A name that does not fit is broken, never cut: some differ in their last words alone.
    table = Table(Column("measured", overflow="fold"), "value", "95 % interval", title=title)
    for metric in metrics:
        name = f"{metric.name}, {metric.subgroup}" if metric.subgroup else metric.name
        table.add_row(name, f"{metric.value:.3f}", f"{metric.low:.3f} to {metric.high:.3f}")
    for name, needs in missing.items():
        table.add_row(name, "none", f"needs {needs}")
    Console().print(table)
