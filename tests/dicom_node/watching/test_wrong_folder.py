"""Who looks for the node in the wrong folder is told so, and finds no empty one that is well."""

import json
from collections.abc import Sequence
from pathlib import Path

import pytest
from typer.testing import CliRunner

from dicom_node.cli import app
from dicom_node.errors import Misconfigured
from dicom_node.settings.file import ENVIRONMENT_VARIABLE

LOOKS = ("status", "balance", "trace 1", "retry 1", "recall 1", "sweep", "audit verify")


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Write the settings of a node that has never run, and stand beside them."""
    path = tmp_path / "node.toml"
    path.write_text(f'[node]\ndata = "{tmp_path}/var"\n')
    monkeypatch.setenv(ENVIRONMENT_VARIABLE, str(path))
    monkeypatch.chdir(tmp_path)
    return path


def refused(command: str) -> Sequence[str]:
    """Type a command that must not go on, and return what it says."""
    ended = CliRunner().invoke(app, command.split())
    assert isinstance(ended.exception, Misconfigured), ended.output
    return ended.exception.faults


def of_the_data() -> dict[str, object]:
    told = json.loads(CliRunner().invoke(app, ["check", "--json"]).output)
    (answer,) = (one for one in told["answers"] if one["question"] == "can data be kept?")
    return dict(answer)


@pytest.mark.parametrize("command", LOOKS)
def test_who_looks_where_no_node_has_run_is_told_so_and_begins_none(
    config: Path, command: str
) -> None:
    nothing = f"node.data: there is no ledger in {config.parent}/var: no node has run there yet"
    assert refused(command) == (nothing,)
    config.write_text('[node]\ndata = "elsewhere"\n')
    (said,) = refused(command)
    assert 'node.data = "elsewhere" is relative and begins in the folder where a command' in said
    assert list(config.parent.iterdir()) == [config], "nothing was made"


def test_a_ledger_without_tables_is_none(config: Path) -> None:
    of_the_data()
    assert (config.parent / "var" / "ledger.sqlite").exists()
    assert "no node has run there yet" in refused("balance")[0]
    assert "no node has run there yet" in refused("balance")[0], "none was made meanwhile"


def test_check_warns_of_a_data_folder_that_depends_on_where_one_stands(config: Path) -> None:
    config.write_text('[node]\ndata = "here"\n[receiving]\nreserve_megabytes = 1\n')
    told = of_the_data()
    assert told["good"]
    assert told["warning"]
    assert f"warning: {config.parent}/here can be written" in str(told["sentence"])
    assert 'node.data = "here" is relative' in str(told["sentence"])
