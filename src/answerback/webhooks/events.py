"""Events: what endpoints subscribe to, and the envelope in which they receive it."""

import json
from enum import StrEnum


class EventType(StrEnum):
    """What an endpoint may subscribe to: OpenAI's types, and ours."""

    MESSAGE_COMPLETED = "message.completed"
    MESSAGE_FAILED = "message.failed"
    MESSAGE_CANCELLED = "message.cancelled"
    MESSAGE_EXPIRED = "message.expired"
    REVIEW_COMPLETED = "review.completed"
    REVIEW_FAILED = "review.failed"
    REVIEW_CANCELLED = "review.cancelled"
    REVIEW_EXPIRED = "review.expired"
    RESPONSE_COMPLETED = "response.completed"
    RESPONSE_FAILED = "response.failed"
    RESPONSE_CANCELLED = "response.cancelled"
    RESPONSE_INCOMPLETE = "response.incomplete"
    BATCH_COMPLETED = "batch.completed"
    BATCH_FAILED = "batch.failed"
    BATCH_CANCELLED = "batch.cancelled"
    BATCH_EXPIRED = "batch.expired"


def envelope(event_id: str, event_type: str, at: int, data: bytes) -> bytes:
    """What an endpoint receives: OpenAI's event object around `data`, the JSON text that the callback URL receives.
    `at` is in epoch milliseconds of the wall clock."""
    head = {"id": event_id, "object": "event", "type": event_type, "created_at": at // 1000}
    return json.dumps(head).encode()[:-1] + b', "data": ' + data + b"}"
