"""Maintenance: what nobody else will move. Every step takes a bounded batch and is safe to run many times over."""

from collections.abc import Callable

from sqlalchemy import Boolean, bindparam, delete, exists, func, literal_column, select, update

from answerback.domain.delivery import DeliveryState, Report
from answerback.domain.errors import ErrorCode, Failure
from answerback.domain.job import Ending, JobState
from answerback.domain.transitions import POISON_WINDOW_MS, poisoned
from answerback.ports import Render, Swept
from answerback.storage.asking import prune_questions
from answerback.storage.awaiting import fail_unanswered
from answerback.storage.ending import end_open
from answerback.storage.leasing import end_attempt, in_state
from answerback.storage.lines import (
    ORPHANED_DELIVERIES,
    ORPHANED_JOBS,
    RELEASE_NEXT_DELIVERY,
    RELEASE_NEXT_JOB,
)
from answerback.storage.operation import Operation, Statement, Transaction
from answerback.storage.records import JOB_COLUMNS, job
from answerback.storage.replaying import prune as prune_replays
from answerback.storage.tables import OPEN_STATES, attempts, conversations, deliveries, jobs, turns

BATCH = 200

POISONED = Failure(ErrorCode.POISONED, "the workers that held this message stopped three times; it is not tried again")
EXPIRED = Failure(ErrorCode.EXPIRED, "no answer came before the deadline")
LOST = Report("lost", error="the worker that held this attempt stopped")

LOST_JOBS = Statement(
    select(*JOB_COLUMNS, jobs.c.lease_epoch, jobs.c.lease_losses, jobs.c.first_loss_at)
    .where(in_state(jobs, JobState.RUNNING), jobs.c.lease_expires_at <= bindparam("now"))
    .order_by(jobs.c.lease_expires_at)
    .limit(BATCH)
)
TAKE_BACK_JOB = Statement(
    update(jobs)
    .where(jobs.c.id == bindparam("row_id"), in_state(jobs, JobState.RUNNING))
    .values(
        state=JobState.QUEUED,
        run_at=bindparam("now"),
        attempt=jobs.c.attempt - 1,
        lease_losses=bindparam("losses"),
        first_loss_at=bindparam("since"),
        lease_owner=None,
        lease_expires_at=None,
    )
    .returning(jobs.c.id)
)
LOST_DELIVERIES = Statement(
    select(deliveries.c.id, deliveries.c.lease_epoch, deliveries.c.deadline_at, deliveries.c.conversation_id)
    .where(in_state(deliveries, DeliveryState.SENDING), deliveries.c.lease_expires_at <= bindparam("now"))
    .order_by(deliveries.c.lease_expires_at)
    .limit(BATCH)
)
# The attempt stays counted, and the deadline ends it: a receiver whose response kills the worker must not be called
# for ever.
TAKE_BACK_DELIVERY = Statement(
    update(deliveries)
    .where(deliveries.c.id == bindparam("row_id"), in_state(deliveries, DeliveryState.SENDING))
    .values(state=bindparam("new_state"), run_at=bindparam("now"), lease_owner=None, lease_expires_at=None)
    .returning(deliveries.c.id)
)
OVERDUE_JOBS = Statement(
    select(*JOB_COLUMNS)
    .where(literal_column(OPEN_STATES), jobs.c.deadline_at <= bindparam("now"))
    .order_by(jobs.c.deadline_at)
    .limit(BATCH)
)
OPEN_JOBS = Statement(select(func.count()).select_from(jobs).where(literal_column(OPEN_STATES)))

_settled = literal_column("(deliveries.state IS NULL OR deliveries.state IN ('delivered', 'dead'))", Boolean)
OLD_JOBS = Statement(
    select(jobs.c.id, jobs.c.conversation_id, jobs.c.seq, deliveries.c.id)
    .join_from(jobs, deliveries, deliveries.c.job_id == jobs.c.id, isouter=True)
    .where(jobs.c.finished_at.is_not(None), jobs.c.finished_at < bindparam("before"), _settled)
    .order_by(jobs.c.finished_at)
    .limit(BATCH)
)
PRUNE_ATTEMPTS = Statement(delete(attempts).where(attempts.c.of == bindparam("row_id")))
PRUNE_DELIVERY = Statement(delete(deliveries).where(deliveries.c.id == bindparam("row_id")))
PRUNE_TURN = Statement(
    delete(turns).where(turns.c.conversation_id == bindparam("conversation_id"), turns.c.seq == bindparam("seq"))
)
PRUNE_JOB = Statement(delete(jobs).where(jobs.c.id == bindparam("row_id")))
OLD_CONVERSATIONS = Statement(
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
    .limit(BATCH)
)
PRUNE_CONVERSATION = Statement(delete(conversations).where(conversations.c.id == bindparam("row_id")))


def recover_leases(tx: Transaction, render: Render) -> Operation[Swept]:
    """Takes expired leases away; a job that keeps costing its workers their lease is poisoned."""
    requeued = poison = 0
    for row in (yield LOST_JOBS(now=tx.now)):
        epoch, losses, since = row[-3:]
        if since is None or tx.now - since > POISON_WINDOW_MS:
            losses, since = 0, tx.now
        yield from end_attempt(tx, row[0], epoch, LOST)
        if poisoned(losses + 1):
            yield from end_open(tx, job(row), Ending(JobState.FAILED, failure=POISONED), render)
            poison += 1
        else:
            yield TAKE_BACK_JOB(row_id=row[0], now=tx.now, losses=losses + 1, since=since)
            requeued += 1
    callbacks = yield LOST_DELIVERIES(now=tx.now)
    for row_id, epoch, deadline_at, conversation_id in callbacks:
        yield from end_attempt(tx, row_id, epoch, LOST)
        state = DeliveryState.PENDING if tx.now < deadline_at else DeliveryState.DEAD
        yield TAKE_BACK_DELIVERY(row_id=row_id, now=tx.now, new_state=state)
        if state is DeliveryState.DEAD and conversation_id is not None:
            yield RELEASE_NEXT_DELIVERY(conversation_id=conversation_id, now=tx.now)
    return Swept(jobs_requeued=requeued, jobs_poisoned=poison, deliveries_requeued=len(callbacks))


def expire_jobs(tx: Transaction, render: Render) -> Operation[Swept]:
    unanswered = yield from fail_unanswered(tx, render)
    rows = yield OVERDUE_JOBS(now=tx.now)
    for row in rows:
        yield from end_open(tx, job(row), Ending(JobState.EXPIRED, failure=EXPIRED), render)
    return Swept(jobs_expired=len(rows), jobs_unanswered=unanswered)


def release_orphans(tx: Transaction) -> Operation[Swept]:
    """Moves lines on whose head vanished without releasing the next; none should ever be found."""
    lines = yield ORPHANED_JOBS()
    for (conversation_id,) in lines:
        yield RELEASE_NEXT_JOB(conversation_id=conversation_id, now=tx.now)
    callbacks = yield ORPHANED_DELIVERIES()
    for (conversation_id,) in callbacks:
        yield RELEASE_NEXT_DELIVERY(conversation_id=conversation_id, now=tx.now)
    return Swept(jobs_released=len(lines), deliveries_released=len(callbacks))


def prune(tx: Transaction, retention_days: float) -> Operation[Swept]:
    """Deletes what is old: ended jobs whose callback is settled, with their turns, conversations left without,
    answered questions, and responses that were kept for calls with a key."""
    retention_ms = int(retention_days * 86_400_000)
    before = tx.now - retention_ms
    old = yield OLD_JOBS(before=before)
    for job_id, conversation_id, seq, delivery_id in old:
        yield PRUNE_ATTEMPTS(row_id=job_id)
        if conversation_id is not None:
            yield PRUNE_TURN(conversation_id=conversation_id, seq=seq)
        if delivery_id is not None:
            yield PRUNE_ATTEMPTS(row_id=delivery_id)
            yield PRUNE_DELIVERY(row_id=delivery_id)
        yield PRUNE_JOB(row_id=job_id)
    for (conversation_id,) in (yield OLD_CONVERSATIONS(before=before)):
        yield PRUNE_CONVERSATION(row_id=conversation_id)
    questions = yield from prune_questions(before)
    replays = yield from prune_replays(tx, retention_ms)
    return Swept(jobs_pruned=len(old), questions_pruned=questions, replays_pruned=replays)


def count_open(tx: Transaction, reset: Callable[[int], None]) -> Operation[int]:
    """Counts, and tells `reset` the size before this transaction's own changes."""
    size = int((yield OPEN_JOBS())[0][0])
    reset(size - tx.opened)
    return size
