"""`dicom-node balance`: nothing is lost, and how to know."""

import json
from typing import Annotated

import typer
from rich.markup import escape

from dicom_node.commands.at_hand import JSON, open_node, say


def balance(
    *,
    deep: Annotated[
        bool, typer.Option("--deep", help="Read every file and compare its SHA-256, too.")
    ] = False,
    as_json: JSON = False,
) -> None:
    """Add up all that ever came in, and what became of it. Exit 1 where anything is missing."""
    from dicom_node.watching.balance import balance as close_the_books

    closed = close_the_books(open_node(), deep=deep)
    if as_json:
        typer.echo(json.dumps(closed.told(), indent=1))
    else:
        for one in closed.accounts:
            parts = " + ".join(f"{count} {word}" for word, count in one.parts.items())
            say(f"{one.name}: {one.total} {one.total_is} = {parts}")
        left = f"; {closed.left_over} left over, needed by nobody" if closed.left_over else ""
        how = "read whole" if deep else "looked at"
        say(f"files: {closed.files} in the ledger, each {how}{left}")
        if closed.purged:
            say(f"removed: {closed.purged} images that are no longer kept")
        for sentence in closed.discrepancies:
            say(f"[red]✗[/] {escape(sentence)}")
        if not closed.discrepancies:
            say("[green]✓[/] everything is there")
    raise typer.Exit(1 if closed.discrepancies else 0)
