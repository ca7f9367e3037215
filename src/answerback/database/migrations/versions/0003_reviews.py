"""reviews: jobs that await an LLM's webhook, and the secret their tokens come from"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "own_secrets",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name"),
        sqlite_with_rowid=False,
    )
    awaiting = sa.text("state = 'awaiting'")
    op.create_index("jobs_awaiting", "jobs", ["run_at"], sqlite_where=awaiting, postgresql_where=awaiting)


def downgrade() -> None:
    op.drop_index("jobs_awaiting", "jobs")
    op.drop_table("own_secrets")
