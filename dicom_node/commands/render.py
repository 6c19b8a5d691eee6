"""`dicom-node render`: a study's CAD SR, drawn as a workstation would."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from dicom_node.commands.at_hand import (
    ACCESSION,
    JSON,
    NAME_HELP,
    STUDY_OR_CASE,
    foreign,
    open_node,
    say,
)


def render(
    study: Annotated[
        str,
        typer.Argument(
            metavar=f"FOLDER|{STUDY_OR_CASE}",
            help=f"A folder of files; or of this node: {NAME_HELP}",
        ),
    ],
    *,
    out: Annotated[Path, typer.Option(help="The folder for the pictures.")],
    rules: Annotated[
        str, typer.Option(help="By whose rules: strict, synapse or lenient.")
    ] = "strict",
    vendors: Annotated[
        list[str] | None,
        typer.Option(help="A vendor on the workstation's list; may be given several times."),
    ] = None,
    accession: ACCESSION = False,
    as_json: JSON = False,
) -> None:
    """Draw a study's CAD SR as a mammography workstation would, and say what it leaves out."""
    from dicom_node.errors import NotYourTurn
    from dicom_node.watching.accessions import cases_meant
    from dicom_node.watching.render import files_of, kept_objects
    from dicom_node.watching.render import render as drawn
    from dicom_node.watching.workstation import RULES

    if rules not in RULES:
        raise typer.BadParameter(f"there are no rules '{rules}'; there are {', '.join(RULES)}")
    chosen = RULES[rules] if vendors is None else replace(RULES[rules], vendors=tuple(vendors))
    if not accession and Path(study).is_dir():
        objects = files_of(Path(study))
    else:
        node = open_node()
        try:
            cases = cases_meant(node, study, accession=accession)
        except NotYourTurn as answer:
            raise NotYourTurn(f"{study} is no folder, and {answer}") from answer
        objects = kept_objects(node.questions, node.spool, cases)
    result = drawn(objects, chosen, out)
    if as_json:
        told = {
            "rules": chosen.name,
            "status": result.status,
            "vendor_fault": result.vendor_fault,
            "drawn": result.drawn,
            "findings": [
                {"name": one.name, "kind": one.kind, "drawn": not one.reason, "reason": one.reason}
                for one in result.findings
            ],
            "pictures": [str(path) for path in result.pictures],
        }
        typer.echo(json.dumps(told, indent=1))
    else:
        say(f"{foreign(chosen.name)}: {foreign(chosen.words)}")
        say(foreign(result.status))
        if result.vendor_fault:
            say(f"[red]{foreign(result.vendor_fault)}[/]")
        for one in result.findings:
            how = f"[red]not drawn[/]: {foreign(one.reason)}" if one.reason else "[green]drawn[/]"
            say(f"  {foreign(one.name)}  {foreign(one.kind)}  {how}")
        say(f"{result.drawn} of {len(result.findings)} findings drawn")
        for path in result.pictures:
            say(foreign(str(path)))
    raise typer.Exit(0 if result.report is not None and result.pictures else 1)
