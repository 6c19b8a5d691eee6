"""What an administrator does as root, the node can go on with as whoever it is."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from destinations import Destination, Posted
from typer.testing import CliRunner

from dicom_node.cli import app
from dicom_node.errors import Misconfigured
from dicom_node.owner import give_to_owner
from dicom_node.settings.file import ENVIRONMENT_VARIABLE, Settings, load_settings
from dicom_node.wiring import Node, ready

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root makes files for others")

SOMEBODY = (4711, 4712)


@pytest.fixture
def pacs() -> Iterator[Destination]:
    place = Destination("PACS")
    place.start()
    yield place
    place.stop()


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pacs: Destination) -> Path:
    """Make a data folder that is somebody else's, as a service's is."""
    folder, config = tmp_path / "data", tmp_path / "node.toml"
    folder.mkdir()
    os.chown(folder, *SOMEBODY)
    config.write_text(
        f'[node]\ndata = "{folder}"\n[receiving]\nreserve_megabytes = 1\n'
        '[[delivering.destinations]]\nname = "pacs"\nae_title = "PACS"\nhost = "127.0.0.1"\n'
        f"port = {pacs.port}\n"
    )
    monkeypatch.setenv(ENVIRONMENT_VARIABLE, str(config))
    return folder


def everything(folder: Path) -> Iterator[Path]:
    return folder.rglob("*")


def roots_own(data: Path) -> list[Path]:
    return [one for one in everything(data) if (one.stat().st_uid, one.stat().st_gid) != SOMEBODY]


def test_what_a_check_before_the_first_start_makes_is_the_nodes(data: Path) -> None:
    CliRunner().invoke(app, ["check"])
    assert (data / "ledger.sqlite").exists()
    assert (data / "spool" / "images" / "ff").exists()
    assert roots_own(data) == []


def test_what_a_recall_by_root_makes_is_the_nodes(
    data: Path, opened: Callable[[Settings], Node]
) -> None:
    office = Posted(opened(load_settings()))
    case = office.case()
    office.deliver(case)
    for one in everything(data):
        os.chown(one, *SOMEBODY)
    assert CliRunner().invoke(app, ["recall", str(case)]).exit_code == 0
    assert list((data / "spool" / "cases" / str(case) / "recall").iterdir())
    assert list((data / "queue" / "messages").iterdir()), "it was rung for"
    assert roots_own(data) == []


def test_nobody_is_given_what_lies_elsewhere(data: Path, tmp_path: Path) -> None:
    (tmp_path / "roots").write_text("secret")
    (data / "link").symlink_to(tmp_path / "roots")
    (data / "name").hardlink_to(tmp_path / "roots")
    give_to_owner(data / "link", data / "name", data / "gone")
    assert (tmp_path / "roots").stat().st_uid == 0
    assert (data / "link").lstat().st_uid == 0


@pytest.mark.usefixtures("data")
def test_who_may_not_work_with_the_data_is_told_whose_they_are(
    opened: Callable[[Settings], Node],
) -> None:
    node = ready(opened(load_settings()))
    os.setreuid(4713, -1)
    try:
        with pytest.raises(Misconfigured, match="data belongs to uid 4711 and is closed to uid 47"):
            ready(node)
    finally:
        os.setreuid(0, -1)
    assert ready(node), "root may"
