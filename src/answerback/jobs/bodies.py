"""The bodies of jobs: each model is both the documentation and the bytes."""

from collections.abc import Callable
from dataclasses import asdict, replace
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from answerback.http.errors import ErrorBody
from answerback.http.openapi_parts import ENDED_AT, JOB, USAGE
from answerback.http.responses import Time, is_none
from answerback.jobs.kind import ENDED, Description, JobState
from answerback.jobs.model import JobRecord
from answerback.queue.attempts import KEPT_FIRST
from answerback.webhooks.bodies import AttemptBody, DeliveryBody, DeliverySummary
from answerback.webhooks.model import DeliveryRecord

MESSAGE_SUMMARY: dict[str, Any] = {
    "session_id": "customer-42",
    "model": "openai/gpt-oss-20b:free",
    "usage": USAGE,
    "finish_reason": "stop",
}
MESSAGE_DETAILS: dict[str, Any] = {
    "message": "Where is my parcel?",
    "system": "You are brief.",
    "params": {"temperature": 0.2},
    "response": "It left the depot this morning.",
    "metadata": {"ticket": 1742},
}
"""Examples of the fields that a kind adds."""


def _also(fields: dict[str, Any]) -> Callable[[dict[str, Any]], None]:
    """A `json_schema_extra` with the examples of a kind's own fields."""

    def add(schema: dict[str, Any]) -> None:
        schema["properties"] |= {name: {"examples": [example]} for name, example in fields.items()}

    return add


class JobBody(BaseModel):
    """A job. `error` is the last failure, also while it waits for another try. `run_at` is when it is due; while it is
    `awaiting` an LLM's callback, until when. `delivery` is the one to its own callback URL, once it has ended. A
    `status` that is not listed is a newer version's, during an upgrade. Each kind adds fields of its own; the example
    is a `message`. One that was erased with its conversation has `erased`, true, and names no conversation any more."""

    model_config = ConfigDict(extra="allow", json_schema_extra=_also(MESSAGE_SUMMARY))

    job_id: str = Field(examples=[JOB])
    kind: str = Field(examples=["message"])
    status: JobState | str = Field(examples=["completed"])
    seq: int | None = Field(description="Its place in its conversation.", examples=[2])
    attempt: int = Field(examples=[1])
    run_at: Time | None = Field(examples=[None])
    created_at: Time
    completed_at: Time | None = Field(examples=[ENDED_AT])
    deadline_at: Time = Field(examples=["2026-01-02T12:00:00.000Z"])
    error: ErrorBody | None = Field(examples=[None])
    callback_url: str | None = Field(examples=["https://example.com/callback"])
    retry_of: str | None = Field(examples=[None])
    key_id: str | None = Field(description="The key that sent it.", examples=["key_01a1fc8454427e0488ed70bfee41f52c"])
    tenant_id: str | None = Field(
        None,
        description="For operators: whose job it is.",
        examples=["tnt_01a1fc8454427e0488ed70bfd1c5a7e4"],
        exclude_if=is_none,
    )
    delivery: DeliverySummary | None


class WaitingFor(BaseModel):
    """What an open job waits for: an earlier `job` of its conversation (`job_id`), a free `worker`, another try
    (`retry`, due at `until`; `code` is why, such as a rate limit or a quota of the provider), the `callback` of an LLM
    (until `until`), or its turn to run alone after its workers stopped twice (`quarantine`)."""

    reason: Literal["job", "worker", "retry", "callback", "quarantine"]
    job_id: str | None = Field(examples=[None])
    until: Time | None = Field(examples=["2026-01-01T12:00:30.000Z"])
    code: str | None = Field(examples=["upstream_rate_limited"])


class JobAttempt(AttemptBody):
    """An attempt at a job."""

    put_off: int | None = Field(
        description="How often the job was put off before it, unasked, since the provider rested or its quota was used "
        "up; null where the attempt before it is not kept.",
        examples=[0],
    )
    put_off_for: ErrorBody | None = Field(
        None,
        description="Why it was put off last: which quota was used up, or for what the provider rested.",
        examples=[None],
    )


class JobDetails(JobBody):
    """Everything about a job, the fields that lists leave out included. Of very many attempts the first and the last
    are kept; `attempts_made` counts them all. `delivery` is the one to the job's own callback URL; `deliveries` are
    all."""

    model_config = ConfigDict(json_schema_extra=_also(MESSAGE_SUMMARY | MESSAGE_DETAILS))

    claimed_at: Time | None = Field(description="When its last attempt began.", examples=["2026-01-01T12:00:00.100Z"])
    waiting_for: WaitingFor | None = Field(description="Null while it runs, and once it has ended.")
    lease_losses: int = Field(examples=[0])
    retried_as: str | None = Field(examples=[None])
    attempts_made: int = Field(examples=[1])
    attempts: list[JobAttempt]
    delivery: DeliveryBody | None
    deliveries: list[DeliveryBody]


class JobPage(BaseModel):
    """Newest first; `next` goes into `before` for the page after, null on the last. A page that asks for a model or an
    error, or for a state of the delivery and for more, may be short, or empty, and not the last. Long fields, such as
    an answer, are shown by `GET /v1/jobs/{job_id}` only."""

    items: list[JobBody]
    next: str | None = Field(examples=[JOB])


class Retried(BaseModel):
    """The job's arguments are accepted once more, as a job of its own."""

    job_id: str = Field(examples=[JOB])
    status: Literal["queued"]
    session_id: str | None = Field(examples=["customer-42"])
    seq: int | None = Field(examples=[3])
    retry_of: str = Field(examples=[JOB[:-1] + "0"])


def job_body(record: JobRecord, *, operator: bool = False) -> JobBody:
    """A job as lists show it; `operator`: to an operator."""
    common = _common(record, operator=operator)
    return JobBody(**common, **described(record).summary, delivery=_own_delivery(record))


def retried_body(record: JobRecord) -> Retried:
    """The response to a request for a retry: the new job, the same each time."""
    session_id = described(record).summary.get("session_id")
    job = record.job
    return Retried(job_id=job.id, status="queued", session_id=session_id, seq=job.position, retry_of=record.retry_of)


def job_details(record: JobRecord, *, operator: bool = False) -> JobDetails:
    """`operator`: whether an operator will see it."""
    description = described(record)
    return JobDetails(
        **_common(record, operator=operator),
        **description.summary,
        **description.details,
        claimed_at=record.claimed_at,
        waiting_for=_waiting_for(record),
        lease_losses=record.lease_losses,
        retried_as=record.retried_as,
        attempts_made=record.attempts_made,
        attempts=_attempts(record, operator=operator),
        delivery=_own_delivery(record),
        deliveries=record.deliveries,
    )


def _attempts(record: JobRecord, *, operator: bool) -> list[JobAttempt]:
    """Each claim of a job has the next epoch: those between two attempts ended unasked."""
    has_gap = record.attempts_made > len(record.attempts)
    epoch, bodies = 0, []
    for place, each in enumerate(record.attempts):
        put_off = None if has_gap and place == KEPT_FIRST else each.epoch - epoch - 1
        shown = each if operator else replace(each, remark=None)
        if put_off == 0:
            # Of a claim behind a lost lease the row still has why the one before it was put off.
            shown = replace(shown, put_off_for=None)
        bodies.append(JobAttempt.model_validate(asdict(shown) | {"put_off": put_off}))
        epoch = each.epoch
    return bodies


def _waiting_for(record: JobRecord) -> WaitingFor | None:
    code = None if record.failure is None else record.failure.code
    match record.state:
        case JobState.HELD:
            return WaitingFor(reason="job", job_id=record.behind, until=None, code=None)
        case JobState.QUEUED:
            return WaitingFor(reason="worker", job_id=None, until=None, code=None)
        case JobState.SCHEDULED:
            return WaitingFor(reason="retry", job_id=None, until=record.run_at, code=code)
        case JobState.AWAITING:
            return WaitingFor(reason="callback", job_id=None, until=record.run_at, code=None)
        case JobState.QUARANTINED:
            return WaitingFor(reason="quarantine", job_id=None, until=None, code=code)
        case _:
            return None


def _own_delivery(record: JobRecord) -> DeliveryRecord | None:
    return next((each for each in record.deliveries if each.endpoint_id is None), None)


def described(record: JobRecord) -> Description:
    """The kind's own fields of the job; none if only another version can read it."""
    if record.kind is None or record.job.args is None:
        return Description({})
    return record.kind.describe(record.job, record.ending)


def _common(record: JobRecord, *, operator: bool) -> dict[str, Any]:
    job = record.job
    return {
        "job_id": job.id,
        "kind": job.kind,
        "status": record.state,
        "seq": job.position,
        "attempt": record.attempt,
        "run_at": None if record.state in ENDED else record.run_at,
        "created_at": job.created_at,
        "completed_at": record.finished_at,
        "deadline_at": record.deadline_at,
        "error": record.failure,
        "callback_url": job.callback_url,
        "retry_of": record.retry_of,
        "key_id": record.key_id,
        "tenant_id": job.tenant_id if operator else None,
    }
