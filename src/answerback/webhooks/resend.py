"""Resending a delivery: the same body under the same id once more."""

from answerback.database.operation import Operation, Transaction
from answerback.database.statement import Rows, Statement
from answerback.kernel.errors import Conflict, NotFound
from answerback.webhooks.endpoints.operations import ENDPOINT_DELETED
from answerback.webhooks.model import DEADLINE_MS, DeliveryRecord, DeliveryState
from answerback.webhooks.rows import RECORD_COLUMNS, delivery_records

RESENDING = """
    state = 'pending',
    conversation_id = CASE WHEN state = 'pending' THEN conversation_id END,
    attempt = 0,
    run_at = :now,
    unreached_at = NULL,
    deadline_at = :new_deadline_at"""
"""What a resend writes: the schedule begins anew, outside its conversation's order if the delivery had settled."""

FIND = Statement(
    f"""
    SELECT state, length(body) = 0 AS erased, {ENDPOINT_DELETED} AS endpoint_deleted
    FROM deliveries WHERE id = :row_id AND tenant_id = :tenant_id"""
)
RESEND = Statement(
    f"""
    UPDATE deliveries SET {RESENDING}
    WHERE id = :row_id AND tenant_id = :tenant_id AND state IN ('pending', 'delivered', 'dead')
    AND length(body) > 0 AND NOT {ENDPOINT_DELETED}
    RETURNING {RECORD_COLUMNS}"""
)


def resend(tx: Transaction, tenant_id: str, delivery_id: str) -> Operation[DeliveryRecord]:
    """Starts the delivery's schedule anew. One that has settled is sent outside its conversation's order. Raises
    NotFound, Conflict."""
    resent: Rows = ()
    while not resent:
        _require_resendable(delivery_id, (yield FIND(row_id=delivery_id, tenant_id=tenant_id)))
        # No row if another transaction claimed or erased it, or deleted its endpoint, in between: then `FIND` is
        # repeated.
        resent = yield RESEND(row_id=delivery_id, tenant_id=tenant_id, now=tx.now, new_deadline_at=tx.now + DEADLINE_MS)
    (record,) = yield from delivery_records(tx, resent)
    return record


def _require_resendable(delivery_id: str, rows: Rows) -> None:
    if not rows:
        raise NotFound(f"there is no delivery {delivery_id!r}")
    if rows[0].state == DeliveryState.SENDING:
        raise Conflict("an attempt of this delivery is under way; resend it once that has ended")
    if rows[0].state == DeliveryState.HELD:
        raise Conflict("this delivery waits for an earlier one of its conversation and goes out after it")
    if rows[0].endpoint_deleted:
        raise Conflict("this delivery's endpoint was deleted; there is nothing left to send to")
    if rows[0].erased:
        raise Conflict("this delivery's body was erased with its conversation; there is nothing left to resend")
