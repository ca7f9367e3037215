"""Reading jobs as their owners may see them."""

from dataclasses import replace
from typing import Any

from answerback.database.operation import Operation, Transaction
from answerback.database.statement import Row, Statement
from answerback.jobs.accept import FIND_RETRY, earlier_job
from answerback.jobs.kind import Job, JobState, Registry
from answerback.jobs.model import JobRecord, NewJob, Repeatable
from answerback.jobs.pages import HEAD_OF_CONVERSATION
from answerback.jobs.rows import RECORD_COLUMNS, record_of
from answerback.kernel.errors import Conflict, NotFound
from answerback.queue.attempts import attempts_of_row
from answerback.webhooks.rows import deliveries_of

FIND_JOB = Statement(f"SELECT {RECORD_COLUMNS}, erase_at FROM jobs WHERE id = :row_id AND tenant_id = :tenant_id")
OWNER = Statement("SELECT tenant_id FROM jobs WHERE id = :row_id")
HELD_AHEAD = Statement(
    """
    SELECT id FROM jobs WHERE conversation_id = :conversation_id AND state = 'held' AND position < :position
    ORDER BY position DESC LIMIT 1"""
)
ATTEMPTS_OF = attempts_of_row("jobs")
CONVERSATION = Statement("SELECT key, erased_through FROM conversations WHERE id = :conversation_id")


def find_job(tenant_id: str, job_id: str) -> Operation[Row]:
    """Raises NotFound."""
    rows = yield FIND_JOB(row_id=job_id, tenant_id=tenant_id)
    if not rows:
        raise _no_such_job(job_id)
    return rows[0]


def get_job(tx: Transaction, kinds: Registry, tenant_id: str, job_id: str) -> Operation[JobRecord]:
    """Raises NotFound."""
    record = record_of((yield from find_job(tenant_id, job_id)), kinds, tx)
    retried = yield FIND_RETRY(retry_of=job_id)
    owed = yield from deliveries_of(tx, job_id)
    behind = (yield from _behind(record.job)) if record.state is JobState.HELD else None
    retried_as = retried[0].id if retried else None
    return replace(record, behind=behind, retried_as=retried_as, deliveries=tuple(owed))


def owner(_: Transaction, job_id: str) -> Operation[str]:
    """Raises NotFound."""
    rows = yield OWNER(row_id=job_id)
    if not rows:
        raise _no_such_job(job_id)
    return str(rows[0].tenant_id)


def _behind(job: Job[Any]) -> Operation[str | None]:
    """The id of the job whose end the held one waits for."""
    place = {"conversation_id": job.conversation_id, "position": job.position}
    ahead = (yield HELD_AHEAD(**place)) or (yield HEAD_OF_CONVERSATION(conversation_id=job.conversation_id))
    return ahead[0].id if ahead else None


def retry_source(
    tx: Transaction, kinds: Registry, tenant_id: str, job_id: str, deadline_seconds: float
) -> Operation[Repeatable]:
    """Raises NotFound, Conflict."""
    row = yield from find_job(tenant_id, job_id)
    record = record_of(row, kinds, tx)
    kind, job = record.kind, record.job
    if record.state not in (JobState.FAILED, JobState.CANCELLED, JobState.EXPIRED):
        raise Conflict(f"only a failed, cancelled or expired job can be retried; this one is {record.state}")
    if kind is None or job.args is None:
        raise Conflict("this job was written by another version of the service, which must retry it")
    key = None
    if job.conversation_id is not None and job.position is not None:
        (conversation,) = yield CONVERSATION(conversation_id=job.conversation_id)
        key = conversation.key
        # A job that ended after the erasure still has its arguments.
        if job.position <= conversation.erased_through and kind.redact(job.args) == job.args:
            raise Conflict(f"this job's {kind.name} was erased with its conversation; send it again instead")
    retried = yield FIND_RETRY(retry_of=job_id)
    if retried:
        return Repeatable(kind, earlier_job(retried[0]))
    again = NewJob(
        tenant_id=tenant_id,
        kind=kind.name,
        queue=kind.queue,
        args=row.args,
        parsed=job.args,
        callback_url=job.callback_url,
        conversation_key=key,
        deadline_seconds=deadline_seconds,
        retry_of=job_id,
        transient=row.erase_at is not None,
    )
    return Repeatable(kind, again)


def _no_such_job(job_id: str) -> NotFound:
    return NotFound(f"there is no job {job_id!r}")
