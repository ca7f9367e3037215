"""The envelope in which endpoints receive events."""

import json


def envelope(event_id: str, event_type: str, at: int, data: bytes) -> bytes:
    """What an endpoint receives: OpenAI's event object around `data`, the JSON text that the callback URL receives.
    `at` is in epoch milliseconds of the wall clock."""
    head = {"id": event_id, "object": "event", "type": event_type, "created_at": at // 1000}
    return json.dumps(head).encode()[:-1] + b', "data": ' + data + b"}"
