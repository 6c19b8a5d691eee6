"""`dicom-node retry`: do not wait, and try what failed once more."""

import json
from typing import Annotated

import typer
from rich.markup import escape

from dicom_node.commands.at_hand import ACCESSION, JSON, NAME_HELP, STUDY_OR_CASE, open_node, say


def retry(
    name: Annotated[str, typer.Argument(metavar=STUDY_OR_CASE, help=NAME_HELP)],
    *,
    accession: ACCESSION = False,
    as_json: JSON = False,
) -> None:
    """Try again now: a FAILED case from where it failed, a waiting one without waiting.

    Exit 1 where there was nothing to try again.
    """
    from dicom_node.tending import try_again

    tried = list(try_again(open_node(), name, accession=accession))
    if as_json:
        told = [{"case": one.case_id, "again": one.again, "said": one.sentence} for one in tried]
        typer.echo(json.dumps(told, indent=1))
    else:
        for one in tried:
            say(escape(one.sentence))
    raise typer.Exit(0 if any(one.again for one in tried) else 1)
