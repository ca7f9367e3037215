"""one suspect: the database itself lets one job run that has cost its workers two leases; and indexes that PostgreSQL
cannot take for one another"""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

OPEN = "state IN ('held', 'queued', 'running', 'awaiting')"
LINE = "state IN ('queued', 'running', 'awaiting')"
OWED = "state IN ('pending', 'sending')"
SUSPECT_RUNNING = "state = 'running' AND lease_losses >= 2"


def upgrade() -> None:
    postgres = op.get_context().dialect.name == "postgresql"
    if postgres:
        # Of the three foreign keys only this one has no index to check it by: each conversation that is forgotten
        # would read all jobs.
        op.drop_constraint("jobs_conversation_id_fkey", "jobs", type_="foreignkey", if_exists=True)
    _index("jobs_deadline", "jobs", "deadline_at", "finished_at IS NULL")
    _index("jobs_line", "jobs", "conversation_id", f"conversation_id IS NOT NULL AND {LINE}", unique=True)
    _index("deliveries_line", "deliveries", "conversation_id", f"conversation_id IS NOT NULL AND {OWED}", unique=True)
    if postgres:
        with op.get_context().autocommit_block():
            _index("jobs_suspect_running", "jobs", "lease_losses", SUSPECT_RUNNING, unique=True, concurrently=True)
    else:
        _index("jobs_suspect_running", "jobs", "lease_losses", SUSPECT_RUNNING, unique=True)


def downgrade() -> None:
    if op.get_context().dialect.name == "postgresql":
        op.create_foreign_key("jobs_conversation_id_fkey", "jobs", "conversations", ["conversation_id"], ["id"])
    _index("jobs_deadline", "jobs", "deadline_at", OPEN)
    _index("jobs_line", "jobs", "conversation_id", LINE, unique=True)
    _index("deliveries_line", "deliveries", "conversation_id", OWED, unique=True)
    _index("jobs_suspect_running", "jobs", "lease_losses", SUSPECT_RUNNING)


def _index(
    name: str, table: str, column: str, predicate: str, *, unique: bool = False, concurrently: bool = False
) -> None:
    """In place of the one of this name, or of what a build that was interrupted left of it."""
    where: dict[str, Any] = {"sqlite_where": sa.text(predicate), "postgresql_where": sa.text(predicate)}
    op.drop_index(name, table, if_exists=True, postgresql_concurrently=concurrently)
    op.create_index(name, table, [column], unique=unique, postgresql_concurrently=concurrently, **where)
