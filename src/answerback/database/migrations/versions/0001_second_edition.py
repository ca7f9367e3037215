"""the second edition's tables"""

from alembic import op
from sqlalchemy.schema import CreateIndex, CreateTable

from answerback.database.tables import metadata

revision = "2e01"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    for table in metadata.sorted_tables:
        op.execute(CreateTable(table))
        for index in sorted(table.indexes, key=lambda index: str(index.name)):
            op.execute(CreateIndex(index))
