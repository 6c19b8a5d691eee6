"""One ledger a test, on both databases that the node knows."""

import pytest
from ledger_book import Book
from sqlalchemy import Engine

from dicom_node.wiring import Node


@pytest.fixture(params=["sqlite", "postgres"])
def book(request: pytest.FixtureRequest) -> Book:
    """Open a ledger without cases, on either database."""
    if request.param == "sqlite":
        node: Node = request.getfixturevalue("node")
        return Book(node.engine)
    engine: Engine = request.getfixturevalue("emptied_postgres")
    return Book(engine)
