"""Erasing the bodies of settled deliveries."""

from sqlalchemy import bindparam, literal_column, select, update

from answerback.database.operation import Statement
from answerback.database.tables import deliveries, jobs

ERASE_BODIES = Statement(
    update(deliveries)
    .where(
        deliveries.c.job_id.in_(
            select(jobs.c.id).where(
                jobs.c.conversation_id == bindparam("conversation_id"), jobs.c.finished_at.is_not(None)
            )
        ),
        literal_column("deliveries.state IN ('delivered', 'dead')"),
    )
    .values(body=b"")
)
"""For the ended jobs of a conversation. A delivery without a body cannot be sent again."""
