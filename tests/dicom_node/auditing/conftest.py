"""What the tests of the audit trail share: a node on either database."""

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from postgres_server import PostgresServer

from dicom_node.settings.file import Settings
from dicom_node.wiring import Node, migrate


@pytest.fixture
def on_postgres(postgres: PostgresServer, tmp_path: Path) -> Iterator[Node]:
    """Open a node on an empty database of its own in PostgreSQL."""
    url = postgres.create_database(f"kept_{uuid.uuid4().hex}")
    node = Node(Settings.model_validate({"node": {"data": tmp_path, "database": url}}))
    migrate(node)
    yield node
    node.engine.dispose()


@pytest.fixture(params=["node", "on_postgres"])
def kept(request: pytest.FixtureRequest) -> Node:
    """Open a node on a ledger of its own, on either database."""
    node: Node = request.getfixturevalue(request.param)
    return node
