"""Destinations and nodes that owe them something, for one test each."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from authority import Authority, Papers
from destinations import Destination, Posted
from sqlalchemy import Engine

from dicom_node.settings.file import Settings
from dicom_node.wiring import Node


@pytest.fixture(scope="session")
def papers(tmp_path_factory: pytest.TempPathFactory) -> Papers:
    """Let one authority vouch for a server here, for others, and for the node; and have another."""
    folder = tmp_path_factory.mktemp("papers")
    ours = Authority(folder, "ours")
    Authority(folder, "foreign")
    ours.vouch_for("here", place="IP:127.0.0.1")
    ours.vouch_for("elsewhere", place="DNS:elsewhere")
    ours.vouch_for("expired", days=-1)
    ours.vouch_for("node")
    return Papers(folder)


@pytest.fixture
def destination() -> Iterator[Callable[..., Destination]]:
    """Start destinations, and stop them at the end."""
    started: list[Destination] = []

    def start(ae_title: str = "PACS", *, running: bool = True, **how: object) -> Destination:
        started.append(Destination(ae_title, **how))  # type: ignore[arg-type]
        if running:
            started[-1].start()
        return started[-1]

    yield start
    for one in started:
        one.stop()


@pytest.fixture
def database(request: pytest.FixtureRequest) -> str:
    """Say where the ledger is: nowhere special, or in PostgreSQL; `on_both` asks for either."""
    if getattr(request, "param", "sqlite") == "sqlite":
        return ""
    engine: Engine = request.getfixturevalue("emptied_postgres")
    return engine.url.render_as_string(hide_password=False)


@pytest.fixture
def posted(
    settled: Callable[..., Settings],
    opened: Callable[[Settings], Node],
    database: str,
    tmp_path: Path,
) -> Callable[..., Posted]:
    """Make a node with destinations; waiting times are told by keyword."""

    def make(*tables: dict[str, object], **patience: object) -> Posted:
        patience = {"retry_seconds": [0.2, 0.4], "probe_seconds": 0.3, **patience}
        home = {"data": tmp_path / "var", "database": database}
        return Posted(opened(settled(node=home, delivering={"destinations": tables, **patience})))

    return make
