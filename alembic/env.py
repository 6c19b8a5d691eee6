"""Run migrations on the ledger that the settings name, or on the engine that is handed over."""

from alembic import context

from dicom_node.ledger.columns import Moment
from dicom_node.ledger.engine import open_engine
from dicom_node.ledger.tables import Base
from dicom_node.settings.file import load_settings

engine = context.config.attributes.get("engine")
if engine is None:
    engine = open_engine(load_settings().database_url)


def rendered(kind: str, item: object, autogen_context: object) -> str | bool:
    """Write our own types as the plain ones that they are in the database."""
    del autogen_context
    if kind == "type" and isinstance(item, Moment):
        return "sa.DateTime(timezone=True)"
    return False


with engine.connect() as connection:
    # A table that is made anew is taken away for a moment, while other rows point at it. SQLite may
    # look at the end instead; it can be told so outside of a transaction alone.
    sqlite = connection.connection.dbapi_connection if engine.dialect.name == "sqlite" else None
    if sqlite is not None:
        sqlite.execute("PRAGMA foreign_keys = OFF").close()
    context.configure(
        connection=connection,
        target_metadata=Base.metadata,
        render_as_batch=True,  # SQLite cannot alter tables in place
        compare_type=True,
        transactional_ddl=True,  # SQLite can, as our engine begins transactions: all or nothing
        render_item=rendered,
    )
    try:
        with context.begin_transaction():
            context.run_migrations()
            if sqlite and connection.exec_driver_sql("PRAGMA foreign_key_check").first():
                raise ValueError("rows of the ledger would point at rows that are not there")
        connection.commit()
    finally:
        connection.rollback()
        if sqlite is not None:
            sqlite.execute("PRAGMA foreign_keys = ON").close()
