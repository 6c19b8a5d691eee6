"""The workshop's commands."""

import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from pydantic import ValidationError
from rich.console import Console
from rich.table import Table

from inference.bundle import Measurement, faults
from inference.errors import BadBundle

if TYPE_CHECKING:
    from train.recipes.recipe import Common

app = typer.Typer(
    help="Train, measure and export models.", no_args_is_help=True, pretty_exceptions_enable=False
)

Workers = Annotated[int, typer.Option(min=1, help="Processes that image patients.")]
Threads = Annotated[int, typer.Option(min=1, help="Threads of the network's arithmetic.")]
Cache = Annotated[Path, typer.Option(help="Where prepared pictures are kept.")]

_CACHE = Path(".cache/lessons")
_EX_CONFIG = 78  # sysexits.h: something is misconfigured


@app.command("run")
def run_recipe(
    recipe: Annotated[
        Path,
        typer.Argument(exists=True, dir_okay=False, help="A recipe, config/recipes/*.toml."),
    ],
    *,
    folder: Annotated[Path | None, typer.Option("--run", help="Default: runs/NAME.")] = None,
    cache: Cache = _CACHE,
    device: str = "cpu",
    workers: Workers = 2,
    threads: Threads = 2,
) -> None:
    """Train a recipe into a run folder, or go on where it stopped."""
    import torch

    from train.engine import OtherRecipe, Run

    torch.set_num_threads(threads)
    text = recipe.read_text(encoding="utf-8")
    course = _recipe(text, str(recipe))
    try:
        run = Run(folder or Path("runs") / recipe.stem, text)
    except OtherRecipe as fault:
        typer.echo(fault, err=True)
        raise typer.Exit(_EX_CONFIG) from fault
    course.train(run, cache, device=device, workers=workers)
    typer.echo(f"trained: {run.folder}; next: train export {run.folder} BUNDLE")


@app.command("export")
def export_run(
    run: Annotated[
        Path, typer.Argument(exists=True, file_okay=False, help="A finished run's folder.")
    ],
    folder: Annotated[Path, typer.Argument(help="The bundle to write.")],
    *,
    cache: Cache = _CACHE,
    workers: Workers = 2,
    threads: Threads = 2,
) -> None:
    """Calibrate a finished run, choose its operating points and write the bundle."""
    import torch

    from train.engine import RECIPE, Run

    torch.set_num_threads(threads)
    text = (run / RECIPE).read_text(encoding="utf-8")
    course = _recipe(text, str(run / RECIPE))
    card = course.export(Run(run, text), cache, folder, workers=workers)
    _print(card.metrics)
    typer.echo(f"exported: {folder}; next: train evaluate {folder} --write")


@app.command()
def evaluate(  # noqa: PLR0913 - what one may ask for, each by its name
    bundle: Annotated[Path, typer.Argument(help="A bundle's folder.")],
    *,
    studies: Annotated[int, typer.Option(min=1, help="How many unseen phantoms.")] = 200,
    first_seed: Annotated[int, typer.Option(min=0, help="The first one's seed.")] = 900_000,
    pitch_mm: Annotated[float, typer.Option(help="Their pixels.")] = 0.1,
    write: Annotated[bool, typer.Option("--write", help="Put the figures in the card.")] = False,
    workers: Workers = 2,
    threads: Threads = 2,
) -> None:
    """Measure a bundle on phantoms that it never saw."""
    import torch

    from inference.analyzer import open_bundle
    from inference.bundle import save_card
    from train.data.splits import Seeds
    from train.evaluation import examined, measured

    torch.set_num_threads(threads)
    analyzer = open_bundle(bundle)
    split = Seeds(first_seed=first_seed, studies=studies)
    metrics = measured(
        examined(analyzer.system, split.seeds, pitch_mm, workers=workers),
        {name: point.finding_score for name, point in analyzer.card.operating_points.items()},
        f"{split} at {pitch_mm:g} mm, unseen",
        analyzer.system.reader.scope,
    )
    _print(metrics)
    if write:
        save_card(bundle, analyzer.card.model_copy(update={"metrics": metrics}))


def main() -> None:
    """Run the workshop's command line; what the user can put right needs no traceback."""
    try:
        app()
    except BadBundle as fault:
        typer.echo(fault, err=True)
        raise SystemExit(_EX_CONFIG) from fault


def _recipe(text: str, where: str) -> "Common":
    from train.recipes.by_name import read_recipe

    try:
        return read_recipe(text)
    except tomllib.TOMLDecodeError as fault:
        typer.echo(f"{where} is not TOML: {fault}", err=True)
    except ValidationError as error:
        typer.echo("\n".join(faults(where, error)), err=True)
    raise typer.Exit(_EX_CONFIG)


def _print(metrics: list[Measurement]) -> None:
    table = Table("measured", "value", "95 % interval")
    for metric in metrics:
        table.add_row(metric.name, f"{metric.value:.3f}", f"{metric.low:.3f} to {metric.high:.3f}")
    Console().print(table)
