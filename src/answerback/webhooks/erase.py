"""Erasing the bodies of settled deliveries."""

from answerback.database.statement import Statement

ERASE_BODIES = Statement(
    lambda dialect: (
        f"""
    UPDATE deliveries SET body = {dialect.either("x''", "''")}
    WHERE job_id IN (SELECT id FROM jobs WHERE conversation_id = :conversation_id AND finished_at IS NOT NULL)
    AND state IN ('delivered', 'dead')"""
    )
)
"""For the ended jobs of a conversation. A delivery without a body cannot be sent again."""
