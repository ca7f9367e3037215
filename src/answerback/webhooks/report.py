"""What a callback attempt leaves behind, and replaying a delivery."""

from sqlalchemy import Boolean, bindparam, case, func, literal_column, select, update

from answerback.database.operation import BatchPlan, Operation, Rows, Statement, Transaction
from answerback.database.tables import deliveries
from answerback.jobs.model import DeliveryRecord
from answerback.jobs.read import ATTEMPTS_OF
from answerback.jobs.records import DELIVERY_COLUMNS, attempts_made, delivery_record
from answerback.kernel.errors import Conflict, NotFound
from answerback.queue.fifo import DELIVERY_DEADLINE_MS, LOCK_CONVERSATIONS, RELEASE_NEXT_DELIVERY
from answerback.queue.leases import END_ATTEMPT, end_attempt, fenced
from answerback.webhooks.model import ClaimedDelivery, DeliveryState, Report

REPORT = Statement(
    update(deliveries)
    .where(fenced(deliveries, DeliveryState.SENDING))
    .values(
        state=bindparam("new_state"),
        run_at=bindparam("due_at"),
        # One that was delivered stays so, however a replay of it ends.
        delivered_at=func.coalesce(bindparam("new_delivered_at"), deliveries.c.delivered_at),
        lease_owner=None,
        lease_expires_at=None,
    )
    .returning(deliveries.c.id),
    by=("row_id",),
)
PLAN = BatchPlan((LOCK_CONVERSATIONS, REPORT, END_ATTEMPT, RELEASE_NEXT_DELIVERY), "report")

FIND = Statement(
    select(*DELIVERY_COLUMNS, deliveries.c.body == b"").where(
        deliveries.c.id == bindparam("row_id"), deliveries.c.tenant_id == bindparam("tenant_id")
    )
)
REPLAY = Statement(
    update(deliveries)
    .where(
        deliveries.c.id == bindparam("row_id"),
        literal_column("deliveries.state IN ('pending', 'delivered', 'dead')", Boolean),
        deliveries.c.body != b"",
    )
    .values(
        state=DeliveryState.PENDING,
        conversation_id=case((deliveries.c.state == DeliveryState.PENDING, deliveries.c.conversation_id)),
        attempt=0,
        run_at=bindparam("now"),
        deadline_at=bindparam("new_deadline_at"),
    )
    .returning(*DELIVERY_COLUMNS)
)


def report(
    tx: Transaction, claim: ClaimedDelivery, state: DeliveryState, delay: float, outcome: Report
) -> Operation[bool]:
    settles = state is not DeliveryState.PENDING and claim.conversation_id is not None
    if settles:
        yield LOCK_CONVERSATIONS(conversation_ids=[claim.conversation_id])
    rows = yield REPORT(
        row_id=claim.id,
        epoch=claim.epoch,
        new_state=state,
        due_at=tx.now + int(delay * 1000),
        new_delivered_at=tx.now if state is DeliveryState.DELIVERED else None,
    )
    if rows:
        yield from end_attempt(tx, claim.id, claim.epoch, outcome)
        if settles:
            yield RELEASE_NEXT_DELIVERY(conversation_id=claim.conversation_id, now=tx.now)
    return bool(rows)


def replay(tx: Transaction, tenant_id: str, delivery_id: str) -> Operation[DeliveryRecord]:
    """Owes the same body under the same id once more, with a schedule of its own.

    One that has settled is replayed outside its conversation's line; one that waits for another try is due at once.
    """
    replayed: Rows = ()
    while not replayed:
        _replayable(delivery_id, (yield FIND(row_id=delivery_id, tenant_id=tenant_id)))
        # Brings nothing where somebody else claimed or erased it in between; then it is looked at again.
        replayed = yield REPLAY(row_id=delivery_id, now=tx.now, new_deadline_at=tx.now + DELIVERY_DEADLINE_MS)
    return delivery_record(replayed[0], attempts_made((yield ATTEMPTS_OF(of=delivery_id))))


def _replayable(delivery_id: str, rows: Rows) -> None:
    if not rows:
        raise NotFound(f"there is no delivery {delivery_id!r}")
    if rows[0][3] == DeliveryState.SENDING:
        raise Conflict("an attempt of this delivery is under way; replay it once that has ended")
    if rows[0][3] == DeliveryState.HELD:
        raise Conflict("this delivery waits for an earlier one of its conversation and goes out after it")
    if rows[0][-1]:
        raise Conflict("this delivery's body was erased with its conversation; there is nothing left to replay")
