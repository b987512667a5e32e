"""Alembic's entry: runs the migrations on the connection `tunesmith.ledger.schema` hands over, inside its transaction."""

from alembic import context

from tunesmith.ledger.tables import VERSION_TABLE, metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    version_table=VERSION_TABLE,
    transactional_ddl=True,  # SQLite has it too, once BEGIN is ours and not the driver's
    render_as_batch=True,  # SQLite can't alter most of a table in place
)
with context.begin_transaction():
    context.run_migrations()
