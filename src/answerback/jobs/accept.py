"""Accepting a job: its place in its conversation, its row, its idempotency key, in one transaction."""

from typing import Any

from sqlalchemy import ClauseElement, bindparam, case, insert, literal_column, select
from sqlalchemy.dialects import postgresql, sqlite

from answerback.database.operation import BatchPlan, Operation, Row, Statement, Transaction
from answerback.database.tables import conversations, jobs
from answerback.jobs.backlog import Backlog
from answerback.jobs.kind import JobState
from answerback.jobs.model import Accepted, Limits, NewJob
from answerback.jobs.order import rank
from answerback.kernel.errors import ConversationFull, IdempotencyConflict, Overloaded, TenantFull
from answerback.kernel.ids import new_id
from answerback.queue.fair_order import ranking

_accepted = select(jobs.c.id, jobs.c.request_hash, jobs.c.position)
FIND_BY_KEY = Statement(
    _accepted.where(jobs.c.tenant_id == bindparam("tenant_id"), jobs.c.idempotency_key == bindparam("idempotency_key"))
)
FIND_RETRY = Statement(_accepted.where(jobs.c.retry_of == bindparam("retry_of")))


def _join(upsert: Any) -> ClauseElement:
    fresh = upsert(conversations).values(
        tenant_id=bindparam("tenant_id"),
        key=bindparam("key"),
        last_position=1,
        pending=1,
        erased_through=0,
        window_from=0,
        created_at=bindparam("wall"),
        updated_at=bindparam("wall"),
    )
    joined: ClauseElement = fresh.on_conflict_do_update(
        index_elements=[conversations.c.tenant_id, conversations.c.key],
        set_={"last_position": conversations.c.last_position + 1, "pending": conversations.c.pending + 1},
        where=conversations.c.pending < bindparam("max_pending"),
    ).returning(conversations.c.id, conversations.c.last_position, conversations.c.pending)
    return joined


JOIN_CONVERSATION = Statement(_join(sqlite.insert), postgresql=_join(postgresql.insert), by=("tenant_id", "key"))

_GIVEN = (
    *("id", "tenant_id", "kind", "queue", "state", "run_at", "deadline_at", "conversation_id", "position"),
    *("idempotency_key", "request_hash", "retry_of", "callback_url", "args", "created_at", "traceparent"),
)


def _insert(larger: Any) -> ClauseElement:
    """A held job gets its rank when it is released."""
    ranked = rank(bindparam("queue"), bindparam("tenant_id"), larger)
    return insert(jobs).values(
        **{column: bindparam(column) for column in _GIVEN},
        rank=case((bindparam("state") == JobState.QUEUED, ranked), else_=literal_column("0")),
        priority=0,
        attempts="[]",
        attempts_made=0,
        attempt=0,
        lease_epoch=0,
        lease_losses=0,
    )


INSERT_JOB = ranking(_insert, by=("tenant_id", "idempotency_key", "retry_of"))
ACCEPT_PLAN = BatchPlan((FIND_BY_KEY, FIND_RETRY, JOIN_CONVERSATION, INSERT_JOB), "accept")
FIND_PLAN = BatchPlan((FIND_BY_KEY,), "find_accepted")


def accept(tx: Transaction, job: NewJob, limits: Limits, backlog: Backlog) -> Operation[Accepted]:
    """Raises IdempotencyConflict, Overloaded, TenantFull, ConversationFull, each before anything is written."""
    if job.idempotency_key is not None:
        earlier = yield FIND_BY_KEY(tenant_id=job.tenant_id, idempotency_key=job.idempotency_key)
        if earlier:
            return _same_request(earlier[0], job.request_hash)
    if job.retry_of is not None:
        earlier = yield FIND_RETRY(retry_of=job.retry_of)
        if earlier:
            return Accepted(earlier[0].id, earlier[0].position, created=False)
    if backlog.size() + tx.opened.total() >= limits.queued_jobs:
        raise Overloaded("too many messages wait for an answer; send this one again later")
    if backlog.size_of(job.tenant_id) + tx.opened[job.tenant_id] >= limits.queued_jobs_per_tenant:
        raise TenantFull(
            f"{limits.queued_jobs_per_tenant} of your messages wait for an answer; wait before sending the next",
            limits.queued_jobs_per_tenant,
        )
    # Counted before the first write, so that the operations of a batch count each other.
    tx.opened[job.tenant_id] += 1
    conversation_id, position, state = None, None, JobState.QUEUED
    if job.conversation_key is not None:
        place = yield JOIN_CONVERSATION(
            tenant_id=job.tenant_id, key=job.conversation_key, wall=tx.wall, max_pending=limits.conversation_pending
        )
        if not place:
            tx.opened[job.tenant_id] -= 1
            raise ConversationFull(
                f"this conversation has {limits.conversation_pending} unanswered messages; "
                "wait for an answer before sending the next",
                limits.conversation_pending,
            )
        conversation_id, position = place[0].id, place[0].last_position
        state = JobState.QUEUED if place[0].pending == 1 else JobState.HELD
    job_id = new_id("job_", tx.now)
    yield INSERT_JOB(
        id=job_id,
        tenant_id=job.tenant_id,
        kind=job.kind,
        queue=job.queue,
        state=state,
        run_at=tx.now,
        deadline_at=tx.now + int(job.deadline_seconds * 1000),
        conversation_id=conversation_id,
        position=position,
        idempotency_key=job.idempotency_key,
        request_hash=job.request_hash,
        retry_of=job.retry_of,
        callback_url=job.callback_url,
        args=job.args,
        created_at=tx.wall,
        traceparent=job.traceparent,
    )
    return Accepted(job_id, position, created=True)


def find_accepted(
    _: Transaction, tenant_id: str, idempotency_key: str, request_hash: str
) -> Operation[Accepted | None]:
    """The earlier acceptance under this key. Raises IdempotencyConflict when its body differed."""
    rows = yield FIND_BY_KEY(tenant_id=tenant_id, idempotency_key=idempotency_key)
    return _same_request(rows[0], request_hash) if rows else None


def _same_request(row: Row, request_hash: str | None) -> Accepted:
    if row.request_hash != request_hash:
        raise IdempotencyConflict("this Idempotency-Key was used with another body; use a new key for a new request")
    return Accepted(row.id, row.position, created=False)
