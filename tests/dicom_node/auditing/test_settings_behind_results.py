"""`dicom-node audit settings`: with which settings a result was made; never a secret."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from ledger_book import Book, reading
from sqlalchemy import update
from typer.testing import CliRunner

from dicom_node.auditing.duty import _digest, key_digests, on_duty
from dicom_node.cli import app
from dicom_node.ledger.tables import ModelRun
from dicom_node.life import State
from dicom_node.settings.file import ENVIRONMENT_VARIABLE, Settings, load_settings
from dicom_node.wiring import Node

SECRETS = """
[[delivering.destinations]]
name = "cloud"
url = "https://archive.example/dicom-web"
token = "rosebud"
"""


@pytest.fixture
def node(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, opened: Callable[[Settings], Node]
) -> Node:
    path = tmp_path / "node.toml"
    path.write_text(f'[node]\ndata = "{tmp_path}/var"\n{SECRETS}')
    monkeypatch.setenv(ENVIRONMENT_VARIABLE, str(path))
    return opened(load_settings(path))


def typed(*arguments: str) -> tuple[int, str]:
    ended = CliRunner().invoke(app, ["audit", "settings", *arguments], env={"COLUMNS": "300"})
    return ended.exit_code, ended.output


def read(node: Node) -> int:
    """Leave a result that names the settings of now."""
    case_id = Book(node.engine).case_at(State.ANALYZED)
    with node.ledger.writing() as session:
        session.add(reading(case_id))
        session.execute(update(ModelRun).values(settings_digest=node.settings.digest))
    return case_id


def test_the_settings_behind_a_result_are_printed_without_secrets(node: Node) -> None:
    case_id = read(node)
    with on_duty(node.ledger, node.settings, "work", "1"):
        pass
    status, said = typed(str(case_id))
    assert status == 0
    assert f"case {case_id} was read with settings {node.settings.digest}" in said
    assert '    receiving.ae_title = "FOURVIEWS"' in said
    assert '"token": "**********"' in said
    assert "rosebud" not in said
    (told,) = json.loads(typed("--json", str(case_id))[1])
    assert told["settings_digest"] == node.settings.digest
    assert told["settings"]["analyzing.accept.burned_in"] is False


def test_where_the_trail_has_none_it_is_said(node: Node) -> None:
    case_id = read(node)
    status, said = typed(str(case_id))
    assert status == 1
    assert "the trail does not hold them" in said
    unread = Book(node.engine).case_at(State.RECEIVED, "1.2.3.4.5")
    assert typed(str(unread)) == (1, f"{unread} was not read: no settings stand behind a result\n")


def test_a_trail_that_kept_digests_alone_keeps_values_from_the_next_start_on(node: Node) -> None:
    case_id = read(node)
    keys = key_digests(node.settings)  # as an older version wrote it
    node.ledger.record("settings changed", "the first", digest=_digest(keys), keys=keys)
    assert typed(str(case_id))[0] == 1
    for _ in range(2):
        with on_duty(node.ledger, node.settings, "listen", "1"):
            pass
    events = [one for one in node.questions.events() if one.what == "settings changed"]
    assert [one.sentence for one in events] == [
        "the first",
        "none; the trail keeps their values from now on",
    ]
    assert typed(str(case_id))[0] == 0
