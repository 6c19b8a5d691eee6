"""`dicom-node models`, called as people do."""

from collections.abc import Callable

from typer.testing import CliRunner

from dicom_node.cli import app
from dicom_node.wiring import Node

Open = Callable[..., Node]  # see the fixture `opening`


def command(*words: str) -> str:
    done = CliRunner().invoke(app, ["models", *words], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.output


def reads(node: Node) -> list[str]:
    return [card.version for card in node.cards]
