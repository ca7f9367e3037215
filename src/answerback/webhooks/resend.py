"""Resending a delivery: the same body under the same id once more."""

from typing import Any

from sqlalchemy import Boolean, bindparam, case, literal_column, not_, select, update

from answerback.database.operation import Operation, Rows, Statement, Transaction
from answerback.database.tables import deliveries
from answerback.kernel.errors import Conflict, NotFound
from answerback.webhooks.endpoints import ENDPOINT_DELETED
from answerback.webhooks.model import DEADLINE_MS, DeliveryRecord, DeliveryState
from answerback.webhooks.rows import RECORD_COLUMNS, delivery_records

_own: Any = (deliveries.c.id == bindparam("row_id"), deliveries.c.tenant_id == bindparam("tenant_id"))

RESENDING: dict[str, Any] = {
    "state": DeliveryState.PENDING,
    "conversation_id": case((deliveries.c.state == DeliveryState.PENDING, deliveries.c.conversation_id)),
    "attempt": 0,
    "run_at": bindparam("now"),
    "unreached_at": None,
    "deadline_at": bindparam("new_deadline_at"),
}
"""What a resend writes: the schedule begins anew, outside its conversation's order if the delivery had settled."""

FIND = Statement(
    select(
        deliveries.c.state,
        (deliveries.c.body == b"").label("erased"),
        ENDPOINT_DELETED.label("endpoint_deleted"),
    ).where(*_own)
)
RESEND = Statement(
    update(deliveries)
    .where(
        *_own,
        literal_column("deliveries.state IN ('pending', 'delivered', 'dead')", Boolean),
        deliveries.c.body != b"",
        not_(ENDPOINT_DELETED),
    )
    .values(RESENDING)
    .returning(*RECORD_COLUMNS)
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
