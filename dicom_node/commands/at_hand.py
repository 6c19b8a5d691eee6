"""What every command has at hand: the console, the node, and an answer in JSON."""

from typing import Annotated, Any

import typer
from rich.console import Console

from dicom_node.settings.file import load_settings

SENDER = "FOURVIEWS_SEND"  # how `send` and `echo` call this node's own listener

console = Console()

JSON = Annotated[bool, typer.Option("--json", help="Answer in JSON, for scripts.")]


def say(words: str) -> None:
    """Print a line as it is; a terminal may break it, we do not."""
    console.print(words, highlight=False, soft_wrap=True)


def open_node(*, check: bool = True) -> Any:  # noqa: ANN401 - a Node, imported late
    """Make the node that the settings describe; `check`: its ledger must be up to date."""
    from dicom_node.wiring import Node, ready

    node = Node(load_settings())
    return ready(node) if check else node
