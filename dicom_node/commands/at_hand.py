"""What every command has at hand: the console, the node, and an answer in JSON."""

import getpass
import os
import socket
import unicodedata
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.text import Text

from dicom_node.settings.file import load_settings

SENDER = "FOURVIEWS_SEND"  # how `send` and `echo` call this node's own listener

UNSEEN = {"Cc", "Cf", "Cs", "Zl", "Zp"}  # what steers a terminal, or turns a line around
OURS = "\n\t"


def visible(words: object) -> str:
    """Write what a terminal would obey instead of showing it as an escape."""
    return "".join(
        char if char in OURS or unicodedata.category(char) not in UNSEEN else _escaped(char)
        for char in str(words)
    )


def foreign(words: object) -> str:
    """Write a value of an object for `say`: one line, no markup, nothing unseen."""
    return escape(visible("".join(_escaped(c) if c in OURS else c for c in str(words))))


def _escaped(char: str) -> str:
    return char.encode("unicode_escape").decode("ascii")


class PlainConsole(Console):
    """A console that shows all text as it is: it may come from anybody's object."""

    def render_str(self, text: str, **how: Any) -> Text:  # noqa: ANN401 - Rich's own
        """Show what would steer the terminal; Rich's own styles come behind this."""
        return super().render_str(visible(text), **how)


console = PlainConsole()

STUDY_OR_CASE = "STUDY|CASE|ACCESSION"
NAME_HELP = (
    "A Study Instance UID, a case number, or an accession number. Digits that are the number of a "
    "case mean that case."
)
ACCESSION = Annotated[
    bool,
    typer.Option("--accession", help="The name is an accession number, whatever it looks like."),
]
JSON = Annotated[bool, typer.Option("--json", help="Answer in JSON, for scripts.")]


def say(words: str) -> None:
    """Print a line as it is; a terminal may break it, we do not."""
    console.print(words, highlight=False, soft_wrap=True)


def open_node(*, check: bool = True, begins: bool = False) -> Any:  # noqa: ANN401 - a late Node
    """Make the node that the settings describe.

    `check`: its ledger must be up to date; `begins`: where it has none, one is made.
    """
    from dicom_node.wiring import Node, ready

    node = Node(load_settings())
    return ready(node, begins=begins) if check else node


def who() -> str:
    """Name who types, and where, for the record; in a container a user may have a number alone."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # the first before Python 3.13
        user = f"uid {os.getuid()}"
    return f"{user}@{socket.gethostname()}"[:64]
