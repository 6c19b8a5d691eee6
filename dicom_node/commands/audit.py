"""`dicom-node audit`: whether the audit trail is whole, and who signs it."""

import json
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape

from dicom_node.commands.at_hand import (
    ACCESSION,
    JSON,
    NAME_HELP,
    STUDY_OR_CASE,
    open_node,
    say,
    visible,
)
from dicom_node.errors import Misconfigured

if TYPE_CHECKING:
    from dicom_node.auditing.verify import Verified
    from dicom_node.wiring import Node

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
    _record(node, found)
    if as_json:
        typer.echo(json.dumps(_told(found), indent=1))
    else:
        _show(found)
    raise typer.Exit(0 if found.whole else 1)


def _record(node: "Node", found: "Verified") -> None:
    """Write down that somebody looked, if the ledger still takes it."""
    from sqlalchemy.exc import SQLAlchemyError

    faults = len(found.faults) + found.more_faults
    with suppress(SQLAlchemyError):
        node.ledger.record("trail verified", f"{found.events} events, {faults} faults")


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


@app.command()
def export(
    out: Annotated[Path, typer.Option(help="The file to write: one message a line.")],
    after: Annotated[int, typer.Option(help="Only events behind this number.")] = 0,
    study: Annotated[str, typer.Option(help="Only events of this study.")] = "",
) -> None:
    """Write the trail as audit messages of DICOM PS3.15 A.5, in XML."""
    from dicom_node.auditing.exporting import export as write

    node = open_node()
    count = write(node.ledger, node.settings, out, after, study)
    say(f"{count} messages in {escape(str(out))}")


@app.command()
def purge(
    years: Annotated[
        float | None, typer.Option(help="Keep so many years. Default: audit.keep_years.")
    ] = None,
    *,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say what would be deleted.")
    ] = False,
) -> None:
    """Delete events that are old enough; what is left stays verifiable."""
    from dicom_node.auditing.checkpoints import checkpoints_path, copy_out
    from dicom_node.auditing.retention import purge as delete
    from dicom_node.auditing.signing import signer

    node = open_node()
    kept = node.settings.audit.keep_years if years is None else years
    gone = delete(node.ledger, signer(node.settings), kept, dry_run=dry_run)
    if not dry_run:
        copy_out(node.ledger, checkpoints_path(node.settings))
    verb = "would be deleted" if dry_run else "were deleted"
    say(f"{gone.events} events from before {gone.before:%Y-%m-%d} {verb}")


@app.command()
def harden(
    role: Annotated[str, typer.Argument(help="The account that the node is to work with.")],
) -> None:
    """On PostgreSQL, as the tables' owner: let an account add to the trail and not rewrite it."""
    from dicom_node.auditing.hardening import harden as limit

    for sentence in limit(open_node().engine, role):
        say(escape(sentence))


@app.command()
def settings(
    name: Annotated[str, typer.Argument(metavar=STUDY_OR_CASE, help=NAME_HELP)],
    *,
    accession: ACCESSION = False,
    as_json: JSON = False,
) -> None:
    """Print the settings that a result was made with, as the trail keeps them; no secret is."""
    from dicom_node.auditing.duty import values_kept
    from dicom_node.watching.accessions import cases_meant

    node = open_node()
    runs = {
        case.id: node.questions.run_of(case.id)
        for case in cases_meant(node, name, accession=accession)
    }
    told: list[dict[str, Any]] = [
        {
            "case": case_id,
            "settings_digest": run.settings_digest,
            "settings": values_kept(node.engine, run.settings_digest),
        }
        for case_id, run in runs.items()
        if run is not None
    ]
    if as_json:
        typer.echo(json.dumps(told, indent=1))
    else:
        for one in told:
            _behind(**one)
        if not told:
            say(f"{escape(name)} was not read: no settings stand behind a result")
    raise typer.Exit(0 if any(one["settings"] for one in told) else 1)


def _behind(case: int, settings_digest: str, settings: dict[str, Any] | None) -> None:
    say(f"case {case} was read with settings {settings_digest}")
    if settings is None:
        say("    the trail does not hold them: no listener or worker has begun with them")
    for name, value in (settings or {}).items():
        say(escape(f"    {name} = {visible(json.dumps(value, ensure_ascii=False))}"))


@app.command()
def recompute(
    names: Annotated[list[str], typer.Argument(metavar=f"{STUDY_OR_CASE}...", help=NAME_HELP)],
    *,
    accession: ACCESSION = False,
    as_json: JSON = False,
) -> None:
    """Compute results again from their record. Exit 1 where something else comes out."""
    from dataclasses import asdict

    from dicom_node.watching.accessions import cases_meant
    from dicom_node.watching.recompute import recompute as compute_again

    node = open_node()
    cases = [case for name in names for case in cases_meant(node, name, accession=accession)]
    done = [compute_again(node, case) for case in cases]
    if as_json:
        typer.echo(json.dumps([asdict(one) for one in done], indent=1))
    for one in done if not as_json else ():
        mark = "[green]✓[/] equal" if one.equal else "[red]✗ not equal[/]"
        say(f"{mark}: case {one.case_id}, {one.readings} readings, {one.objects} objects")
        for sentence in (*one.differences, *one.remarks):
            say(f"    {escape(sentence)}")
    raise typer.Exit(0 if all(one.equal for one in done) else 1)
