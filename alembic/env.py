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
    context.configure(
        connection=connection,
        target_metadata=Base.metadata,
        render_as_batch=True,  # SQLite cannot alter tables in place
        compare_type=True,
        transactional_ddl=True,  # SQLite can, as our engine begins transactions: all or nothing
        render_item=rendered,
    )
    with context.begin_transaction():
        context.run_migrations()
    connection.commit()
