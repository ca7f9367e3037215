"""The order of deliveries: those of one conversation to one destination are a queue, whose head is pending or sending.

As in `queue.fifo`, a transaction that ends or adds a delivery of a conversation locks the conversation's row first.
"""

from answerback.database.predicates import OWED_STATES
from answerback.database.sql import one_of
from answerback.database.statement import Statement
from answerback.queue.fifo import has_head, orphaned, releasing
from answerback.webhooks.model import DeliveryState

QUEUE = ("conversation_id", "destination")

RELEASE_NEXT = releasing("deliveries", OWED_STATES, QUEUE, lambda _: {"state": f"'{DeliveryState.PENDING}'"})
IS_FOLLOWED = """EXISTS (
        SELECT 1 FROM deliveries AS next
        WHERE next.conversation_id = deliveries.conversation_id AND next.destination = deliveries.destination
        AND next.state = 'held'
    ) AS followed"""
"""Whether one is held behind the row, which a `RELEASE_NEXT` would find."""


def head_of(conversation_id: str, destination: str) -> str:
    """A query for the job whose delivery of the conversation to the destination is pending or sending."""
    return f"""
    SELECT ahead.job_id FROM deliveries AS ahead
    WHERE ahead.conversation_id = {conversation_id} AND ahead.conversation_id IS NOT NULL
    AND ahead.destination = {destination} AND {one_of(OWED_STATES, "ahead")}"""


def is_open(conversation_id: str, destination: str) -> str:
    """Whether a delivery of the conversation to the destination is pending or sending."""
    return has_head("deliveries", OWED_STATES, conversation_id=conversation_id, destination=destination)


HEAD = Statement(head_of(":conversation_id", ":destination"))
ORPHANED = orphaned("deliveries", OWED_STATES, QUEUE)
