"""The order of deliveries: those of one conversation to one destination are a queue, whose head is pending or sending.

As in `queue.fifo`, a transaction that ends or adds a delivery of a conversation locks the conversation's row first.
"""

from typing import Any

from sqlalchemy import ColumnElement, Select, bindparam, exists, literal_column, select

from answerback.database.operation import Statement
from answerback.database.sql import aliased, in_state
from answerback.database.tables import OWED_STATES, deliveries, one_of
from answerback.queue.fifo import has_head, orphaned, releasing
from answerback.webhooks.model import DeliveryState

QUEUE = ("conversation_id", "destination")

RELEASE_NEXT = releasing(deliveries, OWED_STATES, QUEUE, state=DeliveryState.PENDING)
_next = aliased(deliveries, "next")
_held_behind: Select[Any] = select(literal_column("1")).where(
    *(_next.c[column] == deliveries.c[column] for column in QUEUE), in_state(_next, DeliveryState.HELD)
)
IS_FOLLOWED = exists(_held_behind.correlate_except(_next)).label("followed")
"""Whether one is held behind the row, which a `RELEASE_NEXT` would find."""
HEAD = Statement(
    select(deliveries.c.job_id).where(
        *(deliveries.c[column] == bindparam(column) for column in QUEUE),
        literal_column(one_of(OWED_STATES, "deliveries")),
    )
)
"""The job whose delivery is pending or sending."""
ORPHANED = orphaned(deliveries, OWED_STATES, QUEUE)


def is_open(conversation_id: Any, destination: Any) -> ColumnElement[bool]:
    """Whether a delivery of the conversation to the destination is pending or sending."""
    return has_head(deliveries, OWED_STATES, conversation_id=conversation_id, destination=destination)
