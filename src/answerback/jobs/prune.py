"""Deleting what ended long ago: jobs whose deliveries are settled, with what they emitted and what sessions remember of
them, and conversations left without jobs. Those of `/v1/conversations` keep their items until they go themselves."""

from typing import Any

from sqlalchemy import ColumnElement, Select, bindparam, delete, exists, literal_column, select

from answerback.database.batching import batched
from answerback.database.operation import BatchPlan, Operation, Row, Statement, Transaction
from answerback.database.sql import at_most, is_one_of
from answerback.database.tables import conversation_items, conversations, deliveries, jobs
from answerback.jobs.events import DELETE as DELETE_EVENTS
from answerback.jobs.model import Swept
from answerback.queue.fifo import TRY_LOCK_CONVERSATION, try_lock
from answerback.webhooks.prune import PRUNE as PRUNE_DELIVERIES
from answerback.webhooks.prune import unsettled

BATCH = 200

OLD_JOBS = Statement(
    select(jobs.c.id, jobs.c.conversation_id, jobs.c.position)
    .where(jobs.c.finished_at.is_not(None), jobs.c.finished_at < bindparam("before"), ~unsettled(jobs.c.id))
    .order_by(jobs.c.finished_at)
    .limit(at_most(BATCH))
)
PRUNE_ITEMS = Statement(
    delete(conversation_items).where(
        conversation_items.c.conversation_id == bindparam("conversation_id"),
        conversation_items.c.position == bindparam("position"),
        ~exists(
            select(literal_column("1")).where(
                conversations.c.id == bindparam("conversation_id"), conversations.c.metadata.is_not(None)
            )
        ),
    )
)
_owing = exists(select(literal_column("1")).select_from(deliveries).where(deliveries.c.job_id == jobs.c.id))
PRUNE_JOB = Statement(
    delete(jobs).where(jobs.c.id == bindparam("job_id"), ~_owing).returning(jobs.c.id), by=("job_id",)
)
PRUNE_PLAN = BatchPlan((TRY_LOCK_CONVERSATION, PRUNE_DELIVERIES, PRUNE_ITEMS, PRUNE_JOB, DELETE_EVENTS), "prune")


def _idle(*where: ColumnElement[bool]) -> Select[Any]:
    return (
        select(conversations.c.id)
        .where(
            conversations.c.updated_at < bindparam("before"),
            conversations.c.pending == 0,
            # `pending` is 0, so all its jobs have ended; only ended jobs have an index by conversation.
            ~exists(
                select(literal_column("1")).where(
                    jobs.c.conversation_id == conversations.c.id, jobs.c.finished_at.is_not(None)
                )
            ),
            *where,
        )
        .order_by(conversations.c.updated_at)
        .limit(at_most(BATCH))
        .with_for_update(skip_locked=True)
    )


_holds_items = exists(
    select(literal_column("1")).where(conversation_items.c.conversation_id == conversations.c.id)
).correlate(conversations)
PRUNE_KEPT_ITEMS = Statement(
    delete(conversation_items).where(is_one_of(conversation_items.c.conversation_id, _idle(_holds_items)))
)
PRUNE_CONVERSATIONS = Statement(delete(conversations).where(is_one_of(conversations.c.id, _idle(~_holds_items))))


def prune(tx: Transaction, retention_ms: int) -> Operation[Swept]:
    """Deletes a batch of jobs that ended more than `retention_ms` ago, and of idle conversations."""
    before = tx.shown_before(retention_ms)
    rows = yield OLD_JOBS(before=before)
    pruned = yield from batched((_prune(row) for row in rows), PRUNE_PLAN)
    yield PRUNE_KEPT_ITEMS(before=before)
    yield PRUNE_CONVERSATIONS(before=before)
    return Swept(jobs_pruned=pruned.count(True))


def _prune(row: Row) -> Operation[bool]:
    if not (yield from try_lock(row.conversation_id)):
        return False
    yield PRUNE_DELIVERIES(of=row.id)
    if row.conversation_id is not None:
        yield PRUNE_ITEMS(conversation_id=row.conversation_id, position=row.position)
    if not (yield PRUNE_JOB(job_id=row.id)):
        return False
    yield DELETE_EVENTS(row_id=row.id)
    return True
