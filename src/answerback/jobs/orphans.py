"""Releasing the next job of conversations whose head vanished; none should ever be found."""

from answerback.database.operation import Operation, Transaction
from answerback.jobs.model import Swept
from answerback.jobs.order import ORPHANED, RELEASE_NEXT
from answerback.queue.fifo import TRY_LOCK_CONVERSATION


def release_orphans(tx: Transaction) -> Operation[Swept]:
    released = 0
    for row in (yield ORPHANED()):
        if (yield TRY_LOCK_CONVERSATION(conversation_id=row.conversation_id)):
            released += len((yield RELEASE_NEXT(conversation_id=row.conversation_id, now=tx.now)))
    return Swept(jobs_orphaned=released)
