"""Ending deliveries past their deadline whose origin's breaker stays open."""

from collections.abc import Callable

from answerback.database.batching import batched
from answerback.database.operation import BatchPlan, Operation, Transaction
from answerback.database.sql import still_in_state
from answerback.database.statement import Row, Statement
from answerback.queue.fifo import TRY_LOCK_CONVERSATION, try_lock
from answerback.webhooks.model import DeliveryState, OriginKey
from answerback.webhooks.order import RELEASE_NEXT

BATCH = 200

FIND_OVERDUE = Statement(
    f"""
    SELECT id, tenant_id, origin, conversation_id, destination FROM deliveries
    WHERE state = 'pending' AND deadline_at <= :now
    ORDER BY deadline_at LIMIT {BATCH}"""
)
EXPIRE = Statement(
    f"""
    UPDATE deliveries SET state = 'dead'
    WHERE id = :row_id AND {still_in_state("deliveries", DeliveryState.PENDING)} AND deadline_at <= :now
    RETURNING id""",
    by=("row_id",),
)
EXPIRE_PLAN = BatchPlan((TRY_LOCK_CONVERSATION, EXPIRE, RELEASE_NEXT), "expire_deliveries")


def expire(tx: Transaction, is_open: Callable[[OriginKey], bool]) -> Operation[int]:
    """Ends deliveries past their deadline whose origin's breaker is open; returns how many. Elsewhere such a delivery
    gets one last attempt."""
    overdue = yield FIND_OVERDUE(now=tx.now)
    unreachable = [row for row in overdue if is_open(OriginKey(row.tenant_id, row.origin))]
    return (yield from batched((_expire(tx, row) for row in unreachable), EXPIRE_PLAN)).count(True)


def _expire(tx: Transaction, row: Row) -> Operation[bool]:
    if not (yield from try_lock(row.conversation_id)):
        return False
    expired = yield EXPIRE(row_id=row.id, now=tx.now)
    if expired and row.conversation_id is not None:
        yield RELEASE_NEXT(conversation_id=row.conversation_id, destination=row.destination, now=tx.now)
    return bool(expired)
