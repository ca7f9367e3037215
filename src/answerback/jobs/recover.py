"""Maintenance: what nobody else will move. Every step takes a bounded batch and is safe to run many times over.

Several processes may sweep at once: what a step found is written only where it is still so, and a line that somebody
holds is left for the next time.
"""

from collections.abc import Callable

from sqlalchemy import any_, bindparam, delete, exists, func, literal_column, select, update

from answerback.ask.store import prune_questions
from answerback.database.batching import batched
from answerback.database.operation import BatchPlan, Operation, Row, Statement, Transaction
from answerback.database.tables import attempts, conversations, jobs, turns
from answerback.http.idempotency_store import prune as prune_responses
from answerback.jobs.awaiting import fail_unanswered
from answerback.jobs.finish import END_LOST, OVERDUE_PLAN, SETTLING, end_lost, end_overdue
from answerback.jobs.model import Ending, JobState
from answerback.jobs.outcome import POISON_WINDOW_MS, poisoned
from answerback.jobs.ports import Render, Swept
from answerback.jobs.records import JOB_COLUMNS, at_most, by_position, job_to_end
from answerback.kernel.errors import ErrorCode, Failure
from answerback.queue.attempts import Report
from answerback.queue.fifo import ORPHANED_JOBS, RELEASE_NEXT_JOB, TRY_LOCK_CONVERSATION
from answerback.queue.leases import end_attempt, in_state, lost
from answerback.webhooks.recover import PRUNE as PRUNE_DELIVERIES
from answerback.webhooks.recover import recover_leases as recover_deliveries
from answerback.webhooks.recover import release_orphans as release_orphaned_deliveries
from answerback.webhooks.recover import unsettled

BATCH = 200

POISONED = Failure(ErrorCode.POISONED, "the workers that held this message stopped three times; it is not tried again")
EXPIRED = Failure(ErrorCode.EXPIRED, "no answer came before the deadline")
LOST = Report("lost", error="the worker that held this attempt stopped")

LOST_JOBS = Statement(
    select(*JOB_COLUMNS, jobs.c.lease_epoch, jobs.c.lease_losses, jobs.c.first_loss_at)
    .where(in_state(jobs, JobState.RUNNING), jobs.c.lease_expires_at <= bindparam("now"))
    .order_by(jobs.c.lease_expires_at)
    .limit(at_most(BATCH))
)
TAKE_BACK_JOB = Statement(
    update(jobs)
    .where(lost(jobs, JobState.RUNNING))
    .values(
        state=JobState.QUEUED,
        run_at=bindparam("now"),
        attempt=jobs.c.attempt - 1,
        lease_losses=bindparam("losses"),
        first_loss_at=bindparam("since"),
        lease_owner=None,
        lease_expires_at=None,
    )
    .returning(jobs.c.id),
    by=("row_id",),
)
RECOVER_JOBS = BatchPlan((TRY_LOCK_CONVERSATION, END_LOST, TAKE_BACK_JOB, *SETTLING))
_overdue = (
    select(*JOB_COLUMNS)
    .where(jobs.c.finished_at.is_(None), jobs.c.deadline_at <= bindparam("now"))
    .order_by(jobs.c.deadline_at)
    .limit(at_most(BATCH))
)
# Of messages that came at once, a batch that has no room for all takes the earlier ones. SQLite keeps those of one time
# in the order in which they came.
OVERDUE_JOBS = Statement(_overdue, postgresql=_overdue.order_by(jobs.c.seq))
OPEN_JOBS = Statement(select(func.count()).select_from(jobs).where(jobs.c.finished_at.is_(None)))

OLD_JOBS = Statement(
    select(jobs.c.id, jobs.c.conversation_id, jobs.c.seq)
    .where(jobs.c.finished_at.is_not(None), jobs.c.finished_at < bindparam("before"), ~unsettled(jobs.c.id))
    .order_by(jobs.c.finished_at)
    .limit(at_most(BATCH))
)
PRUNE_ATTEMPTS = Statement(delete(attempts).where(attempts.c.of == bindparam("row_id")))
PRUNE_TURN = Statement(
    delete(turns).where(turns.c.conversation_id == bindparam("conversation_id"), turns.c.seq == bindparam("seq"))
)
# Not one of which a delivery was resent in the meantime.
PRUNE_JOB = Statement(
    delete(jobs).where(jobs.c.id == bindparam("row_id"), ~unsettled(jobs.c.id)).returning(jobs.c.id), by=("row_id",)
)
PRUNE_PLAN = BatchPlan((TRY_LOCK_CONVERSATION, PRUNE_DELIVERIES, PRUNE_JOB, PRUNE_ATTEMPTS, PRUNE_TURN))
_idle_conversations = (
    select(conversations.c.id)
    .where(
        conversations.c.updated_at < bindparam("before"),
        conversations.c.pending == 0,
        # None is open, so the ended ones are all; only they have an index by conversation.
        ~exists(
            select(literal_column("1")).where(
                jobs.c.conversation_id == conversations.c.id, jobs.c.finished_at.is_not(None)
            )
        ),
    )
    .order_by(conversations.c.updated_at)
    .limit(at_most(BATCH))
    .with_for_update(skip_locked=True)
)
PRUNE_CONVERSATIONS = Statement(
    delete(conversations).where(conversations.c.id.in_(_idle_conversations)),
    postgresql=delete(conversations).where(
        conversations.c.id == any_(func.array(_idle_conversations.scalar_subquery()))
    ),
)


def recover_leases(tx: Transaction, render: Render) -> Operation[Swept]:
    """Takes expired leases away; a job that keeps costing its workers their lease is poisoned."""
    lost_jobs = yield LOST_JOBS(now=tx.now)
    moved = yield from batched((_recover_job(tx, row, render) for row in lost_jobs), RECOVER_JOBS)
    deliveries_requeued = yield from recover_deliveries(tx)
    return Swept(
        jobs_requeued=moved.count(JobState.QUEUED),
        jobs_poisoned=moved.count(JobState.FAILED),
        deliveries_requeued=deliveries_requeued,
    )


def _recover_job(tx: Transaction, row: Row, render: Render) -> Operation[JobState | None]:
    """The job's state now, None where its lease was not lost after all."""
    epoch, losses, since = row[-3:]
    if since is None or tx.now - since > POISON_WINDOW_MS:
        losses, since = 0, tx.now
    if poisoned(losses + 1):
        ending = Ending(JobState.FAILED, failure=POISONED)
        ended = yield from end_lost(tx, job_to_end(row), epoch, ending, LOST, render)
        return JobState.FAILED if ended else None
    if not (yield TAKE_BACK_JOB(row_id=row[0], epoch=epoch, now=tx.now, losses=losses + 1, since=since)):
        return None
    yield from end_attempt(tx, row[0], epoch, LOST)
    return JobState.QUEUED


def expire_jobs(tx: Transaction, render: Render) -> Operation[Swept]:
    unanswered = yield from fail_unanswered(tx, render)
    rows = yield OVERDUE_JOBS(now=tx.now)
    expired = Ending(JobState.EXPIRED, failure=EXPIRED)
    overdue = by_position(map(job_to_end, rows))
    ended = yield from batched((end_overdue(tx, job, expired, render) for job in overdue), OVERDUE_PLAN)
    return Swept(jobs_expired=ended.count(True), jobs_unanswered=unanswered)


def release_orphans(tx: Transaction) -> Operation[Swept]:
    """Moves lines on whose head vanished without releasing the next; none should ever be found."""
    released = 0
    for (conversation_id,) in (yield ORPHANED_JOBS()):
        if (yield TRY_LOCK_CONVERSATION(conversation_id=conversation_id)):
            released += len((yield RELEASE_NEXT_JOB(conversation_id=conversation_id, now=tx.now)))
    return Swept(jobs_released=released, deliveries_released=(yield from release_orphaned_deliveries(tx)))


def prune(tx: Transaction, retention_days: float) -> Operation[Swept]:
    """Deletes what is old: ended jobs whose callback is settled, with their turns, conversations left without,
    answered questions, and responses that were kept for calls with a key."""
    retention_ms = int(retention_days * 86_400_000)
    before = tx.now - retention_ms
    old = yield OLD_JOBS(before=before)
    pruned = yield from batched((_prune_job(*row) for row in old), PRUNE_PLAN)
    yield PRUNE_CONVERSATIONS(before=before)
    questions = yield from prune_questions(before)
    responses = yield from prune_responses(tx, retention_ms)
    return Swept(jobs_pruned=pruned.count(True), questions_pruned=questions, responses_pruned=responses)


def _prune_job(job_id: str, conversation_id: int | None, seq: int | None) -> Operation[bool]:
    if conversation_id is not None and not (yield TRY_LOCK_CONVERSATION(conversation_id=conversation_id)):
        return False
    yield PRUNE_DELIVERIES(of=job_id)
    if not (yield PRUNE_JOB(row_id=job_id)):
        return False
    yield PRUNE_ATTEMPTS(row_id=job_id)
    if conversation_id is not None:
        yield PRUNE_TURN(conversation_id=conversation_id, seq=seq)
    return True


def count_open(tx: Transaction, reset: Callable[[int], None]) -> Operation[int]:
    """Counts, and tells `reset` the size before this transaction's own changes."""
    size = int((yield OPEN_JOBS())[0][0])
    reset(size - tx.opened)
    return size
