"""Maintenance: what nobody else will move. Every step takes a bounded batch and is safe to run many times over.

Several processes may sweep at once: what a step found is written only where it is still so, and a line that somebody
holds is left for the next time.
"""

from collections.abc import Callable

from sqlalchemy import Boolean, any_, bindparam, delete, exists, func, literal_column, select, update

from answerback.ask.store import prune_questions
from answerback.database.batching import batched
from answerback.database.operation import BatchPlan, Operation, Row, Statement, Transaction
from answerback.database.tables import attempts, conversations, deliveries, jobs, turns
from answerback.http.idempotency_store import prune as prune_responses
from answerback.jobs.awaiting import fail_unanswered
from answerback.jobs.finish import END_LOST, OVERDUE_PLAN, SETTLING, end_lost, end_overdue
from answerback.jobs.model import Ending, JobState
from answerback.jobs.outcome import POISON_WINDOW_MS, poisoned
from answerback.jobs.ports import Render, Swept
from answerback.jobs.records import JOB_COLUMNS, at_most, by_position, job_to_end
from answerback.kernel.errors import ErrorCode, Failure
from answerback.queue.fifo import (
    ORPHANED_DELIVERIES,
    ORPHANED_JOBS,
    RELEASE_NEXT_DELIVERY,
    RELEASE_NEXT_JOB,
    TRY_LOCK_CONVERSATION,
)
from answerback.queue.leases import END_ATTEMPT, end_attempt, in_state, lost
from answerback.webhooks.model import DeliveryState, Report

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
LOST_DELIVERIES = Statement(
    select(deliveries.c.id, deliveries.c.lease_epoch, deliveries.c.deadline_at, deliveries.c.conversation_id)
    .where(in_state(deliveries, DeliveryState.SENDING), deliveries.c.lease_expires_at <= bindparam("now"))
    .order_by(deliveries.c.lease_expires_at)
    .limit(at_most(BATCH))
)
# The attempt stays counted, and the deadline ends it: a receiver whose response kills the worker must not be called
# for ever.
TAKE_BACK_DELIVERY = Statement(
    update(deliveries)
    .where(lost(deliveries, DeliveryState.SENDING))
    .values(state=bindparam("new_state"), run_at=bindparam("now"), lease_owner=None, lease_expires_at=None)
    .returning(deliveries.c.id),
    by=("row_id",),
)
RECOVER_JOBS = BatchPlan((TRY_LOCK_CONVERSATION, END_LOST, TAKE_BACK_JOB, *SETTLING), "recover_jobs")
RECOVER_DELIVERIES = BatchPlan(
    (TRY_LOCK_CONVERSATION, TAKE_BACK_DELIVERY, END_ATTEMPT, RELEASE_NEXT_DELIVERY), "recover_deliveries"
)
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

_settled = literal_column("(deliveries.state IS NULL OR deliveries.state IN ('delivered', 'dead'))", Boolean)
OLD_JOBS = Statement(
    select(jobs.c.id, jobs.c.conversation_id, jobs.c.seq, deliveries.c.id)
    .join_from(jobs, deliveries, deliveries.c.job_id == jobs.c.id, isouter=True)
    .where(jobs.c.finished_at.is_not(None), jobs.c.finished_at < bindparam("before"), _settled)
    .order_by(jobs.c.finished_at)
    .limit(at_most(BATCH))
)
PRUNE_ATTEMPTS = Statement(delete(attempts).where(attempts.c.of == bindparam("row_id")))
# Not one that was replayed in the meantime.
PRUNE_DELIVERY = Statement(
    delete(deliveries).where(deliveries.c.id == bindparam("row_id"), _settled).returning(deliveries.c.id),
    by=("row_id",),
)
PRUNE_TURN = Statement(
    delete(turns).where(turns.c.conversation_id == bindparam("conversation_id"), turns.c.seq == bindparam("seq"))
)
PRUNE_JOB = Statement(delete(jobs).where(jobs.c.id == bindparam("row_id")).returning(jobs.c.id), by=("row_id",))
PRUNE_PLAN = BatchPlan((TRY_LOCK_CONVERSATION, PRUNE_DELIVERY, PRUNE_ATTEMPTS, PRUNE_TURN, PRUNE_JOB), "prune")
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
    lost_callbacks = yield LOST_DELIVERIES(now=tx.now)
    sent_again = yield from batched((_recover_delivery(tx, *row) for row in lost_callbacks), RECOVER_DELIVERIES)
    return Swept(
        jobs_requeued=moved.count(JobState.QUEUED),
        jobs_poisoned=moved.count(JobState.FAILED),
        deliveries_requeued=sent_again.count(True),
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


def _recover_delivery(
    tx: Transaction, row_id: str, epoch: int, deadline_at: int, conversation_id: int | None
) -> Operation[bool]:
    state = DeliveryState.PENDING if tx.now < deadline_at else DeliveryState.DEAD
    settles = state is DeliveryState.DEAD and conversation_id is not None
    if settles and not (yield TRY_LOCK_CONVERSATION(conversation_id=conversation_id)):
        return False
    if not (yield TAKE_BACK_DELIVERY(row_id=row_id, epoch=epoch, now=tx.now, new_state=state)):
        return False
    yield from end_attempt(tx, row_id, epoch, LOST)
    if settles:
        yield RELEASE_NEXT_DELIVERY(conversation_id=conversation_id, now=tx.now)
    return True


def expire_jobs(tx: Transaction, render: Render) -> Operation[Swept]:
    unanswered = yield from fail_unanswered(tx, render)
    rows = yield OVERDUE_JOBS(now=tx.now)
    expired = Ending(JobState.EXPIRED, failure=EXPIRED)
    overdue = by_position(map(job_to_end, rows))
    ended = yield from batched((end_overdue(tx, job, expired, render) for job in overdue), OVERDUE_PLAN)
    return Swept(jobs_expired=ended.count(True), jobs_unanswered=unanswered)


def release_orphans(tx: Transaction) -> Operation[Swept]:
    """Moves lines on whose head vanished without releasing the next; none should ever be found."""
    jobs_released = yield from _release_orphans(tx, ORPHANED_JOBS, RELEASE_NEXT_JOB)
    deliveries_released = yield from _release_orphans(tx, ORPHANED_DELIVERIES, RELEASE_NEXT_DELIVERY)
    return Swept(jobs_released=jobs_released, deliveries_released=deliveries_released)


def _release_orphans(tx: Transaction, orphaned: Statement, release_next: Statement) -> Operation[int]:
    released = 0
    for (conversation_id,) in (yield orphaned()):
        if (yield TRY_LOCK_CONVERSATION(conversation_id=conversation_id)):
            released += len((yield release_next(conversation_id=conversation_id, now=tx.now)))
    return released


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


def _prune_job(job_id: str, conversation_id: int | None, seq: int | None, delivery_id: str | None) -> Operation[bool]:
    if conversation_id is not None and not (yield TRY_LOCK_CONVERSATION(conversation_id=conversation_id)):
        return False
    if delivery_id is not None:
        if not (yield PRUNE_DELIVERY(row_id=delivery_id)):
            return False
        yield PRUNE_ATTEMPTS(row_id=delivery_id)
    yield PRUNE_ATTEMPTS(row_id=job_id)
    if conversation_id is not None:
        yield PRUNE_TURN(conversation_id=conversation_id, seq=seq)
    return bool((yield PRUNE_JOB(row_id=job_id)))


def count_open(tx: Transaction, reset: Callable[[int], None]) -> Operation[int]:
    """Counts, and tells `reset` the size before this transaction's own changes."""
    size = int((yield OPEN_JOBS())[0][0])
    reset(size - tx.opened)
    return size
