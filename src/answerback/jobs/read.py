"""What owners may see of their jobs."""

from sqlalchemy import Text, bindparam, null, or_, select

from answerback.database.operation import BatchPlan, Operation, Statement, Transaction
from answerback.database.tables import attempts, conversations, jobs
from answerback.jobs.accept import FIND_BY_KEY, FIND_RETRY, same_request
from answerback.jobs.model import Accepted, Job, JobRecord, JobState, Message
from answerback.jobs.records import (
    ATTEMPT_COLUMNS,
    RECORD_COLUMNS,
    attempts_made,
    job_record,
)
from answerback.kernel.errors import Conflict, NotFound
from answerback.queue.attempts import Report
from answerback.webhooks.store import deliveries_of

FIND_JOB = Statement(
    select(*RECORD_COLUMNS).where(jobs.c.id == bindparam("row_id"), jobs.c.tenant_id == bindparam("tenant_id"))
)
ATTEMPTS_OF = Statement(select(*ATTEMPT_COLUMNS).where(attempts.c.of == bindparam("of")).order_by(attempts.c.epoch))
ATTEMPT = Statement(
    select(attempts.c.status, attempts.c.error).where(
        attempts.c.of == bindparam("of"), attempts.c.epoch == bindparam("epoch")
    )
)

AFTER_ALL = "jobz"
"""Sorts after every id of a job, in whatever order a database sorts text."""

LIST_JOBS = Statement(
    # Answers stay where they are: a page of long ones would be hundreds of megabytes.
    select(*(null() if column is jobs.c.answer else column for column in RECORD_COLUMNS))
    .where(
        jobs.c.tenant_id == bindparam("tenant_id"),
        jobs.c.id < bindparam("before"),
        or_(bindparam("state", type_=Text).is_(None), jobs.c.state == bindparam("state")),
        or_(
            bindparam("key", type_=Text).is_(None),
            jobs.c.conversation_id
            == select(conversations.c.id)
            .where(conversations.c.tenant_id == bindparam("tenant_id"), conversations.c.key == bindparam("key"))
            .scalar_subquery(),
        ),
    )
    .order_by(jobs.c.id.desc())
    .limit(bindparam("limit"))
)

FIND_PLAN = BatchPlan((FIND_BY_KEY,))


def find_accepted(
    _: Transaction, tenant_id: str, idempotency_key: str, request_hash: str
) -> Operation[Accepted | None]:
    rows = yield FIND_BY_KEY(tenant_id=tenant_id, idempotency_key=idempotency_key)
    return same_request(rows[0], request_hash) if rows else None


def get_job(tx: Transaction, tenant_id: str, job_id: str) -> Operation[JobRecord]:
    rows = yield FIND_JOB(row_id=job_id, tenant_id=tenant_id)
    if not rows:
        raise NotFound(f"there is no job {job_id!r}")
    made = attempts_made((yield ATTEMPTS_OF(of=job_id)))
    retried = yield FIND_RETRY(retry_of=job_id)
    owed = yield from deliveries_of(tx, job_id)
    delivery = next((each for each in owed if each.endpoint_id is None), None)
    return job_record(rows[0], retried[0][0] if retried else None, made, delivery)


def reported(_: Transaction, row_id: str, epoch: int, report: Report) -> Operation[bool]:
    """Whether an attempt ended with this report. Whoever takes a row from its holder ends the attempt with another."""
    return [tuple(row) for row in (yield ATTEMPT(of=row_id, epoch=epoch))] == [(report.status, report.error)]


def list_jobs(
    _: Transaction, tenant_id: str, state: JobState | None, session_id: str | None, before: str | None, limit: int
) -> Operation[list[JobRecord]]:
    rows = yield LIST_JOBS(tenant_id=tenant_id, state=state, key=session_id, before=before or AFTER_ALL, limit=limit)
    return [job_record(row) for row in rows]


def retry_source(_: Transaction, tenant_id: str, job_id: str) -> Operation[tuple[Job, Accepted | None]]:
    """The job to run anew, and its earlier retry."""
    rows = yield FIND_JOB(row_id=job_id, tenant_id=tenant_id)
    if not rows:
        raise NotFound(f"there is no job {job_id!r}")
    record = job_record(rows[0])
    if record.state not in (JobState.FAILED, JobState.CANCELLED, JobState.EXPIRED):
        raise Conflict(f"only a failed, cancelled or expired job can be retried; this one is {record.state}")
    if isinstance(record.job.request, Message) and not record.job.request.message:
        raise Conflict("this job's message was erased with its conversation; send it again instead")
    retried = yield FIND_RETRY(retry_of=job_id)
    return record.job, Accepted(retried[0][0], retried[0][2], created=False) if retried else None
