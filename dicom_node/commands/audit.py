"""`dicom-node audit`: whether the audit trail is whole, and who signs it."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from dicom_node.commands.at_hand import JSON, open_node, say
from dicom_node.errors import Misconfigured

if TYPE_CHECKING:
    from dicom_node.auditing.verify import Verified

app = typer.Typer(no_args_is_help=True, help="Verify and guard the audit trail.")


@app.command()
def verify(
    checkpoints: Annotated[
        Path | None,
        typer.Option(
            help="The file of checkpoints outside of the ledger. Default: that of the settings."
        ),
    ] = None,
    public_keys: Annotated[
        list[str] | None,
        typer.Option(
            "--public-key",
            help="Whose signatures count: as `audit key` prints it, or a file. May be repeated. "
            "Default: this node's own key.",
        ),
    ] = None,
    *,
    as_json: JSON = False,
) -> None:
    """Find whatever was done to the audit trail. Exit 1 where it is not whole."""
    from dicom_node.auditing.checkpoints import checkpoints_path
    from dicom_node.auditing.signing import public_keys as keys_given
    from dicom_node.auditing.verify import verify as find_faults

    node = open_node()
    keys = keys_given(public_keys or (), node.settings)
    if not keys:
        raise Misconfigured(["audit: there is no key here yet; say whose with --public-key"])
    if checkpoints is not None and not checkpoints.exists():
        raise Misconfigured([f"--checkpoints: there is no file {checkpoints}"])
    found = find_faults(node.engine, keys, checkpoints or checkpoints_path(node.settings))
    if as_json:
        typer.echo(json.dumps(_told(found), indent=1))
    else:
        _show(found)
    raise typer.Exit(0 if found.whole else 1)


def _told(found: "Verified") -> dict[str, object]:
    return {
        "whole": found.whole,
        "events": found.events,
        "checkpoints": found.checkpoints,
        "outside": found.outside,
        "unsigned": found.unsigned,
        "seconds": round(found.seconds, 3),
        "faults": [{"row": one.row, "sentence": one.sentence} for one in found.faults],
        "more_faults": found.more_faults,
    }


def _show(found: "Verified") -> None:
    for one in found.faults:
        say(f"[red]✗[/] {escape(one.sentence)}")
    if found.more_faults:
        say(f"[red]✗[/] and {found.more_faults} more")
    mark = "[green]✓[/] whole" if found.whole else "[red]✗ not whole[/]"
    say(
        f"{mark}: {found.events} events, {found.checkpoints} checkpoints in the ledger and "
        f"{found.outside} outside of it; {found.unsigned} events are not signed yet"
    )


@app.command()
def key() -> None:
    """Print the public key that verifies this node's checkpoints: keep it somewhere else."""
    from dicom_node.auditing.signing import signer

    typer.echo(signer(open_node(check=False).settings).public.words)
