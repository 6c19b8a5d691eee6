"""One ledger a test, on both databases that the node knows."""

import pytest
from ledger_book import Book
from sqlalchemy import Engine

from dicom_node.wiring import Node


@pytest.fixture
def postgres_book(emptied_postgres: Engine) -> Book:
    """Open a ledger without cases on PostgreSQL."""
    return Book(emptied_postgres)


@pytest.fixture(params=["sqlite", "postgres"])
def book(request: pytest.FixtureRequest) -> Book:
    """Open a ledger without cases, on either database."""
    if request.param == "sqlite":
        node: Node = request.getfixturevalue("node")
        return Book(node.engine)
    lent: Book = request.getfixturevalue("postgres_book")
    return lent
