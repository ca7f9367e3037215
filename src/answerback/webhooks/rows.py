"""The rows of deliveries as their owners may see them."""

from collections.abc import Sequence

from answerback.database.operation import Operation, Transaction
from answerback.database.statement import Row, Statement
from answerback.queue.attempts import attempts_of
from answerback.queue.states import state_of
from answerback.webhooks.model import DeliveryRecord, DeliveryState
from answerback.webhooks.order import head_of
from answerback.webhooks.receivers.next_attempts import next_attempts

# Whether it is erased by the body's length: a long body is not read for that.
SHORT_COLUMNS = f"""
    id, job_id, endpoint_id, tenant_id, origin, url, state, attempt, run_at, unreached_at, delivered_at, attempts_made,
    CASE WHEN state = 'held' THEN ({head_of("deliveries.conversation_id", "deliveries.destination")}) END AS held_by,
    length(body) = 0 AS erased"""
"""All but the attempts, which lists do not read."""
RECORD_COLUMNS = f"{SHORT_COLUMNS}, attempts"
OF_JOB = Statement(f"SELECT {RECORD_COLUMNS} FROM deliveries WHERE job_id = :job_id ORDER BY id")


def deliveries_of(tx: Transaction, job_id: str) -> Operation[list[DeliveryRecord]]:
    """The deliveries that a job owes or owed."""
    return (yield from delivery_records(tx, (yield OF_JOB(job_id=job_id))))


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
