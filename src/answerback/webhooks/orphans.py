"""Releasing deliveries that are held behind nothing; none should ever be found."""

from answerback.database.operation import Operation, Transaction
from answerback.queue.fifo import TRY_LOCK_CONVERSATION
from answerback.webhooks.order import ORPHANED, RELEASE_NEXT


def release_orphans(tx: Transaction) -> Operation[int]:
    """How many were released."""
    released = 0
    for row in (yield ORPHANED()):
        if (yield TRY_LOCK_CONVERSATION(conversation_id=row.conversation_id)):
            next_one = yield RELEASE_NEXT(conversation_id=row.conversation_id, destination=row.destination, now=tx.now)
            released += len(next_one)
    return released
