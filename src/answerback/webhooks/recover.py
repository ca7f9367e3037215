"""Recovering deliveries whose worker stopped: the lost lease is taken away."""

from answerback.database.batching import batched
from answerback.database.operation import BatchPlan, Operation, Transaction
from answerback.database.statement import Row, Statement
from answerback.queue.attempts import LOST, ending_attempt, entry
from answerback.queue.fifo import TRY_LOCK_CONVERSATION, try_lock
from answerback.queue.leases import lost
from answerback.webhooks.model import DeliveryState
from answerback.webhooks.order import RELEASE_NEXT

BATCH = 200

FIND_LOST = Statement(
    f"""
    SELECT id, lease_epoch, deadline_at, conversation_id, destination FROM deliveries
    WHERE state = 'sending' AND lease_expires_at <= :now
    ORDER BY lease_expires_at LIMIT {BATCH}"""
)
# The attempt stays counted, and the deadline ends the delivery: a receiver whose response stops the worker must not be
# called for ever.
TAKE_BACK = ending_attempt(
    "deliveries",
    lost("deliveries", DeliveryState.SENDING),
    {"state": ":new_state", "run_at": ":now"},
    "epoch bigint, new_state text, now bigint",
)
RECOVER_PLAN = BatchPlan((TRY_LOCK_CONVERSATION, TAKE_BACK, RELEASE_NEXT), "recover_deliveries")


def recover_leases(tx: Transaction) -> Operation[int]:
    """Takes expired leases away; returns how many."""
    found = yield FIND_LOST(now=tx.now)
    return (yield from batched((_recover(tx, row) for row in found), RECOVER_PLAN)).count(True)


def _recover(tx: Transaction, row: Row) -> Operation[bool]:
    state = DeliveryState.PENDING if tx.now < row.deadline_at else DeliveryState.DEAD
    settles = state is DeliveryState.DEAD and row.conversation_id is not None
    if settles and not (yield from try_lock(row.conversation_id)):
        return False
    taken = yield TAKE_BACK(
        row_id=row.id,
        epoch=row.lease_epoch,
        now=tx.now,
        new_state=state,
        attempt_entry=entry(LOST, tx.wall),
    )
    if taken and settles:
        yield RELEASE_NEXT(conversation_id=row.conversation_id, destination=row.destination, now=tx.now)
    return bool(taken)
