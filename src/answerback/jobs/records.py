"""Rows to values and back. Each column list stands beside the function that reads it."""

import dataclasses
import json
from collections.abc import Iterable
from typing import Any, assert_never

from sqlalchemy import ColumnElement, Integer, literal_column, select

from answerback.database.operation import Row, Rows
from answerback.database.tables import attempts, conversations, jobs
from answerback.jobs.model import (
    Attempt,
    ClaimedJob,
    Job,
    JobKind,
    JobRecord,
    JobState,
    Message,
    Request,
)
from answerback.kernel.errors import ErrorCode, Failure
from answerback.llm.model import Usage
from answerback.reviews.model import FileRef, Review
from answerback.webhooks.model import DeliveryRecord

JOB_COLUMNS = (
    jobs.c.id,
    jobs.c.tenant_id,
    jobs.c.kind,
    jobs.c.conversation_id,
    jobs.c.seq,
    jobs.c.request,
    jobs.c.callback_url,
    jobs.c.created_at,
    jobs.c.deadline_at,
    jobs.c.traceparent,
)
_erased_through = (
    select(conversations.c.erased_through).where(conversations.c.id == jobs.c.conversation_id).scalar_subquery()
)
CLAIMED_JOB_COLUMNS = (*JOB_COLUMNS, jobs.c.lease_epoch, jobs.c.attempt, jobs.c.run_at, _erased_through)
RECORD_COLUMNS = (
    *JOB_COLUMNS,
    jobs.c.state,
    jobs.c.attempt,
    jobs.c.lease_losses,
    jobs.c.run_at,
    jobs.c.finished_at,
    jobs.c.answer,
    jobs.c.model,
    jobs.c.usage,
    jobs.c.error_code,
    jobs.c.error_message,
    jobs.c.retry_of,
)
ATTEMPT_COLUMNS = (
    attempts.c.number,
    attempts.c.status,
    attempts.c.started_at,
    attempts.c.finished_at,
    attempts.c.http_status,
    attempts.c.error,
    attempts.c.duration_ms,
    attempts.c.snippet,
)

UNREADABLE = (AttributeError, LookupError, TypeError, ValueError)
"""What reading a request raises that another version of this service wrote."""


def dump_request(request: Request) -> str:
    """What was asked, as stored."""
    match request:
        case Message():
            return dump_message(request)
        case Review():
            return json.dumps(dataclasses.asdict(request))
        case _:
            assert_never(request)


def dump_message(message: Message) -> str:
    """A message as stored: JSON of the fields that were given."""
    fields = {field: getattr(message, field) for field in MESSAGE_FIELDS}
    return json.dumps({key: value for key, value in fields.items() if value is not None and value is not False})


MESSAGE_FIELDS = tuple(field.name for field in dataclasses.fields(Message))


def load_request(kind: JobKind, stored: str) -> Request:
    fields = json.loads(stored)
    match kind:
        case JobKind.MESSAGE:
            return Message(**fields)
        case JobKind.REVIEW:
            files = tuple(FileRef(each["url"], _pages(each["pages"])) for each in fields.pop("file_refs"))
            return Review(file_refs=files, **fields)
        case _:
            assert_never(kind)


def _pages(stored: list[int] | None) -> tuple[int, ...] | None:
    return None if stored is None else tuple(stored)


def job(row: Row) -> Job:
    """Raises one of UNREADABLE where another version of this service wrote what this one does not know."""
    kind = JobKind(row[2])
    return _job(row, kind, load_request(kind, row[5]))


def _job(row: Row, kind: JobKind, request: Request) -> Job:
    return Job(
        id=row[0],
        tenant_id=row[1],
        kind=kind,
        conversation_id=row[3],
        seq=row[4],
        request=request,
        callback_url=row[6],
        created_at=row[7],
        deadline_at=row[8],
        traceparent=row[9],
    )


def job_to_end(row: Row) -> Job:
    """As `job`, but never fails: a request that another version of this service wrote is taken for what its callback
    tells of it."""
    try:
        return job(row)
    except UNREADABLE:
        return _job(row, *_understood(row[2], row[5]))


def _understood(kind: str, stored: str) -> tuple[JobKind, Request]:
    try:
        loaded = json.loads(stored)
    except ValueError:
        loaded = None
    fields = loaded if isinstance(loaded, dict) else {}
    if kind == JobKind.REVIEW:
        return JobKind.REVIEW, Review(str(fields.get("submission_id", "")), file_refs=())
    session_id, model, metadata = (fields.get(field) for field in ("session_id", "model", "metadata"))
    return JobKind.MESSAGE, Message("", session_id=session_id, model=model, metadata=metadata)


def by_position(found: Iterable[Job]) -> list[Job]:
    """In the order in which their callbacks must go out: those of a conversation by their place in it."""
    return sorted(found, key=lambda job: (job.conversation_id or 0, job.seq or 0))


def claimed_jobs(rows: Rows, now: int) -> tuple[list[ClaimedJob], list[tuple[str, int]]]:
    """The claims, and `(id, epoch)` of the rows that only another version of this service can read; both by id."""
    claimed: list[ClaimedJob] = []
    unreadable: list[tuple[str, int]] = []
    for row in sorted(rows, key=lambda row: str(row[0])):
        epoch = row[10]
        try:
            claimed.append(
                ClaimedJob(
                    job(row), epoch, attempt=row[11], claimed_at=now, due_at=row[12], erased_through=row[13] or 0
                )
            )
        except UNREADABLE:
            unreadable.append((row[0], epoch))
    return claimed, unreadable


def job_record(
    row: Row,
    retried_as: str | None = None,
    made: tuple[Attempt, ...] = (),
    delivery: DeliveryRecord | None = None,
) -> JobRecord:
    state, attempt, losses, run_at, finished_at, answer, model, usage, code, message, retry_of = row[10:21]
    return JobRecord(
        job=job(row),
        state=JobState(state),
        attempt=attempt,
        lease_losses=losses,
        run_at=run_at,
        finished_at=finished_at,
        answer=answer,
        model=model,
        usage=Usage(**json.loads(usage)) if usage else None,
        failure=Failure(ErrorCode(code), message) if code else None,
        retry_of=retry_of,
        retried_as=retried_as,
        attempts=made,
        delivery=delivery,
    )


def attempts_made(rows: Rows) -> tuple[Attempt, ...]:
    return tuple(Attempt(*row) for row in rows)


def dump_usage(usage: Usage | None) -> str | None:
    return json.dumps(dataclasses.asdict(usage)) if usage else None


def literal(value: Any) -> str:
    """A state as SQL text. Partial indexes serve a query only where its predicate is spelled out, not bound."""
    return f"'{value}'"


def at_most(rows: int) -> ColumnElement[int]:
    """A limit as SQL text. A planner that may not look at what is bound takes it for a tenth of the table."""
    return literal_column(str(rows), Integer)
