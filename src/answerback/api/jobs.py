"""What became of jobs, and cancelling, retrying, replaying them."""

import dataclasses
from typing import Annotated, Any, assert_never

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field
from starlette.requests import Request
from starlette.responses import Response

from answerback.api.auth import Authenticator
from answerback.api.documents import JOB_ERRORS, KEY_ERRORS, errors
from answerback.api.errors import json_response
from answerback.core.callbacks import review_result, rfc3339
from answerback.core.control import Control
from answerback.core.intake import Intake
from answerback.domain.job import ENDED, Attempt, DeliveryRecord, JobKind, JobRecord, JobState, Message
from answerback.domain.review import FileRef, Review
from answerback.ports import Store


class AttemptBody(BaseModel):
    number: int
    status: str
    started_at: str
    finished_at: str | None
    duration_ms: int | None
    http_status: int | None
    error: str | None
    response_snippet: str | None


class DeliveryBody(BaseModel):
    """The callback a job owes. `id` is its `webhook-id`; `next_attempt_at` is null once nothing is due."""

    id: str
    job_id: str
    status: str
    url: str
    attempt: int
    next_attempt_at: str | None
    delivered_at: str | None
    attempts: list[AttemptBody]


class JobBody(BaseModel):
    """A job. `error` is the last failure, also while it waits for another try. `run_at` is when it is due; while it is
    `awaiting` an LLM's callback, until when."""

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
    response: str | None
    model: str | None
    usage: dict[str, int] | None
    error: dict[str, str] | None
    metadata: dict[str, Any] | None
    callback_url: str | None
    retry_of: str | None
    submission_id: str | None = Field(None, description="This and the fields below: of reviews only.")
    student_id: str | None = None
    file_refs: list[dict[str, Any]] | None = None
    ok: bool | None = Field(None, description="Whether there is a review; null until the job has ended.")
    result: dict[str, Any] | None = Field(None, description='The review, or `{"error": …}`; null until it has ended.')


class JobDetails(JobBody):
    lease_losses: int
    retried_as: str | None
    attempts: list[AttemptBody]
    delivery: DeliveryBody | None


class JobPage(BaseModel):
    """Newest first; `next` goes into `before` for the page after, null on the last."""

    items: list[JobBody]
    next: str | None


class Retried(BaseModel):
    job_id: str
    status: str
    session_id: str | None
    seq: int | None
    retry_of: str


def router(store: Store, intake: Intake, control: Control, authenticator: Authenticator) -> APIRouter:
    """`/v1/jobs…` and `/v1/deliveries…`."""
    door = APIRouter(prefix="/v1", tags=["jobs"])

    @door.get("/jobs", summary="Your jobs, newest first", response_model=JobPage, responses=KEY_ERRORS)
    async def list_jobs(
        request: Request,
        status: JobState | None = None,
        session_id: Annotated[str | None, Query(max_length=2048)] = None,
        limit: Annotated[int, Query(ge=1, le=100)] = 20,
        before: Annotated[str | None, Query(max_length=64)] = None,
    ) -> Response:
        tenant_id = await authenticator.tenant(request)
        records = await store.list_jobs(tenant_id, status, session_id, before, limit + 1)
        page = records[:limit]
        following = page[-1].job.id if len(records) > limit else None
        return json_response(200, {"items": [job_body(record) for record in page], "next": following})

    @door.get("/jobs/{job_id}", summary="One job", response_model=JobDetails, responses=JOB_ERRORS)
    async def get_job(request: Request, job_id: str) -> Response:
        """State, answer, every attempt, and the delivery with its attempts."""
        tenant_id = await authenticator.tenant(request)
        return json_response(200, job_details(await store.get_job(tenant_id, job_id)))

    @door.post(
        "/jobs/{job_id}/cancel",
        summary="Cancel a job",
        response_model=JobDetails,
        responses=JOB_ERRORS | errors(_409="The job has ended otherwise"),
    )
    async def cancel(request: Request, job_id: str) -> Response:
        """Ends it at once, whatever it is doing; the callback says `cancelled`. Cancelling twice is no error."""
        tenant_id = await authenticator.tenant(request)
        return json_response(200, job_details(await control.cancel(tenant_id, job_id)))

    @door.post(
        "/jobs/{job_id}/retry",
        status_code=202,
        summary="Ask again what failed, expired or was cancelled",
        response_model=Retried,
        responses=JOB_ERRORS
        | errors(
            _409="The job has not ended, or completed",
            _422="Its callback URL is refused now",
            _429="Its conversation is full",
        ),
    )
    async def retry(request: Request, job_id: str) -> Response:
        """Accepts the same message as a new job at the end of its conversation's line. The old job keeps its ending
        and its callback. Retrying twice gives the same new job."""
        tenant_id = await authenticator.tenant(request)
        source, accepted = await intake.retry(tenant_id, job_id)
        reply = {
            "job_id": accepted.job_id,
            "status": "queued",
            "session_id": source.request.session_id if isinstance(source.request, Message) else None,
            "seq": accepted.seq,
            "retry_of": job_id,
        }
        return json_response(202, reply, {"Location": f"/v1/jobs/{accepted.job_id}"})

    @door.post(
        "/deliveries/{delivery_id}/replay",
        status_code=202,
        summary="Send a callback again",
        response_model=DeliveryBody,
        responses=JOB_ERRORS | errors(_409="An attempt is under way, or the body was erased"),
    )
    async def replay(request: Request, delivery_id: str) -> Response:
        """Owes the same body under the same `webhook-id` once more, with a full schedule of attempts."""
        tenant_id = await authenticator.tenant(request)
        return json_response(202, delivery_body(await control.replay(tenant_id, delivery_id)))

    return door


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


def delivery_body(delivery: DeliveryRecord) -> dict[str, Any]:
    return {
        "id": delivery.id,
        "job_id": delivery.job_id,
        "status": delivery.state,
        "url": delivery.url,
        "attempt": delivery.attempt,
        "next_attempt_at": _time(delivery.run_at) if delivery.state == "pending" else None,
        "delivered_at": _time(delivery.delivered_at),
        "attempts": [attempt_body(attempt) for attempt in delivery.attempts],
    }


def job_body(record: JobRecord) -> dict[str, Any]:
    match record.job.request:
        case Message() as message:
            return _common(record, message.model) | {
                "session_id": message.session_id,
                "response": record.answer,
            }
        case Review() as review:
            ended = record.state in ENDED
            return _common(record, None) | {
                "session_id": None,
                "response": None,
                "submission_id": review.submission_id,
                "student_id": review.student_id,
                "file_refs": [_file_body(each) for each in review.file_refs],
                "ok": record.answer is not None if ended else None,
                "result": review_result(record.answer, record.failure) if ended else None,
            }
        case _:
            assert_never(record.job.request)


def _file_body(ref: FileRef) -> dict[str, Any]:
    return {"url": ref.url, "pages": None if ref.pages is None else list(ref.pages)}


def _common(record: JobRecord, model: str | None) -> dict[str, Any]:
    job, failure = record.job, record.failure
    return {
        "job_id": job.id,
        "kind": job.kind.value,
        "status": record.state.value,
        "seq": job.seq,
        "attempt": record.attempt,
        "run_at": None if record.state in ENDED else _time(record.run_at),
        "created_at": _time(job.created_at),
        "completed_at": _time(record.finished_at),
        "deadline_at": _time(job.deadline_at),
        "model": record.model or model,
        "usage": dataclasses.asdict(record.usage) if record.usage else None,
        "error": {"code": failure.code.value, "message": failure.message} if failure else None,
        "metadata": job.request.metadata,
        "callback_url": job.callback_url,
        "retry_of": record.retry_of,
    }


def job_details(record: JobRecord) -> dict[str, Any]:
    return job_body(record) | {
        "lease_losses": record.lease_losses,
        "retried_as": record.retried_as,
        "attempts": [attempt_body(attempt) for attempt in record.attempts],
        "delivery": delivery_body(record.delivery) if record.delivery else None,
    }
