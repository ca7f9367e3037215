"""Run by Alembic: on the connection it is handed, or (from the command line) on a scratch database."""

from alembic import context
from sqlalchemy import Connection, create_engine
from sqlalchemy.pool import StaticPool

from answerback.storage.tables import metadata


def run(connection: Connection) -> None:
    context.configure(connection=connection, target_metadata=metadata, render_as_batch=True, compare_type=True)
    with context.begin_transaction():
        context.run_migrations()


handed = context.config.attributes.get("connection")
if handed is None:
    with create_engine("sqlite://", poolclass=StaticPool).begin() as scratch:
        run(scratch)
else:
    run(handed)
