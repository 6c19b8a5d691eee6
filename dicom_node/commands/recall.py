"""`dicom-node recall`: take a wrong result back."""

from typing import Annotated

import typer
from rich.markup import escape

from dicom_node.commands.at_hand import ACCESSION, NAME_HELP, STUDY_OR_CASE, open_node, say, who
from dicom_node.errors import NotYourTurn

SAFETY = "113037"


def recall(
    name: Annotated[str, typer.Argument(metavar=STUDY_OR_CASE, help=NAME_HELP)],
    reason: Annotated[
        str,
        typer.Option(
            help="Why: 113037 patient safety, 113001 quality, 113038 wrong worklist entry.",
        ),
    ] = SAFETY,
    round_: Annotated[
        int | None, typer.Option("--round", min=1, help="Of a study, only this round.")
    ] = None,
    *,
    accession: ACCESSION = False,
) -> None:
    """Take a wrong result back: whoever has it gets a rejection note, nobody else gets it."""
    from dicom_node.doorbell import Bell
    from dicom_node.life import DELIVER
    from dicom_node.reporting.codes import REJECTIONS
    from dicom_node.reporting.outgoing import Workshop
    from dicom_node.reporting.recall import recall as take_back
    from dicom_node.watching.accessions import cases_meant
    from dicom_node.wiring import CODE_VERSION

    if reason not in REJECTIONS:
        known = ", ".join(f"{code} ({one.meaning})" for code, one in REJECTIONS.items())
        raise typer.BadParameter(f"{reason} is no reason to recall; there are {known}")
    node = open_node()
    named = cases_meant(node, name, accession=accession)
    cases = [case for case in named if round_ in (None, case.round)]
    if not cases:
        raise NotYourTurn(f"the ledger knows no round {round_} of {name}")
    shop = Workshop(node.ledger, node.questions, node.spool, node.settings, CODE_VERSION)
    bell, refused = Bell(node.settings), 0
    for case in cases:
        try:
            say(escape(take_back(shop, case, reason, who())))
        except NotYourTurn as answer:
            say(escape(str(answer)))
            refused += 1
        else:
            bell.ring(case.id, DELIVER)
    raise typer.Exit(1 if refused == len(cases) else 0)
