"""The tables of an experiment as Markdown, between two marks of its page."""

import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from train.experiments.comparing import Compared, compared
from train.experiments.going import Place, cost, finished, places
from train.experiments.held import Kept
from train.experiments.measures import described, measure
from train.experiments.plan import Plan
from train.recipes.by_name import read_recipe

DRAWS = 1000

Results = Mapping[str, Mapping[int, Kept]]  # of each row, by its seed


def write_page(name: str, plan: Plan, folder: Path, pages: Path, *, draws: int = DRAWS) -> Path:
    """Put the tables of what is kept into the page; all else that stands there stays."""
    path = pages / f"{plan.page}.md"
    begin, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
    text = path.read_text(encoding="utf-8") if path.exists() else f"# {plan.paper}\n"
    if begin not in text or end not in text:
        text += f"\n{begin}\n{end}\n"
    before, _, rest = text.partition(begin)
    _, _, after = rest.partition(end)
    lines = "\n".join(told(name, plan, folder, draws=draws))
    pages.mkdir(parents=True, exist_ok=True)
    path.write_text(f"{before}{begin}\n{lines}\n{end}{after}", encoding="utf-8")
    return path


def told(name: str, plan: Plan, folder: Path, *, draws: int) -> Iterator[str]:
    """Say what was measured, line by line."""
    there = places(plan, folder)
    results: dict[str, dict[int, Kept]] = {row: {} for row in plan.rows}
    for place in there:
        if kept := finished(plan, place):
            results[place.row][place.seed] = kept
    done = sum(map(len, results.values()))
    if not done:
        yield f"Not run yet. `train experiments {name}` makes this table."
        return
    yield from _made(name, plan, results, f"{done} of {len(there)} trainings and readings")
    for column in plan.measures:
        yield ""
        yield from _table(column, plan, results, draws)
    yield ""
    yield from _costs(plan, [place for place in there if place.seed in results[place.row]])


def _made(name: str, plan: Plan, results: Results, done: str) -> Iterator[str]:
    data = read_recipe(plan.recipe_of(plan.reference, plan.seeds[0])).data
    codes = dict.fromkeys(kept.code for seeds in results.values() for kept in seeds.values())
    yield (
        f"Made by `train experiments {name}`: {done}, seeds {', '.join(map(str, plan.seeds))}, "
        f"code {', '.join(codes)}. Rows learn from {data.told} where they say nothing else, and "
        f"are measured on {plan.held_out}, which none of them saw."
    )


def _table(column: str, plan: Plan, results: Results, draws: int) -> Iterator[str]:
    rows = {
        row: [seeds[seed].patients for seed in sorted(seeds)]
        for row, seeds in results.items()
        if seeds and column not in plan.rows[row].unmeasured
    }
    if not rows:
        return
    reference = plan.reference if plan.reference in rows else next(iter(rows))
    scope = next(kept.scope for seeds in results.values() for kept in seeds.values())
    against = plan.rows[reference].title
    yield f"**{described(column, scope)}**"
    yield ""
    yield f"| row | paper | here | 95 % interval | each seed | more than {against} | which way |"
    yield "|---|---|---|---|---|---|---|"
    found = compared(rows, reference, measure(column, scope), draws=draws)
    for name, row in plan.rows.items():
        paper = _number(row.paper.get(column))
        if name in found:
            cells = _cells(plan, column, name, reference, found[name])
            yield f"| {row.title} | {paper} | {cells} |"
        else:
            why = "does not learn it" if column in row.unmeasured else "not run yet"
            yield f"| {row.title} | {paper} | {why} | - | - | - | - |"


def _cells(plan: Plan, column: str, name: str, reference: str, found: Compared) -> str:
    is_reference = name == reference
    if math.isnan(found.value):
        return "none | - | - | - | -"
    cells = [
        _number(found.value),
        _range(found.low, found.high),
        ", ".join(map(_number, found.seeds)),
        "-" if is_reference else f"{found.more:+.3f} ({_range(found.more_low, found.more_high)})",
        "-" if is_reference else way(plan, column, name, reference, found.sign),
    ]
    return " | ".join(cells)


def way(plan: Plan, column: str, name: str, reference: str, sign: int) -> str:
    """Say whether a difference goes the paper's way, the other way, or neither."""
    theirs, first = (plan.rows[row].paper.get(column) for row in (name, reference))
    if theirs is None or first is None:
        return {1: "higher", -1: "lower", 0: "not told apart"}[sign]
    expected = (theirs > first) - (theirs < first)
    if not sign:
        return f"not told apart; paper: { ({1: 'higher', -1: 'lower', 0: 'equal'}[expected]) }"
    return "as in the paper" if sign == expected else "**not as in the paper**"


def _costs(plan: Plan, done: Sequence[Place]) -> Iterator[str]:
    yield "| row | steps of a training | minutes of all its steps, all seeds | threads |"
    yield "|---|---|---|---|"
    whole = 0.0
    for name, row in plan.rows.items():
        its = [cost(place) for place in done if place.row == name]
        if not its:
            continue
        if row.of:
            yield f"| {row.title} | none: the weights of {plan.rows[row.of].title} | - | - |"
            continue
        minutes = sum(minute for _, minute, _ in its)
        whole += minutes
        steps = ", ".join(dict.fromkeys(str(count) for count, _, _ in its))
        threads = max(number for _, _, number in its)
        yield f"| {row.title} | {steps} | {minutes:.1f} | {threads} |"
    yield f"| together | | {whole:.1f} | |"


def _number(value: float | None) -> str:
    if value is None:
        return "-"
    return "none" if math.isnan(value) else f"{value:.3f}"


def _range(low: float, high: float) -> str:
    return f"{low:.3f} to {high:.3f}"
