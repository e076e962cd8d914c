"""What Alembic runs for each command.  The caller (schema.py) brings the connection with its transaction."""

from __future__ import annotations

from alembic import context

from runner.store.columns import Base

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Base.metadata,
    render_as_batch=True,  # SQLite changes a table by copying it
    compare_type=True,
)
context.run_migrations()
