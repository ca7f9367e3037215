"""A delivery's row as its owner may see it."""

from answerback.database.operation import Row, Transaction
from answerback.database.tables import deliveries
from answerback.queue.attempts import attempts_of
from answerback.webhooks.model import DeliveryRecord, DeliveryState

RECORD_COLUMNS = (
    deliveries.c.id,
    deliveries.c.job_id,
    deliveries.c.event_type,
    deliveries.c.endpoint_id,
    deliveries.c.url,
    deliveries.c.state,
    deliveries.c.attempt,
    deliveries.c.run_at,
    deliveries.c.deadline_at,
    deliveries.c.delivered_at,
    deliveries.c.attempts,
    deliveries.c.attempts_made,
)


def delivery_record(tx: Transaction, row: Row) -> DeliveryRecord:
    return DeliveryRecord(
        id=row.id,
        job_id=row.job_id,
        event_type=row.event_type,
        endpoint_id=row.endpoint_id,
        url=row.url,
        state=DeliveryState(row.state),
        attempt=row.attempt,
        run_at=row.run_at + tx.wall_ahead,
        deadline_at=row.deadline_at + tx.wall_ahead,
        delivered_at=row.delivered_at,
        attempts=attempts_of(row.attempts),
        attempts_made=row.attempts_made,
    )
