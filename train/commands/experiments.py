"""The command `train experiments`."""

from pathlib import Path
from typing import Annotated

import typer


def experiments(  # noqa: PLR0913 - what one may ask for, each by its name
    names: Annotated[list[str], typer.Argument(help="Files of config/experiments, without .toml.")],
    *,
    plans: Annotated[Path, typer.Option("--from", help="Where the experiments' files are.")] = Path(
        "config/experiments"
    ),
    runs: Annotated[Path, typer.Option(help="Where each row's run folders are kept.")] = Path(
        "runs/experiments"
    ),
    pages: Annotated[Path, typer.Option(help="Where the pages with the tables are.")] = Path(
        "docs/papers"
    ),
    kept: Annotated[
        bool, typer.Option("--kept", help="Train nothing: write the tables of what is there.")
    ] = False,
    draws: Annotated[int, typer.Option(min=1, help="Draws of each bootstrap.")] = 1000,
    cache: Annotated[Path, typer.Option(help="Where prepared pictures are kept.")] = Path(
        ".cache/lessons"
    ),
    device: Annotated[str, typer.Option(help="As torch names it: cpu, cuda, cuda:1.")] = "cpu",
    workers: Annotated[int, typer.Option(min=1, help="Processes that image patients.")] = 2,
    threads: Annotated[int, typer.Option(min=1, help="Threads of the network's arithmetic.")] = 2,
) -> None:
    """Train the rows of papers' tables, measure them on patients held out, write the tables."""
    import torch

    from train.experiments.going import go
    from train.experiments.page import write_page
    from train.experiments.plan import read_plan

    torch.set_num_threads(threads)
    asked = {name: read_plan(plans / f"{name}.toml") for name in names}
    for plan in asked.values():  # what is wrong is said before anything is trained
        for row in plan.rows:
            plan.course(row, plan.seeds[0])
    for name, plan in asked.items():
        if not kept:
            for _ in go(plan, runs / name, cache, device=device, workers=workers):
                pass
        typer.echo(f"written: {write_page(name, plan, runs / name, pages, draws=draws)}")
