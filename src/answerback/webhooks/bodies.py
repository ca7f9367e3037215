"""How deliveries and attempts read."""

from typing import Any

from pydantic import BaseModel

from answerback.http.openapi_parts import CREATED, DELIVERY, ENDED_AT, JOB
from answerback.http.responses import shown
from answerback.kernel.clock import rfc3339
from answerback.queue.attempts import Attempt
from answerback.webhooks.model import DeliveryRecord, DeliveryState

ATTEMPT: dict[str, Any] = {
    "number": 1,
    "status": "answered",
    "started_at": CREATED,
    "finished_at": ENDED_AT,
    "duration_ms": 1230,
    "http_status": None,
    "error": None,
    "response_snippet": None,
}
DELIVERY_EXAMPLE: dict[str, Any] = {
    "id": DELIVERY,
    "job_id": JOB,
    "status": "delivered",
    "url": "https://example.com/callback",
    "attempt": 1,
    "next_attempt_at": None,
    "delivered_at": ENDED_AT,
    "attempts": [ATTEMPT | {"status": "delivered", "duration_ms": 20, "http_status": 200, "response_snippet": "ok"}],
}


class AttemptBody(BaseModel):
    """An attempt at a job or at a delivery. `http_status` is what the receiver answered, or the LLM that refused or
    failed; `response_snippet` is the receiver's."""

    model_config = shown(ATTEMPT)

    number: int
    status: str
    started_at: str
    finished_at: str | None
    duration_ms: int | None
    http_status: int | None
    error: str | None
    response_snippet: str | None


class DeliveryBody(BaseModel):
    """A callback that a job owes. `id` is its `webhook-id`; `next_attempt_at` is null once nothing is due."""

    model_config = shown(DELIVERY_EXAMPLE)

    id: str
    job_id: str
    status: DeliveryState
    url: str
    attempt: int
    next_attempt_at: str | None
    delivered_at: str | None
    attempts: list[AttemptBody]


def attempt_body(attempt: Attempt) -> AttemptBody:
    return AttemptBody(
        number=attempt.number,
        status=attempt.status,
        started_at=rfc3339(attempt.started_at),
        finished_at=rfc3339(attempt.finished_at),
        duration_ms=attempt.duration_ms,
        http_status=attempt.http_status,
        error=attempt.error,
        response_snippet=attempt.snippet,
    )


def delivery_body(delivery: DeliveryRecord) -> DeliveryBody:
    return DeliveryBody(
        id=delivery.id,
        job_id=delivery.job_id,
        status=delivery.state,
        url=delivery.url,
        attempt=delivery.attempt,
        next_attempt_at=rfc3339(delivery.run_at) if delivery.state == DeliveryState.PENDING else None,
        delivered_at=None if delivery.delivered_at is None else rfc3339(delivery.delivered_at),
        attempts=[attempt_body(attempt) for attempt in delivery.attempts],
    )
