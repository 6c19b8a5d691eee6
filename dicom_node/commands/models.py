"""`dicom-node models`: which bundles there are, which of them read, and how to change that."""

import json
from itertools import groupby
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dicom_node.commands.at_hand import JSON, foreign, open_node, say, who

if TYPE_CHECKING:
    from dicom_node.models.choosing import Chosen
    from dicom_node.models.shelf import Shelved
    from dicom_node.models.trying import Tried
    from dicom_node.wiring import Node
    from inference.bundle import Card

app = typer.Typer(
    no_args_is_help=True, help="Which bundles there are, which of them read; change that."
)

Name = Annotated[str, typer.Argument(metavar="BUNDLE", help="A bundle's folder.")]
Names = Annotated[list[str], typer.Argument(metavar="BUNDLE...", help="Bundles' folders.")]
Unproven = Annotated[
    bool,
    typer.Option(
        "--unproven", help="Take also a bundle whose scores of a phantom cannot be compared."
    ),
]


@app.command("list")
def list_bundles(*, as_json: JSON = False) -> None:
    """List the bundles: which one reads, which one did before, and what is wrong with one."""
    from dicom_node.models.serving import active
    from dicom_node.models.shelf import shelf

    node = open_node(check=False)
    decision = active(node.settings, lambda: node.engine)
    rows = [_row(one) for one in shelf(node.settings, lambda: node.engine)]
    if as_json:
        by = decision.activated_by if decision is not None else None
        typer.echo(json.dumps({"activated_by": by, "bundles": rows}, indent=1))
        return
    for row in rows:
        what = f"[bold]{row['role'] or '-':7}[/] {foreign(row['bundle'])}"
        say(f"{what}  {foreign(_brief(row))}")
    if decision is None:
        say("the settings say who reads; `dicom-node models activate` changes that")
    else:
        from dicom_node.watching.story import moment

        said = f"activated {moment(decision.at)} by {decision.activated_by}"
        say(f"{foreign(said)}; analyzing.bundle of the settings waits behind that")


def _row(one: "Shelved") -> dict[str, Any]:
    card = one.card
    about = {
        "bundle": one.name,
        "role": one.role,
        "sound": not one.faults,
        "faults": list(one.faults),
    }
    if card is None:
        return about
    return about | {
        "name": card.name,
        "version": card.version,
        "system": card.system,
        "weights_sha256": card.weights_sha256,
        "trained_on": card.training.data,
    }


def _brief(row: dict[str, Any]) -> str:
    if row["faults"]:
        return "UNSOUND: " + "; ".join(row["faults"])
    return f"{row['name']} {row['version']} ({row['system']}), weights {row['weights_sha256'][:12]}"


@app.command()
def show(bundle: Name, *, as_json: JSON = False) -> None:
    """Show a bundle's card: what it is for, what it learned from, and how well it measured."""
    card = _card(open_node(check=False), bundle)
    if as_json:
        typer.echo(card.model_dump_json(indent=1, exclude_none=True))
        return
    from dicom_node.models.comparing import described

    for line in described(card):
        say(foreign(line))


def _card(node: "Node", bundle: str) -> "Card":
    from dicom_node.errors import Misconfigured
    from dicom_node.models.choosing import folder_named
    from inference.bundle import load_card
    from inference.errors import BadBundle

    try:
        return load_card(folder_named(node.settings, bundle, lambda: node.engine))
    except BadBundle as fault:
        raise Misconfigured(str(fault).splitlines()) from fault


@app.command()
def verify(
    bundles: Annotated[
        list[str] | None,
        typer.Argument(metavar="[BUNDLE...]", help="Bundles' folders; left out: who reads."),
    ] = None,
    *,
    unproven: Unproven = False,
    as_json: JSON = False,
) -> None:
    """Verify digests, open bundles, and let each read its phantom. Exit 1 unless all is proven."""
    from dicom_node.ledger.activations import bundles_of
    from dicom_node.models.choosing import folder_named
    from dicom_node.models.serving import active, folders_of
    from dicom_node.models.trying import tried

    node = open_node(check=False)
    settings = node.settings
    decision = active(settings, lambda: node.engine)
    folders = [folder_named(settings, one, lambda: node.engine) for one in bundles or ()]
    reading = folders_of(settings, decision)
    pins = dict(zip(reading, bundles_of(decision), strict=True)) if decision is not None else {}
    results = [tried(settings, one, pins.get(one)) for one in folders or reading]
    if as_json:
        told = [
            {
                "bundle": one.folder.name,
                "sound": not one.faults,
                "proven": not one.faults and not one.doubt,
                "sentence": one.sentence,
            }
            for one in results
        ]
        typer.echo(json.dumps(told, indent=1))
    else:
        for one in results:
            say(f"{_mark(one)} {foreign(one.folder.name)}  {foreign(one.sentence)}")
    wrong = any(one.faults or (one.doubt and not unproven) for one in results)
    raise typer.Exit(1 if wrong else 0)


@app.command()
def compare(one: Name, other: Name, *, as_json: JSON = False) -> None:
    """Show two bundles side by side: their cards, and what both said of cases of this node."""
    from dicom_node.models.comparing import compared, met

    node = open_node()
    cards = _card(node, one), _card(node, other)
    rows = compared(*cards) + met(node.questions, *cards)
    if as_json:
        typer.echo(json.dumps(rows, indent=1))
        return
    for on, some in groupby(rows, key=lambda row: row.get("on", "")):
        _side_by_side(list(some), one, other, on)


def _side_by_side(rows: list[dict[str, str]], one: str, other: str, on: str) -> None:
    """Print rows of two cards; a long word is broken, never cut off."""
    from rich.table import Table

    from dicom_node.commands.at_hand import console

    if on:
        say(f"\nmeasured on {foreign(on)}")
    table = Table(box=None, pad_edge=False, expand=True)
    for head, share in (("", 4), (one, 3), (other, 3)):
        table.add_column(foreign(head), overflow="fold", ratio=share)
    for row in rows:
        what = row["what"].removesuffix(f", on {on}")
        table.add_row(*(foreign(words) for words in (what, row["one"], row["other"])))
    console.print(table)


@app.command()
def activate(bundles: Names, *, unproven: Unproven = False) -> None:
    """Let other bundles read from the next study on, once each was verified. Several agree."""
    from dicom_node.models.choosing import activate as choose

    node = open_node()
    _told(choose(node.settings, node.ledger, bundles, who(), unproven=unproven))


@app.command()
def rollback() -> None:
    """Let those bundles read again that read before."""
    from dicom_node.models.choosing import roll_back

    node = open_node()
    _told(roll_back(node.settings, node.ledger, who()))


def _told(chosen: "Chosen") -> None:
    for one in chosen.results:
        say(f"{_mark(one)} {foreign(one.sentence)}")
    for said in chosen.warnings:
        say(f"[yellow]![/] {foreign(said)}")
    say(foreign(chosen.sentence))


def _mark(one: "Tried") -> str:
    """Mark what is wrong, what nobody can tell, and what is proven."""
    if one.faults:
        return "[red]✗[/]"
    return "[yellow]![/]" if one.doubt else "[green]✓[/]"
