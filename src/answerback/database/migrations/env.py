"""Run by Alembic: on the connection it is handed, or (from the command line) on a scratch database; for PostgreSQL it
only writes down the SQL."""

from typing import Any

from alembic import context
from sqlalchemy import Connection, create_engine
from sqlalchemy.pool import StaticPool

from answerback.database.tables import metadata


def run(**how: Any) -> None:
    context.configure(target_metadata=metadata, **how)
    with context.begin_transaction():
        context.run_migrations()


def run_on(connection: Connection) -> None:
    run(connection=connection, render_as_batch=True, compare_type=True)


handed = context.config.attributes.get("connection")
if context.is_offline_mode():
    run(
        dialect_name="postgresql",
        output_buffer=context.config.attributes["script"],
        transaction_per_migration=True,
        literal_binds=True,
    )
elif handed is None:
    with create_engine("sqlite://", poolclass=StaticPool).begin() as scratch:
        run_on(scratch)
else:
    run_on(handed)
