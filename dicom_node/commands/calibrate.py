"""`dicom-node calibrate`: fit the scores to what became of the exams."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from dicom_node.commands.at_hand import JSON, open_node, say

if TYPE_CHECKING:
    from dicom_node.watching.outcomes import Fitted


def calibrate(
    outcomes: Annotated[
        Path,
        typer.Argument(
            metavar="OUTCOMES.csv",
            help="With columns study_uid or accession, and cancer: 1 or 0.",
        ),
    ],
    write: Annotated[
        Path | None, typer.Option(help="Write the table for node.toml into this new file too.")
    ] = None,
    point: Annotated[
        str, typer.Option(help="Of what is read at this operating point; else at the node's own.")
    ] = "",
    *,
    as_json: JSON = False,
) -> None:
    """Fit the exams' scores to what became of them, and say what to put where. Changes nothing."""
    from dicom_node.watching.outcomes import fit, outcomes_in

    fitted = fit(open_node(), outcomes_in(outcomes), point)
    if write is not None:
        with write.open("x", encoding="utf-8") as file:
            file.write(fitted.table)
    if as_json:
        told = asdict(fitted) | {"prevalence": fitted.prevalence, "table": fitted.table}
        typer.echo(json.dumps(told, indent=1))
    else:
        _show(fitted)


def _show(fitted: "Fitted") -> None:
    others = fitted.cases - fitted.cancers
    say(
        escape(
            f"{fitted.bundle}, weights {fitted.digest[:12]}: {fitted.cases} results have an "
            f"outcome, {fitted.cancers} with a cancer and {others} without."
        )
    )
    for why, count in fitted.left_out.items():
        say(f"Left out: {count} {why}.")
    say(
        f"slope {fitted.slope}, intercept {fitted.intercept}; in brackets the 95 % intervals, from "
        "exams drawn again."
    )
    say(
        f"Of these exams {100 * fitted.prevalence:.1f} % held a cancer; the card's scores say "
        f"{100 * fitted.told:.1f} % on average, and this line says {100 * fitted.tells:.1f} %."
    )
    say("Nothing was changed. To use it, add this to node.toml and restart the node:\n")
    say(escape(fitted.table))
    say(
        "Where these exams were chosen, and cancers are rarer among all that are read, set "
        "analyzing.prevalence as well."
    )
