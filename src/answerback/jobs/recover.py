"""Recovering jobs whose worker stopped: a lost lease is taken away, and a job that keeps losing its workers is put into
quarantine, then failed."""

from typing import Any

from answerback.database.batching import batched
from answerback.database.dialect import Dialect
from answerback.database.operation import BatchPlan, Operation, Transaction
from answerback.database.predicates import ON_PROBATION
from answerback.database.statement import Row, Statement
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
    f"""
    SELECT {JOB_COLUMNS}, lease_epoch, lease_losses, first_loss_at FROM jobs
    WHERE state = 'running' AND lease_expires_at <= :now
    ORDER BY lease_expires_at LIMIT {BATCH}"""
)
TAKE_BACK = ending_attempt(
    "jobs",
    lost("jobs", JobState.RUNNING),
    {
        "state": ":new_state",
        "attempt": "jobs.attempt - 1",
        "lease_losses": ":losses",
        "first_loss_at": ":since",
    },
    "epoch bigint, now bigint, new_state text, losses integer, since bigint",
)
RECOVER_PLAN = BatchPlan((TRY_LOCK_CONVERSATION, END_LOST, TAKE_BACK, *SETTLING), "recover_jobs")


def _releasing_quarantined(dialect: Dialect) -> str:
    first = f"""
        SELECT id FROM jobs
        WHERE state = 'quarantined' AND tenant_id > :after AND run_at <= :now
            AND NOT EXISTS (SELECT 1 FROM jobs AS other WHERE {ON_PROBATION})
        ORDER BY tenant_id, run_at LIMIT 1
        {dialect.locking("FOR UPDATE SKIP LOCKED")}"""
    return f"UPDATE jobs SET state = 'queued' WHERE {dialect.is_one_of('id', first)} RETURNING tenant_id"


# Of two sweepers that release at once, the unique index `jobs_on_probation` lets one commit.
RELEASE_QUARANTINED = Statement(_releasing_quarantined)


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
