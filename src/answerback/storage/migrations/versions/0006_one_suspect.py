"""one suspect: the database itself lets one job run that has cost its workers two leases; PostgreSQL is made ready"""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

SUSPECT_RUNNING = sa.text("state = 'running' AND lease_losses >= 2")


def upgrade() -> None:
    if op.get_context().dialect.name == "postgresql":
        # Of the three foreign keys only this one has no index to check it by: each conversation that is forgotten
        # would read all jobs.
        op.drop_constraint("jobs_conversation_id_fkey", "jobs", type_="foreignkey", if_exists=True)
        with op.get_context().autocommit_block():
            _index(unique=True, concurrently=True)
    else:
        _index(unique=True)


def downgrade() -> None:
    if op.get_context().dialect.name == "postgresql":
        op.create_foreign_key("jobs_conversation_id_fkey", "jobs", "conversations", ["conversation_id"], ["id"])
    _index(unique=False)


def _index(*, unique: bool, concurrently: bool = False) -> None:
    op.drop_index("jobs_suspect_running", "jobs", if_exists=True, postgresql_concurrently=concurrently)
    op.create_index(
        "jobs_suspect_running",
        "jobs",
        ["lease_losses"],
        unique=unique,
        sqlite_where=SUSPECT_RUNNING,
        postgresql_where=SUSPECT_RUNNING,
        postgresql_concurrently=concurrently,
    )
