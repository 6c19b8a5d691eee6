"""Two accounts on PostgreSQL: one owns the tables, the other one works and rewrites no history."""

from collections.abc import Iterator
from typing import Any, Final

from sqlalchemy import Connection, Engine, text

from dicom_node.errors import Misconfigured
from dicom_node.ledger.tables import Base

HISTORY: Final = ("events", "checkpoints")
REVISION: Final = "alembic_version"


def harden(engine: Engine, role: str) -> Iterator[str]:
    """Give an account what the node needs to work, and take everything else from it."""
    if engine.dialect.name != "postgresql":
        raise Misconfigured(["audit harden: SQLite has no accounts; its triggers are in place"])
    with engine.begin() as connection:
        _can_be_limited(connection, role)
        name = connection.dialect.identifier_preparer.quote_identifier(role)
        for statement in _statements(connection, role, name):
            connection.execute(text(statement))
            yield f"{statement};"


def _can_be_limited(connection: Connection, role: str) -> None:
    """See that this is the owner, and that the other account is an ordinary one."""
    owners = _ask(
        connection,
        "SELECT tableowner FROM pg_tables WHERE schemaname = current_schema() "
        "AND tablename = 'events'",
    )
    if not _ask(connection, "SELECT pg_has_role(current_user, :owner, 'USAGE')", owner=owners):
        raise Misconfigured([f"audit harden: run this as {owners}, who owns the tables"])
    mighty = "SELECT rolsuper OR rolcreaterole FROM pg_roles WHERE rolname = :role"
    # A member may become the owner, whether or not it inherits what the owner may.
    member = "SELECT pg_has_role(:role, :owner, 'MEMBER') FROM pg_roles WHERE rolname = :role"
    if _ask(connection, mighty, role=role) or _ask(connection, member, role=role, owner=owners):
        sentence = f"audit harden: {role} owns the tables or may do anything; name another account"
        raise Misconfigured([sentence])


def _statements(connection: Connection, role: str, name: str) -> Iterator[str]:
    schema = _ask(connection, "SELECT quote_ident(current_schema())")
    database = _ask(connection, "SELECT quote_ident(current_database())")
    if not _ask(connection, "SELECT 1 FROM pg_roles WHERE rolname = :role", role=role):
        yield f"CREATE ROLE {name} LOGIN"
    yield f"REVOKE CREATE ON SCHEMA {schema} FROM PUBLIC"
    yield f"REVOKE ALL ON ALL TABLES IN SCHEMA {schema} FROM PUBLIC"
    yield f"REVOKE ALL ON ALL TABLES IN SCHEMA {schema} FROM {name}"
    yield f"GRANT CONNECT ON DATABASE {database} TO {name}"
    yield f"GRANT USAGE ON SCHEMA {schema} TO {name}"
    yield f"GRANT USAGE ON ALL SEQUENCES IN SCHEMA {schema} TO {name}"
    others = ", ".join(sorted(set(Base.metadata.tables) - set(HISTORY)))
    yield f"GRANT SELECT, INSERT, UPDATE, DELETE ON {others} TO {name}"
    yield f"GRANT SELECT, INSERT ON {', '.join(HISTORY)} TO {name}"
    yield f"GRANT SELECT ON {REVISION} TO {name}"


def _ask(connection: Connection, question: str, **values: str) -> Any:  # noqa: ANN401 - one value
    return connection.execute(text(question), values).scalar()


def may_rewrite(engine: Engine) -> bool:
    """Say whether this account could change or delete events."""
    with engine.connect() as connection:
        if connection.dialect.name != "postgresql":
            return True
        rights = (f"has_table_privilege('{one}', 'UPDATE, DELETE, TRUNCATE')" for one in HISTORY)
        return bool(_ask(connection, f"SELECT {' OR '.join(rights)}"))
