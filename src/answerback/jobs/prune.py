"""Deleting what ended long ago: jobs whose deliveries are settled, with what they emitted and what sessions remember of
them, and conversations left without jobs. Those of `/v1/conversations` keep their items until they go themselves."""

from answerback.database.batching import batched
from answerback.database.dialect import Dialect
from answerback.database.operation import BatchPlan, Operation, Transaction
from answerback.database.sql import PROBED
from answerback.database.statement import Row, Statement
from answerback.jobs.events import DELETE as DELETE_EVENTS
from answerback.jobs.model import Swept
from answerback.queue.fifo import TRY_LOCK_CONVERSATION, try_lock
from answerback.webhooks.prune import PRUNE as PRUNE_DELIVERIES
from answerback.webhooks.prune import unsettled

BATCH = 200

OLD_JOBS = Statement(
    f"""
    SELECT id, conversation_id, position FROM jobs
    WHERE finished_at IS NOT NULL AND finished_at < :before AND NOT {unsettled("jobs.id")}
    ORDER BY finished_at LIMIT {BATCH}"""
)
PRUNE_ITEMS = Statement(
    """
    DELETE FROM conversation_items
    WHERE conversation_id = :conversation_id AND position = :position
        AND NOT EXISTS (SELECT 1 FROM conversations WHERE id = :conversation_id AND metadata IS NOT NULL)"""
)
PRUNE_JOB = Statement(
    """
    DELETE FROM jobs
    WHERE id = :job_id AND NOT EXISTS (SELECT 1 FROM deliveries WHERE deliveries.job_id = jobs.id)
    RETURNING id""",
    by=("job_id",),
)
PRUNE_PLAN = BatchPlan((TRY_LOCK_CONVERSATION, PRUNE_DELIVERIES, PRUNE_ITEMS, PRUNE_JOB, DELETE_EVENTS), "prune")


def _idle(dialect: Dialect, where: str) -> str:
    # `pending` is 0, so all its jobs have ended; only ended jobs have an index by conversation.
    return f"""
    SELECT id FROM conversations
    WHERE updated_at < :before AND pending = 0
        AND NOT EXISTS (
            SELECT 1 FROM jobs WHERE conversation_id = conversations.id AND finished_at IS NOT NULL {PROBED}
        )
        AND {where}
    ORDER BY updated_at LIMIT {BATCH} {dialect.locking("FOR UPDATE SKIP LOCKED")}"""


_HOLDS_ITEMS = f"EXISTS (SELECT 1 FROM conversation_items WHERE conversation_id = conversations.id {PROBED})"
PRUNE_KEPT_ITEMS = Statement(
    lambda dialect: (
        f"""
    DELETE FROM conversation_items WHERE {dialect.is_one_of("conversation_id", _idle(dialect, _HOLDS_ITEMS))}"""
    )
)
PRUNE_CONVERSATIONS = Statement(
    lambda dialect: (
        f"""
    DELETE FROM conversations WHERE {dialect.is_one_of("id", _idle(dialect, f"NOT {_HOLDS_ITEMS}"))}"""
    )
)


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
