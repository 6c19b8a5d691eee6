"""Train and measure the rows of an experiment; what is done is not done again."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from train.experiments.held import Kept, held, keep, kept_in
from train.experiments.plan import Plan
from train.export import code_version
from train.run_folder import FACTS, WEIGHTS, Run, facts_of, measurements

HELD_OUT = "held_out.json"


@dataclass(frozen=True, slots=True)
class Place:
    """One row of one seed, and its folder."""

    row: str
    seed: int
    folder: Path

    @property
    def kept(self) -> Path:
        """Name the file of what was said of the patients held out."""
        return self.folder / HELD_OUT


def places(plan: Plan, folder: Path) -> list[Place]:
    """Name all rows of all seeds, one whole seed after the other, those with own weights first."""
    names = sorted(plan.rows, key=lambda name: bool(plan.rows[name].of))
    return [
        Place(name, seed, folder / name / f"seed_{seed}") for seed in plan.seeds for name in names
    ]


def go(plan: Plan, folder: Path, cache: Path, *, device: str, workers: int) -> Iterator[Place]:
    """Train and measure what is left, and tell of each that is there."""
    for place in places(plan, folder):
        if finished(plan, place) is None:
            Console().print(f"{place.row}, seed {place.seed}", highlight=False)
            _go(plan, place, folder, cache, device=device, workers=workers)
        yield place


def finished(plan: Plan, place: Place) -> Kept | None:
    """Return what is kept of a row, if it is of this very recipe and these patients."""
    kept = kept_in(place.kept)
    if kept is None:
        return None
    text = plan.recipe_of(place.row, place.seed)
    same = (
        kept.recipe_sha256 == hashlib.sha256(text.encode()).hexdigest()
        and kept.held_out == str(plan.held_out)
        and kept.marks == plan.marks
        and kept.hit == plan.hit
    )
    return kept if same else None


def cost(place: Place) -> tuple[int, float, int]:
    """Return a row's steps, the minutes that they took, and on how many threads."""
    steps = [
        line
        for path in sorted(place.folder.rglob("metrics.jsonl"))
        for line in measurements(path.parent)
        if "seconds" in line
    ]
    threads = {
        int(session["threads"])
        for path in place.folder.rglob(FACTS)
        for session in facts_of(path.parent).get("sessions", ())
    }
    return len(steps), sum(line["seconds"] for line in steps) / 60, max(threads, default=0)


def _go(plan: Plan, place: Place, folder: Path, cache: Path, *, device: str, workers: int) -> None:
    course = plan.course(place.row, place.seed)
    text = plan.recipe_of(place.row, place.seed)
    run = Run(place.folder, text)
    other = plan.rows[place.row].of
    taught = run
    if other:
        taught = Run(folder / other / place.folder.name, plan.recipe_of(other, place.seed))
    else:
        course.train(run, cache, device=device, workers=workers)
    reader = course.reader(taught)
    lots = [
        course.data.lessons(plan.held_out, how, cache, workers=workers, judging=course.judges)
        for how in reader.preparations
    ]
    patients = tuple(held(reader, lots, plan.marks, plan.hit))
    keep(
        place.kept,
        Kept(
            recipe_sha256=run.recipe_sha256,
            weights_sha256=tuple(
                hashlib.sha256(path.read_bytes()).hexdigest()
                for path in sorted(taught.folder.rglob(WEIGHTS))
            ),
            held_out=str(plan.held_out),
            marks=plan.marks,
            hit=plan.hit,
            judges=reader.scope.judges,
            code=code_version(),
            patients=patients,
        ),
    )
