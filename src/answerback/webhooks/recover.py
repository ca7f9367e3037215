"""Maintenance of deliveries. Every step takes a bounded batch and is safe to repeat, in several processes at once: what
a step found is written only where it still holds, and a conversation that is locked is left for the next sweep."""

from collections.abc import Callable
from typing import Any

from sqlalchemy import Boolean, ColumnElement, bindparam, delete, exists, literal_column, select, update

from answerback.database.batching import batched
from answerback.database.operation import BatchPlan, Operation, Row, Statement, Transaction
from answerback.database.sql import at_most, in_state
from answerback.database.tables import deliveries
from answerback.queue.attempts import Report, ending_attempt, entry
from answerback.queue.fifo import TRY_LOCK_CONVERSATION
from answerback.queue.leases import lost
from answerback.webhooks.model import DeliveryState, OriginKey
from answerback.webhooks.order import ORPHANED, RELEASE_NEXT

BATCH = 200
LOST = Report("lost", error="the worker that held this attempt stopped")

FIND_LOST = Statement(
    select(
        deliveries.c.id,
        deliveries.c.lease_epoch,
        deliveries.c.deadline_at,
        deliveries.c.conversation_id,
        deliveries.c.destination,
    )
    .where(in_state(deliveries, DeliveryState.SENDING), deliveries.c.lease_expires_at <= bindparam("now"))
    .order_by(deliveries.c.lease_expires_at)
    .limit(at_most(BATCH))
)
# The attempt stays counted, and the deadline ends it: a receiver whose response stops the worker must not be called for
# ever.
TAKE_BACK = ending_attempt(
    deliveries,
    lost(deliveries, DeliveryState.SENDING),
    state=bindparam("new_state"),
    run_at=bindparam("now"),
)
RECOVER_PLAN = BatchPlan((TRY_LOCK_CONVERSATION, TAKE_BACK, RELEASE_NEXT), "recover_deliveries")

FIND_OVERDUE = Statement(
    select(
        deliveries.c.id,
        deliveries.c.tenant_id,
        deliveries.c.origin,
        deliveries.c.conversation_id,
        deliveries.c.destination,
    )
    .where(in_state(deliveries, DeliveryState.PENDING), deliveries.c.deadline_at <= bindparam("now"))
    .order_by(deliveries.c.deadline_at)
    .limit(at_most(BATCH))
)
EXPIRE = Statement(
    update(deliveries)
    .where(
        deliveries.c.id == bindparam("row_id"),
        deliveries.c.state == DeliveryState.PENDING,
        deliveries.c.deadline_at <= bindparam("now"),
    )
    .values(state=DeliveryState.DEAD)
    .returning(deliveries.c.id),
    by=("row_id",),
)
EXPIRE_PLAN = BatchPlan((TRY_LOCK_CONVERSATION, EXPIRE, RELEASE_NEXT), "expire_deliveries")

PRUNE = Statement(
    delete(deliveries).where(
        deliveries.c.job_id == bindparam("of"),
        literal_column("deliveries.state IN ('delivered', 'dead')", Boolean),
    ),
    by=("of",),
)


def recover_leases(tx: Transaction) -> Operation[int]:
    """Takes expired leases away; how many that were."""
    found = yield FIND_LOST(now=tx.now)
    return (yield from batched((_recover(tx, row) for row in found), RECOVER_PLAN)).count(True)


def expire(tx: Transaction, is_closed: Callable[[OriginKey], bool]) -> Operation[int]:
    """Ends what is past its deadline at an origin that stays closed; how many that were. Elsewhere such a delivery gets
    one last attempt."""
    overdue = yield FIND_OVERDUE(now=tx.now)
    closed = [row for row in overdue if is_closed(OriginKey(row.tenant_id, row.origin))]
    return (yield from batched((_expire(tx, row) for row in closed), EXPIRE_PLAN)).count(True)


def release_orphans(tx: Transaction) -> Operation[int]:
    """Releases what is held though nothing goes before it; none should ever be found."""
    released = 0
    for row in (yield ORPHANED()):
        if (yield TRY_LOCK_CONVERSATION(conversation_id=row.conversation_id)):
            next_one = yield RELEASE_NEXT(conversation_id=row.conversation_id, destination=row.destination, now=tx.now)
            released += len(next_one)
    return released


def unsettled(job_id: ColumnElement[Any]) -> ColumnElement[bool]:
    """Whether a job still owes a delivery. `PRUNE` deletes the others of a job, whose row may go once it has none."""
    return exists(
        select(literal_column("1")).where(
            deliveries.c.job_id == job_id,
            literal_column("deliveries.state NOT IN ('delivered', 'dead')", Boolean),
        )
    )


def _recover(tx: Transaction, row: Row) -> Operation[bool]:
    state = DeliveryState.PENDING if tx.now < row.deadline_at else DeliveryState.DEAD
    settles = state is DeliveryState.DEAD and row.conversation_id is not None
    if settles and not (yield TRY_LOCK_CONVERSATION(conversation_id=row.conversation_id)):
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


def _expire(tx: Transaction, row: Row) -> Operation[bool]:
    if row.conversation_id is not None and not (yield TRY_LOCK_CONVERSATION(conversation_id=row.conversation_id)):
        return False
    expired = yield EXPIRE(row_id=row.id, now=tx.now)
    if expired and row.conversation_id is not None:
        yield RELEASE_NEXT(conversation_id=row.conversation_id, destination=row.destination, now=tx.now)
    return bool(expired)
