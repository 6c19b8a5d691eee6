"""Nodes to test with: their settings, their folder, their ledger."""

import shutil
import uuid
from collections.abc import Callable, Iterator
from functools import partialmethod
from pathlib import Path

import pytest
from postgres_server import PostgresServer
from pynetdicom.transport import ThreadedAssociationServer
from sqlalchemy import Engine, text

from dicom_node.ledger.tables import Base
from dicom_node.settings.file import Settings
from dicom_node.wiring import Node, migrate


@pytest.fixture(scope="session", autouse=True)
def servers_end_at_once() -> Iterator[None]:
    """Let pynetdicom's servers look for their end fifty times a second, not twice."""
    with pytest.MonkeyPatch.context() as patch:
        quick = partialmethod(ThreadedAssociationServer.serve_forever, 0.02)
        patch.setattr(ThreadedAssociationServer, "serve_forever", quick)
        yield


@pytest.fixture(scope="session")
def blank_ledger(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Migrate an empty SQLite once; tests copy the file."""
    folder = tmp_path_factory.mktemp("blank")
    node = Node(Settings.model_validate({"node": {"data": folder}}))
    migrate(node)
    node.engine.dispose()
    return folder / "ledger.sqlite"


@pytest.fixture(scope="session")
def postgres_engine(postgres: PostgresServer) -> Iterator[Engine]:
    """Migrate one database of the PostgreSQL; tests empty it."""
    url = postgres.create_database(f"ledger_{uuid.uuid4().hex}")
    node = Node(Settings.model_validate({"node": {"database": url}}))
    migrate(node)
    yield node.engine
    node.engine.dispose()


@pytest.fixture
def emptied_postgres(postgres_engine: Engine) -> Engine:
    """Empty the database that tests share."""
    with postgres_engine.begin() as connection:
        tables = ", ".join(Base.metadata.tables)
        connection.execute(text("SET LOCAL session_replication_role = replica"))  # no triggers
        connection.execute(text(f"TRUNCATE {tables} RESTART IDENTITY"))
    return postgres_engine


@pytest.fixture
def settled(tmp_path: Path) -> Callable[..., Settings]:
    """Make settings of a node in the test's own folder; the tables are told by keyword."""

    def make(**tables: object) -> Settings:
        given = {"node": {"data": tmp_path / "var"}, **tables}
        return Settings.model_validate(given)

    return make


@pytest.fixture
def opened(blank_ledger: Path) -> Iterator[Callable[[Settings], Node]]:
    """Open nodes on a SQLite ledger with tables, and close them at the end."""
    nodes: list[Node] = []

    def make(settings: Settings) -> Node:
        settings.data.mkdir(parents=True, exist_ok=True)
        if not (settings.data / "ledger.sqlite").exists():
            shutil.copy(blank_ledger, settings.data / "ledger.sqlite")
        nodes.append(Node(settings))
        return nodes[-1]

    yield make
    for node in nodes:
        node.engine.dispose()


@pytest.fixture
def node(settled: Callable[..., Settings], opened: Callable[[Settings], Node]) -> Node:
    """Open a node on SQLite."""
    return opened(settled())
