"""Accepting a job: its place in its conversation, its row, its idempotency key, in one transaction."""

from typing import Any

from answerback.database.dialect import Dialect
from answerback.database.operation import BatchPlan, Operation, Transaction
from answerback.database.statement import Insert, Row, Statement
from answerback.jobs.backlog import Backlog
from answerback.jobs.kind import Claimed, Job, JobState
from answerback.jobs.model import Accepted, Limits, NewJob
from answerback.kernel.errors import ConversationFull, IdempotencyConflict, Overloaded, TenantFull
from answerback.kernel.ids import new_id
from answerback.queue.fair_order import has_rank, next_rank
from answerback.queue.leases import OFFERED, Offer, bearing, offer_values

TRANSIENT_MS = 86_400_000
"""How long a transient job keeps what it holds: a day, as long as an `Idempotency-Key` of other routes."""

_ACCEPTED = "SELECT id, request_hash, position, created_at FROM jobs"
FIND_BY_KEY = Statement(f"{_ACCEPTED} WHERE tenant_id = :tenant_id AND idempotency_key = :idempotency_key")
FIND_RETRY = Statement(f"{_ACCEPTED} WHERE retry_of = :retry_of")

_JOINED = "tenant_id, key, id, last_position, pending, erased_through, window_from"


def _joining(dialect: Dialect) -> Insert:
    # ON CONFLICT sees the row that is there, and none of those that come: they have one limit.
    room = dialect.either(":max_pending", "(SELECT min(given.max_pending) FROM given)")
    return Insert(
        "conversations",
        {
            "tenant_id": ":tenant_id",
            "key": ":key",
            **dict.fromkeys(("last_position", "pending"), "1"),
            **dict.fromkeys(("erased_through", "window_from"), "0"),
            **dict.fromkeys(("created_at", "updated_at"), ":wall"),
        },
        conflict=f"""
        ON CONFLICT (tenant_id, key) DO UPDATE SET
            last_position = conversations.last_position + 1, pending = conversations.pending + 1
        WHERE conversations.pending < {room}""",
        returning=_JOINED,
    )


JOIN_CONVERSATION = Statement(
    _joining,
    read_back=f"SELECT {_JOINED} FROM conversations WHERE tenant_id = :tenant_id AND key = :key",
    by=("tenant_id", "key"),
    key=("tenant_id", "key"),
    given="tenant_id text, key text, wall bigint, max_pending integer",
)

_TEXTS = (
    *("id", "tenant_id", "kind", "queue", "idempotency_key", "request_hash", "retry_of", "key_id", "callback_url"),
    *("args", "traceparent"),
)
_NUMBERS = ("run_at", "deadline_at", "conversation_id", "position", "erase_at")
_GIVEN = {**dict.fromkeys(_TEXTS, "text"), **dict.fromkeys(_NUMBERS, "bigint")}


def _born(dialect: Dialect) -> dict[str, str]:
    """A held job gets its rank when it is released. One with an offer is born claimed if it is not held, and no other
    of its queue waits. On PostgreSQL jobs that are inserted by the same statement count, as if in some order."""
    waiting = f"""EXISTS (
        SELECT 1 FROM jobs AS ahead WHERE ahead.state = 'queued' AND ahead.queue = :queue AND {has_rank("ahead")}
    )"""
    nth = "1"
    if dialect is Dialect.POSTGRESQL:
        waiting += """ OR coalesce(bool_or(:held <> 1 AND :owner IS NULL) OVER (
            PARTITION BY :queue ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
        ), false)"""
        nth = """count(*) FILTER (WHERE :held <> 1) OVER (
            PARTITION BY :queue, :tenant_id ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
        )"""
    rank = next_rank(dialect, "jobs", ":queue", ":tenant_id", nth)
    return {
        "state": f"CASE WHEN :held = 1 THEN 'held' WHEN {OFFERED} AND NOT ({waiting}) THEN 'running' ELSE 'queued' END",
        "rank": f"CASE WHEN :held = 1 THEN 0 ELSE {rank} END",
    }


INSERT_JOB = bearing(
    "jobs",
    JobState.RUNNING,
    ", ".join((*(f"{name} {of}" for name, of in _GIVEN.items()), "held integer")),
    {
        **{name: f":{name}" for name in _GIVEN},
        **dict.fromkeys(("priority", "attempts_made", "lease_losses"), "0"),
        "attempts": "'[]'",
        "created_at": ":wall",
    },
    _born,
    returning="jobs.state, jobs.rank",
    by=("tenant_id", "idempotency_key", "retry_of"),
    key=("id",),
)
ACCEPT_PLAN = BatchPlan((FIND_BY_KEY, FIND_RETRY, JOIN_CONVERSATION, INSERT_JOB), "accept")
FIND_PLAN = BatchPlan((FIND_BY_KEY,), "find_accepted")


def accept(
    tx: Transaction, job: NewJob, limits: Limits, backlog: Backlog, offer: Offer | None = None
) -> Operation[Accepted]:
    """Raises IdempotencyConflict, Overloaded, TenantFull, ConversationFull, each before anything is written."""
    if job.idempotency_key is not None:
        earlier = yield FIND_BY_KEY(tenant_id=job.tenant_id, idempotency_key=job.idempotency_key)
        if earlier:
            return _same_request(earlier[0], job.request_hash)
    if job.retry_of is not None:
        earlier = yield FIND_RETRY(retry_of=job.retry_of)
        if earlier:
            return earlier_job(earlier[0])
    if backlog.size() + tx.opened.total() >= limits.queued_jobs:
        raise Overloaded("too many messages wait for an answer; send this one again later")
    if backlog.size_of(job.tenant_id) + tx.opened[job.tenant_id] >= limits.queued_jobs_per_tenant:
        raise TenantFull(
            f"{limits.queued_jobs_per_tenant} of your messages wait for an answer; wait before sending the next",
            limits.queued_jobs_per_tenant,
        )
    # Counted before the first write, so that the operations of a batch count each other.
    tx.opened[job.tenant_id] += 1
    conversation: Row | None = None
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
        conversation = place[0]
    held = conversation is not None and conversation.pending > 1
    return (yield from _insert_job(job, _as_born(tx, job, conversation), offer_values(tx, offer), held=held))


def _as_born(tx: Transaction, job: NewJob, conversation: Row | None) -> Claimed[Any]:
    """The job as it is claimed if it is born so."""
    return Claimed(
        job=Job(
            id=new_id("job_", tx.now),
            tenant_id=job.tenant_id,
            kind=job.kind,
            args=job.parsed,
            conversation_id=None if conversation is None else conversation.id,
            position=None if conversation is None else conversation.last_position,
            callback_url=job.callback_url,
            created_at=tx.wall,
            traceparent=job.traceparent,
        ),
        epoch=1,
        attempt=1,
        claimed_at=tx.now,
        at=tx.wall,
        due_at=tx.now,
        deadline_at=tx.now + int(job.deadline_seconds * 1000),
        erased_through=0 if conversation is None else conversation.erased_through,
        window_from=0 if conversation is None else conversation.window_from,
    )


def _insert_job(job: NewJob, claim: Claimed[Any], lease: dict[str, object], *, held: bool) -> Operation[Accepted]:
    rows = yield INSERT_JOB(
        id=claim.id,
        tenant_id=job.tenant_id,
        kind=job.kind,
        queue=job.queue,
        held=int(held),
        run_at=claim.due_at,
        deadline_at=claim.deadline_at,
        conversation_id=claim.job.conversation_id,
        position=claim.job.position,
        idempotency_key=job.idempotency_key,
        request_hash=job.request_hash,
        retry_of=job.retry_of,
        key_id=job.key_id,
        callback_url=job.callback_url,
        args=job.args,
        wall=claim.at,
        traceparent=job.traceparent,
        erase_at=claim.due_at + TRANSIENT_MS if job.transient else None,
        **lease,
    )
    state = rows[0].state
    return Accepted(
        claim.id,
        claim.job.position,
        claim.at,
        created=True,
        queued=state == JobState.QUEUED,
        claim=claim if state == JobState.RUNNING else None,
    )


def find_accepted(
    _: Transaction, tenant_id: str, idempotency_key: str, request_hash: str
) -> Operation[Accepted | None]:
    """The earlier acceptance under this key. Raises IdempotencyConflict when its body differed."""
    rows = yield FIND_BY_KEY(tenant_id=tenant_id, idempotency_key=idempotency_key)
    return _same_request(rows[0], request_hash) if rows else None


def _same_request(row: Row, request_hash: str | None) -> Accepted:
    if row.request_hash != request_hash:
        raise IdempotencyConflict("this Idempotency-Key was used with another body; use a new key for a new request")
    return earlier_job(row)


def earlier_job(row: Row) -> Accepted:
    return Accepted(row.id, row.position, row.created_at, created=False)
