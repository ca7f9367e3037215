"""A delivery's row as its owner may see it."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import case, func, literal_column, select

from answerback.database.operation import Operation, Row, Transaction
from answerback.database.sql import aliased, in_state
from answerback.database.tables import OWED_STATES, deliveries, one_of
from answerback.queue.attempts import attempts_of
from answerback.queue.states import state_of
from answerback.webhooks.model import DeliveryRecord, DeliveryState
from answerback.webhooks.next_attempts import next_attempts

_ahead = aliased(deliveries, "ahead")
_head: Any = (
    select(_ahead.c.job_id)
    .where(
        _ahead.c.conversation_id == deliveries.c.conversation_id,
        _ahead.c.conversation_id.is_not(None),
        _ahead.c.destination == deliveries.c.destination,
        literal_column(one_of(OWED_STATES, "ahead")),
    )
    .correlate(deliveries)
    .scalar_subquery()
)

RECORD_COLUMNS: tuple[Any, ...] = (
    deliveries.c.id,
    deliveries.c.job_id,
    deliveries.c.endpoint_id,
    deliveries.c.tenant_id,
    deliveries.c.origin,
    deliveries.c.url,
    deliveries.c.state,
    deliveries.c.attempt,
    deliveries.c.run_at,
    deliveries.c.unreached_at,
    deliveries.c.delivered_at,
    deliveries.c.attempts,
    deliveries.c.attempts_made,
    case((in_state(deliveries, DeliveryState.HELD), _head)).label("held_by"),
    # By its length: a long body is not read for that.
    (func.length(deliveries.c.body) == literal_column("0")).label("erased"),
)


def delivery_records(tx: Transaction, rows: Sequence[Row]) -> Operation[list[DeliveryRecord]]:
    due = yield from next_attempts(tx, rows)
    return [_record(row, due.get(row.id)) for row in rows]


def _record(row: Row, next_attempt_at: int | None) -> DeliveryRecord:
    return DeliveryRecord(
        id=row.id,
        job_id=row.job_id,
        endpoint_id=row.endpoint_id,
        url=row.url,
        state=state_of(DeliveryState, row.state),
        attempt=row.attempt,
        next_attempt_at=next_attempt_at,
        delivered_at=row.delivered_at,
        attempts=attempts_of(row.attempts),
        attempts_made=row.attempts_made,
        held_by=row.held_by,
        erased=bool(row.erased),
    )
