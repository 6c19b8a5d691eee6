"""One ledger a test, on both databases that the node knows."""

import uuid
from collections.abc import Iterator

import pytest
from ledger_book import Book
from postgres_server import PostgresServer
from sqlalchemy import Engine, text

from dicom_node.ledger.tables import Base
from dicom_node.settings.file import Settings
from dicom_node.wiring import Node, migrate


@pytest.fixture(scope="session")
def postgres_engine(postgres: PostgresServer) -> Iterator[Engine]:
    """Migrate one database of the PostgreSQL; tests empty it."""
    url = postgres.create_database(f"ledger_{uuid.uuid4().hex}")
    node = Node(Settings.model_validate({"node": {"database": url}}))
    migrate(node)
    yield node.engine
    node.engine.dispose()


@pytest.fixture(params=["sqlite", "postgres"])
def book(request: pytest.FixtureRequest) -> Book:
    """Open a ledger without cases, on either database."""
    if request.param == "sqlite":
        node: Node = request.getfixturevalue("node")
        return Book(node.engine)
    engine: Engine = request.getfixturevalue("postgres_engine")
    with engine.begin() as connection:
        tables = ", ".join(Base.metadata.tables)
        connection.execute(text("SET LOCAL session_replication_role = replica"))  # no triggers
        connection.execute(text(f"TRUNCATE {tables} RESTART IDENTITY"))
    return Book(engine)
