"""The order of deliveries: those of one conversation to one destination go out one at a time, the others are held.

A transaction that ends or adds a delivery of a conversation locks the conversation's row first, so that it sees what
other transactions ended or added.
"""

from typing import Any

from sqlalchemy import ColumnElement, Integer, bindparam, exists, literal_column, select, update

from answerback.database.operation import Statement
from answerback.database.tables import OWED_STATES, deliveries
from answerback.webhooks.model import DeliveryState

ORPHANS = 200


def is_open(conversation_id: Any, destination: Any) -> ColumnElement[bool]:
    """Whether a delivery of the conversation to the destination is pending or sending."""
    ahead = deliveries.alias("ahead")
    return exists(
        select(literal_column("1"))
        .select_from(ahead)
        .where(
            ahead.c.conversation_id == conversation_id,
            ahead.c.destination == destination,
            ahead.c.conversation_id.is_not(None),
            literal_column(f"ahead.{OWED_STATES}"),
        )
        .correlate_except(ahead)
    )


_waiting = deliveries.alias("waiting")
_first = (
    select(_waiting.c.id)
    .where(
        _waiting.c.conversation_id == bindparam("conversation_id"),
        _waiting.c.destination == bindparam("to"),
        _waiting.c.state == literal_column(f"'{DeliveryState.HELD}'"),
    )
    .order_by(_waiting.c.position)
    .limit(literal_column("1", Integer))
    .scalar_subquery()
)
RELEASE_NEXT = Statement(
    update(deliveries)
    .where(deliveries.c.id == _first, ~is_open(bindparam("conversation_id"), bindparam("to")))
    .values(state=DeliveryState.PENDING, run_at=bindparam("now"))
    .returning(deliveries.c.id)
)

ORPHANED = Statement(
    select(deliveries.c.conversation_id, deliveries.c.destination)
    .where(
        deliveries.c.state == literal_column(f"'{DeliveryState.HELD}'"),
        ~is_open(deliveries.c.conversation_id, deliveries.c.destination),
    )
    .distinct()
    .limit(literal_column(str(ORPHANS), Integer))
)
