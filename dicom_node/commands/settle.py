"""`dicom-node settle`: say of a study that still waits whether it is read now, later or never."""

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from dicom_node.commands.at_hand import ACCESSION, NAME_HELP, STUDY_OR_CASE, open_node, say, who

if TYPE_CHECKING:
    from dicom_node.wiring import Node


class Wish(StrEnum):
    """What is to become of it; exactly one is said."""

    NOW = "--now"
    HOLD = "--hold"
    RELEASE = "--release"
    DISCARD = "--discard"


def settle(
    name: Annotated[str, typer.Argument(metavar=STUDY_OR_CASE, help=NAME_HELP)],
    *,
    now: Annotated[
        bool, typer.Option(Wish.NOW, help="Wait for no more images: read what is here.")
    ] = False,
    hold: Annotated[
        bool, typer.Option(Wish.HOLD, help="Take images, and read nothing until it is released.")
    ] = False,
    release: Annotated[
        bool, typer.Option(Wish.RELEASE, help="Let a study that is held go on as any other.")
    ] = False,
    discard: Annotated[
        bool, typer.Option(Wish.DISCARD, help="It was sent by mistake: it is not read at all.")
    ] = False,
    accession: ACCESSION = False,
) -> None:
    """Say of a study that is not read yet: read it now, hold it, release it, or discard it.

    Exit 1 where it is too late for that.
    """
    said = zip(Wish, (now, hold, release, discard), strict=True)
    wishes = [wish for wish, is_said in said if is_said]
    if len(wishes) != 1:
        raise typer.BadParameter(f"say one of {', '.join(Wish)}")
    from dicom_node.watching.accessions import cases_meant

    node = open_node()
    case = cases_meant(node, name, accession=accession)[-1]  # of a study's rounds the newest
    say(escape(_done(node, case.id, wishes[0])))


def _done(node: "Node", case_id: int, wish: Wish) -> str:
    """Do what is wished, and say what was done."""
    from dicom_node.doorbell import Bell
    from dicom_node.ledger import steering
    from dicom_node.life import ANALYZE

    ledger, by = node.ledger, who()
    match wish:
        case Wish.NOW:
            read = steering.settle_now(ledger, case_id, by)
            Bell(node.settings).ring(read, ANALYZE)
            return f"case {read} is RECEIVED: it waits for a worker alone"
        case Wish.HOLD:
            steering.hold(ledger, case_id, by)
            return f"case {case_id} is held: it takes images, and is read once it is released"
        case Wish.RELEASE:
            steering.release(ledger, case_id, by)
            return f"case {case_id} goes on: it is read when it is complete"
        case Wish.DISCARD:
            steering.discard(ledger, case_id, by)
            return f"case {case_id} is DECLINED: it is not read, and nobody is told of it"
