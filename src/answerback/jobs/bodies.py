"""How jobs read: one model each, which is documentation and bytes."""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from answerback.http.openapi_parts import CREATED, ENDED_AT, JOB, USAGE
from answerback.http.responses import shown
from answerback.jobs.kind import ENDED, Description, JobState
from answerback.jobs.model import JobRecord
from answerback.kernel.clock import rfc3339
from answerback.webhooks.bodies import (
    ATTEMPT,
    DELIVERY_EXAMPLE,
    AttemptBody,
    DeliveryBody,
    attempt_body,
    delivery_body,
)

_SUMMARY: dict[str, Any] = {
    "job_id": JOB,
    "kind": "message",
    "status": "completed",
    "seq": 2,
    "attempt": 1,
    "run_at": None,
    "created_at": CREATED,
    "completed_at": ENDED_AT,
    "deadline_at": "2026-01-02T12:00:00.000Z",
    "error": None,
    "callback_url": "https://example.com/callback",
    "retry_of": None,
    "session_id": "customer-42",
    "model": "openai/gpt-oss-20b:free",
    "usage": USAGE,
    "finish_reason": "stop",
}
_DETAILS: dict[str, Any] = {
    "lease_losses": 0,
    "retried_as": None,
    "attempts_made": 1,
    "attempts": [ATTEMPT],
    "delivery": DELIVERY_EXAMPLE,
    "deliveries": [DELIVERY_EXAMPLE],
    "response": "It left the depot this morning.",
    "metadata": {"ticket": 1742},
}


class JobError(BaseModel):
    """Why the last attempt, or the job, did not succeed."""

    code: str
    message: str


class JobBody(BaseModel):
    """A job. `error` is the last failure, also while it waits for another try. `run_at` is when it is due; while it is
    `awaiting` an LLM's callback, until when. Each kind adds fields of its own; the example is a `message`."""

    model_config = ConfigDict(extra="allow", **shown(_SUMMARY))

    job_id: str
    kind: str
    status: JobState
    seq: int | None = Field(description="Its place in its conversation.")
    attempt: int
    run_at: str | None
    created_at: str
    completed_at: str | None
    deadline_at: str
    error: JobError | None
    callback_url: str | None
    retry_of: str | None


class JobDetails(JobBody):
    """A job with everything that is known of it, also what of its kind's fields lists leave out. Of very many attempts
    the first and the last are kept; `attempts_made` counts them all. `delivery` is the one to the job's own callback
    URL; `deliveries` are all."""

    model_config = ConfigDict(**shown(_SUMMARY | _DETAILS))

    lease_losses: int
    retried_as: str | None
    attempts_made: int
    attempts: list[AttemptBody]
    delivery: DeliveryBody | None
    deliveries: list[DeliveryBody]


class JobPage(BaseModel):
    """Newest first; `next` goes into `before` for the page after, null on the last. What may be long, as an answer, is
    shown by `GET /v1/jobs/{job_id}` only."""

    items: list[JobBody]
    next: str | None = Field(examples=[JOB])


class Retried(BaseModel):
    """The job's arguments are accepted once more, as a job of its own."""

    model_config = ConfigDict(extra="ignore")

    job_id: str = Field(examples=[JOB])
    status: str = Field(examples=["queued"])
    session_id: str | None = Field(examples=["customer-42"])
    seq: int | None = Field(examples=[3])
    retry_of: str = Field(examples=[JOB[:-1] + "0"])


def job_body(record: JobRecord) -> JobBody:
    """A job as lists show it."""
    return JobBody(**_common(record), **described(record).summary)


def retried_body(record: JobRecord) -> Retried:
    """The new job, as the answer to the request that it be retried; the same each time."""
    named = {"session_id": None} | dict(described(record).summary)
    return Retried(**named, job_id=record.job.id, status="queued", seq=record.job.position, retry_of=record.retry_of)


def job_details(record: JobRecord) -> JobDetails:
    description = described(record)
    deliveries = [delivery_body(delivery) for delivery in record.deliveries]
    own = [body for body, each in zip(deliveries, record.deliveries, strict=True) if each.endpoint_id is None]
    return JobDetails(
        **_common(record),
        **description.summary,
        **description.details,
        lease_losses=record.lease_losses,
        retried_as=record.retried_as,
        attempts_made=record.attempts_made,
        attempts=[attempt_body(attempt) for attempt in record.attempts],
        delivery=own[0] if own else None,
        deliveries=deliveries,
    )


def described(record: JobRecord) -> Description:
    """What the job's kind says of it; nothing where only another version can read it."""
    if record.kind is None or record.job.args is None:
        return Description({})
    return record.kind.describe(record.job, record.ending)


def _common(record: JobRecord) -> dict[str, Any]:
    job, failure = record.job, record.failure
    return {
        "job_id": job.id,
        "kind": job.kind,
        "status": record.state,
        "seq": job.position,
        "attempt": record.attempt,
        "run_at": None if record.state in ENDED else rfc3339(record.run_at),
        "created_at": rfc3339(job.created_at),
        "completed_at": None if record.finished_at is None else rfc3339(record.finished_at),
        "deadline_at": rfc3339(record.deadline_at),
        "error": JobError(code=failure.code.value, message=failure.message) if failure else None,
        "callback_url": job.callback_url,
        "retry_of": record.retry_of,
    }
