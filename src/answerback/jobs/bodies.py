"""How jobs and the callbacks they owe read."""

import dataclasses
from typing import Any, assert_never

from pydantic import BaseModel, Field

from answerback.http.openapi_parts import CREATED, ENDED_AT, JOB, USAGE, shown
from answerback.jobs.callbacks import review_result, rfc3339
from answerback.jobs.model import ENDED, Attempt, JobKind, JobRecord, JobState, Message
from answerback.reviews.model import FileRef, Review
from answerback.webhooks.bodies import ATTEMPT, DELIVERY_EXAMPLE, AttemptBody, DeliveryBody, delivery_body

_JOB: dict[str, Any] = {
    "job_id": JOB,
    "kind": "message",
    "status": "completed",
    "session_id": "customer-42",
    "seq": 2,
    "attempt": 1,
    "run_at": None,
    "created_at": CREATED,
    "completed_at": ENDED_AT,
    "deadline_at": "2026-01-02T12:00:00.000Z",
    "model": "openai/gpt-oss-20b:free",
    "usage": USAGE,
    "error": None,
    "callback_url": "https://example.com/callback",
    "retry_of": None,
}
_DETAILS: dict[str, Any] = _JOB | {
    "response": "It left the depot this morning.",
    "metadata": {"ticket": 1742},
    "lease_losses": 0,
    "retried_as": None,
    "attempts": [ATTEMPT],
    "delivery": DELIVERY_EXAMPLE,
}


class JobBody(BaseModel):
    """A job. `error` is the last failure, also while it waits for another try. `run_at` is when it is due; while it is
    `awaiting` an LLM's callback, until when."""

    model_config = shown(_JOB)

    job_id: str
    kind: JobKind
    status: JobState
    session_id: str | None
    seq: int | None
    attempt: int
    run_at: str | None
    created_at: str
    completed_at: str | None
    deadline_at: str
    model: str | None
    usage: dict[str, int] | None
    error: dict[str, str] | None
    callback_url: str | None
    retry_of: str | None
    submission_id: str | None = Field(None, description="Of reviews only.")
    student_id: str | None = Field(None, description="Of reviews only.")
    ok: bool | None = Field(
        None, description="Of reviews only: whether there is a review; null until the job has ended."
    )


class JobDetails(JobBody):
    """A job with everything that is known of it, also what lists leave out."""

    model_config = shown(_DETAILS)

    response: str | None
    metadata: dict[str, Any] | None
    file_refs: list[dict[str, Any]] | None = Field(None, description="Of reviews only.")
    result: dict[str, Any] | None = Field(
        None, description='Of reviews only: the review, or `{"error": …}`; null until the job has ended.'
    )
    lease_losses: int
    retried_as: str | None
    attempts: list[AttemptBody]
    delivery: DeliveryBody | None


def _time(epoch_ms: int | None) -> str | None:
    return None if epoch_ms is None else rfc3339(epoch_ms)


def attempt_body(attempt: Attempt) -> dict[str, Any]:
    return {
        "number": attempt.number,
        "status": attempt.status,
        "started_at": _time(attempt.started_at),
        "finished_at": _time(attempt.finished_at),
        "duration_ms": attempt.duration_ms,
        "http_status": attempt.http_status,
        "error": attempt.error,
        "response_snippet": attempt.snippet,
    }


def job_body(record: JobRecord) -> dict[str, Any]:
    """A job as lists show it: without what may be long."""
    job, failure = record.job, record.failure
    body = {
        "job_id": job.id,
        "kind": job.kind.value,
        "status": record.state.value,
        "session_id": None,
        "seq": job.seq,
        "attempt": record.attempt,
        "run_at": None if record.state in ENDED else _time(record.run_at),
        "created_at": _time(job.created_at),
        "completed_at": _time(record.finished_at),
        "deadline_at": _time(job.deadline_at),
        "model": record.model,
        "usage": dataclasses.asdict(record.usage) if record.usage else None,
        "error": {"code": failure.code.value, "message": failure.message} if failure else None,
        "callback_url": job.callback_url,
        "retry_of": record.retry_of,
    }
    match job.request:
        case Message() as message:
            return body | {"session_id": message.session_id, "model": record.model or message.model}
        case Review() as review:
            return body | {
                "submission_id": review.submission_id,
                "student_id": review.student_id,
                "ok": record.state is JobState.COMPLETED if record.state in ENDED else None,
            }
        case _:
            assert_never(job.request)


def job_details(record: JobRecord) -> dict[str, Any]:
    return (
        job_body(record)
        | _contents(record)
        | {
            "lease_losses": record.lease_losses,
            "retried_as": record.retried_as,
            "attempts": [attempt_body(attempt) for attempt in record.attempts],
            "delivery": delivery_body(record.delivery) if record.delivery else None,
        }
    )


def _contents(record: JobRecord) -> dict[str, Any]:
    metadata = record.job.request.metadata
    match record.job.request:
        case Message():
            return {"response": record.answer, "metadata": metadata}
        case Review() as review:
            return {
                "response": None,
                "metadata": metadata,
                "file_refs": [_file_body(each) for each in review.file_refs],
                "result": review_result(record.answer, record.failure) if record.state in ENDED else None,
            }
        case _:
            assert_never(record.job.request)


def _file_body(ref: FileRef) -> dict[str, Any]:
    return {"url": ref.url, "pages": None if ref.pages is None else list(ref.pages)}
