"""Accepting a job: its place in the line, its row, its idempotency key, in one transaction."""

from collections.abc import Callable
from typing import Any

from sqlalchemy import ClauseElement, bindparam, insert, select
from sqlalchemy.dialects import postgresql, sqlite

from answerback.database.operation import BatchPlan, Operation, Row, Statement, Transaction
from answerback.database.tables import conversations, jobs
from answerback.jobs.model import Accepted, JobState, NewJob
from answerback.jobs.ports import Limits
from answerback.kernel.errors import ConversationFull, IdempotencyConflict, Overloaded
from answerback.kernel.ids import new_id

_ACCEPTED_COLUMNS = (jobs.c.id, jobs.c.request_hash, jobs.c.seq)

FIND_BY_KEY = Statement(
    select(*_ACCEPTED_COLUMNS).where(
        jobs.c.tenant_id == bindparam("tenant_id"), jobs.c.idempotency_key == bindparam("idempotency_key")
    )
)
FIND_RETRY = Statement(select(*_ACCEPTED_COLUMNS).where(jobs.c.retry_of == bindparam("retry_of")))


def _join_line(upsert: Any) -> ClauseElement:
    fresh = upsert(conversations).values(
        tenant_id=bindparam("tenant_id"),
        key=bindparam("key"),
        last_seq=1,
        pending=1,
        erased_through=0,
        created_at=bindparam("now"),
        updated_at=bindparam("now"),
    )
    joined: ClauseElement = fresh.on_conflict_do_update(
        index_elements=[conversations.c.tenant_id, conversations.c.key],
        set_={"last_seq": conversations.c.last_seq + 1, "pending": conversations.c.pending + 1},
        where=conversations.c.pending < bindparam("max_pending"),
    ).returning(conversations.c.id, conversations.c.last_seq, conversations.c.pending)
    return joined


JOIN_CONVERSATION = Statement(
    _join_line(sqlite.insert), postgresql=_join_line(postgresql.insert), by=("tenant_id", "key")
)

INSERT_JOB = Statement(
    insert(jobs).values(
        **{
            column: bindparam(column)
            for column in (
                "id",
                "tenant_id",
                "kind",
                "conversation_id",
                "seq",
                "state",
                "run_at",
                "deadline_at",
                "idempotency_key",
                "request_hash",
                "retry_of",
                "callback_url",
                "request",
                "created_at",
                "traceparent",
            )
        },
        attempt=0,
        lease_epoch=0,
        lease_losses=0,
    ),
    by=("tenant_id", "idempotency_key", "retry_of"),
)
PLAN = BatchPlan((FIND_BY_KEY, FIND_RETRY, JOIN_CONVERSATION, INSERT_JOB), "accept")


def accept(
    tx: Transaction, job: NewJob, request: str, limits: Limits, open_jobs: Callable[[], int]
) -> Operation[Accepted]:
    """`request` is the job's as stored. Raises IdempotencyConflict, Overloaded, ConversationFull, each before anything
    is written."""
    if job.idempotency_key is not None:
        earlier = yield FIND_BY_KEY(tenant_id=job.tenant_id, idempotency_key=job.idempotency_key)
        if earlier:
            return same_request(earlier[0], job.request_hash)
    if job.retry_of is not None:
        earlier = yield FIND_RETRY(retry_of=job.retry_of)
        if earlier:
            return Accepted(earlier[0][0], earlier[0][2], created=False)
    if open_jobs() + tx.opened >= limits.queued_jobs:
        raise Overloaded("too many messages wait for an answer; send this one again later")
    # Taken before the first write, so that those who go batched count each other.
    tx.opened += 1
    conversation_id, seq, state = None, None, JobState.QUEUED
    if job.conversation_key is not None:
        place = yield JOIN_CONVERSATION(
            tenant_id=job.tenant_id, key=job.conversation_key, now=tx.now, max_pending=limits.conversation_pending
        )
        if not place:
            tx.opened -= 1
            raise ConversationFull(
                f"this conversation has {limits.conversation_pending} unanswered messages; "
                "wait for an answer before sending the next",
                limits.conversation_pending,
            )
        conversation_id, seq, pending = place[0]
        state = JobState.QUEUED if pending == 1 else JobState.HELD
    job_id = new_id("job_", tx.now)
    yield INSERT_JOB(
        id=job_id,
        tenant_id=job.tenant_id,
        kind=job.kind,
        conversation_id=conversation_id,
        seq=seq,
        state=state,
        run_at=tx.now,
        deadline_at=tx.now + int(job.deadline_seconds * 1000),
        idempotency_key=job.idempotency_key,
        request_hash=job.request_hash,
        retry_of=job.retry_of,
        callback_url=job.callback_url,
        request=request,
        created_at=tx.now,
        traceparent=job.traceparent,
    )
    return Accepted(job_id, seq, created=True)


def same_request(row: Row, request_hash: str | None) -> Accepted:
    """The earlier acceptance, if it was of the same body."""
    if row[1] != request_hash:
        raise IdempotencyConflict("this Idempotency-Key was used with another body; use a new key for a new request")
    return Accepted(row[0], row[2], created=False)
