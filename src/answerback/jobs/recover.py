"""Recovering jobs whose worker stopped: a lost lease is taken away, and a job that keeps losing its workers is put into
quarantine, then failed."""

from typing import Any

from sqlalchemy import ColumnElement, bindparam, exists, literal_column, select, update

from answerback.database.batching import batched
from answerback.database.operation import BatchPlan, Operation, Row, Statement, Transaction
from answerback.database.sql import aliased, at_most, in_state, is_one_of
from answerback.database.tables import ON_PROBATION, jobs
from answerback.jobs.finish import END_LOST, SETTLING, End, end_lost
from answerback.jobs.kind import JobState, Registry
from answerback.jobs.model import Finished, Swept
from answerback.jobs.rows import JOB_COLUMNS, job_of
from answerback.kernel.errors import ErrorCode, Failure
from answerback.queue.attempts import LOST, ending_attempt, entry
from answerback.queue.fifo import TRY_LOCK_CONVERSATION
from answerback.queue.leases import lost

BATCH = 200
QUARANTINE_LOSSES = 2
POISON_LOSSES = 3
POISON_WINDOW_MS = 72 * 3_600_000
POISONED = End(
    JobState.FAILED,
    failure=Failure(
        ErrorCode.POISONED, "the workers that held this message stopped three times; it is not tried again"
    ),
)

LOST_JOBS = Statement(
    select(*JOB_COLUMNS, jobs.c.lease_epoch, jobs.c.lease_losses, jobs.c.first_loss_at)
    .where(in_state(jobs, JobState.RUNNING), jobs.c.lease_expires_at <= bindparam("now"))
    .order_by(jobs.c.lease_expires_at)
    .limit(at_most(BATCH))
)
TAKE_BACK = ending_attempt(
    jobs,
    lost(jobs, JobState.RUNNING),
    state=bindparam("new_state"),
    attempt=jobs.c.attempt - 1,
    lease_losses=bindparam("losses"),
    first_loss_at=bindparam("since"),
)
RECOVER_PLAN = BatchPlan((TRY_LOCK_CONVERSATION, END_LOST, TAKE_BACK, *SETTLING), "recover_jobs")

_other = aliased(jobs, "other")
_on_probation: ColumnElement[bool] = exists(
    select(literal_column("1")).select_from(_other).where(literal_column(f"other.{ON_PROBATION}"))
)
_due_first = (
    select(jobs.c.id)
    .where(
        in_state(jobs, JobState.QUARANTINED),
        jobs.c.tenant_id > bindparam("after"),
        jobs.c.run_at <= bindparam("now"),
        ~_on_probation,
    )
    .order_by(jobs.c.tenant_id, jobs.c.run_at)
    .limit(at_most(1))
    .with_for_update(skip_locked=True)
)
# Of two sweepers that release at once, the unique index `jobs_on_probation` lets one commit.
RELEASE_QUARANTINED = Statement(
    update(jobs).where(is_one_of(jobs.c.id, _due_first)).values(state=JobState.QUEUED).returning(jobs.c.tenant_id)
)


def recover(tx: Transaction, kinds: Registry) -> Operation[Swept]:
    """Takes back a batch of expired leases."""
    rows = yield LOST_JOBS(now=tx.now)
    moved = yield from batched((_recover(tx, kinds, row) for row in rows), RECOVER_PLAN)
    poisoned = [(row.id, each) for row, each in zip(rows, moved, strict=True) if isinstance(each, Finished)]
    swept = Swept(
        jobs_requeued=moved.count(JobState.QUEUED),
        jobs_quarantined=moved.count(JobState.QUARANTINED),
        jobs_poisoned=len(poisoned),
    )
    swept.ended = poisoned
    return swept


def _recover(tx: Transaction, kinds: Registry, row: Row) -> Operation[JobState | Finished | None]:
    """The job's state now, or its end; None where its lease was not lost after all."""
    losses, since = row.lease_losses, row.first_loss_at
    if since is None or tx.now - since > POISON_WINDOW_MS:
        losses, since = 0, tx.now
    losses += 1
    if losses >= POISON_LOSSES:
        _, job = job_of(row, kinds)
        return (yield from end_lost(tx, kinds, job, row.lease_epoch, POISONED, LOST))
    state = JobState.QUARANTINED if losses >= QUARANTINE_LOSSES else JobState.QUEUED
    values: dict[str, Any] = {"new_state": state, "losses": losses, "since": since}
    taken = yield TAKE_BACK(
        row_id=row.id, epoch=row.lease_epoch, now=tx.now, attempt_entry=entry(LOST, tx.wall), **values
    )
    return state if taken else None


def release_quarantined(tx: Transaction, after: str) -> Operation[str | None]:
    """Lets one job that has lost two leases run, while no other such job does: a third loss then names the culprit, not
    a job that merely ran beside it. Tenants take turns: returns whose it is, the next tenant's behind the one `after`;
    None where no job was released."""
    for behind in dict.fromkeys((after, "")):
        if released := (yield RELEASE_QUARANTINED(after=behind, now=tx.now)):
            return str(released[0].tenant_id)
    return None
