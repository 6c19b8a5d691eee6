"""`dicom-node page` and `dicom-node password`: the status page, and who may look at it."""

import getpass
import sys
import threading

import typer

from dicom_node.commands.at_hand import open_node


def page() -> None:
    """Serve the status page, behind a login. It needs no torch, and may be stopped at any time."""
    from dicom_node.tending import stop_on_signals
    from dicom_node.watching.page.run import show_page

    node = open_node(begins=True)
    stop = threading.Event()
    stop_on_signals(stop)
    show_page(node, stop)


def password() -> None:
    """Turn a password into what [[watching.page.users]] holds; asked for, or read from a pipe."""
    from dicom_node.watching.page.login import LONGEST_PASSWORD, SHORTEST_PASSWORD, hashed

    given = _asked() if sys.stdin.isatty() else sys.stdin.readline().rstrip("\n")
    if not SHORTEST_PASSWORD <= len(given) <= LONGEST_PASSWORD:
        sentence = f"a password has {SHORTEST_PASSWORD} to {LONGEST_PASSWORD} characters"
        raise typer.BadParameter(sentence)
    typer.echo(hashed(given))


def _asked() -> str:
    first, second = getpass.getpass("Password: "), getpass.getpass("Again: ")
    if first != second:
        raise typer.BadParameter("the two are not the same")
    return first
