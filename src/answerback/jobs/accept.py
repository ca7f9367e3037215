"""Accepting a job: its place in its conversation, its row, its idempotency key, in one transaction."""

from typing import Any

from sqlalchemy import (
    ColumnElement,
    Integer,
    Select,
    and_,
    bindparam,
    case,
    exists,
    false,
    func,
    literal_column,
    or_,
    select,
)

from answerback.database.operation import BatchPlan, Operation, Row, Statement, Transaction
from answerback.database.sql import Either, aliased, as_text, bound, in_state, upsert
from answerback.database.tables import conversations, jobs
from answerback.jobs.backlog import Backlog
from answerback.jobs.kind import Claimed, Job, JobState
from answerback.jobs.model import Accepted, Limits, NewJob
from answerback.jobs.order import rank
from answerback.kernel.errors import ConversationFull, IdempotencyConflict, Overloaded, TenantFull
from answerback.kernel.ids import new_id
from answerback.queue.fair_order import has_rank
from answerback.queue.leases import Offer, bearing, offer_values, offered

TRANSIENT_MS = 86_400_000
"""How long a transient job keeps what it holds: a day, as long as an `Idempotency-Key` of other routes."""

_accepted = select(jobs.c.id, jobs.c.request_hash, jobs.c.position, jobs.c.created_at)
FIND_BY_KEY = Statement(
    _accepted.where(jobs.c.tenant_id == bindparam("tenant_id"), jobs.c.idempotency_key == bindparam("idempotency_key"))
)
FIND_RETRY = Statement(_accepted.where(jobs.c.retry_of == bindparam("retry_of")))


_begun: dict[str, Any] = {
    **{column: bound(conversations.c[column]) for column in ("tenant_id", "key")},
    **dict.fromkeys(("last_position", "pending"), literal_column("1", Integer)),
    **dict.fromkeys(("erased_through", "window_from"), literal_column("0", Integer)),
    **dict.fromkeys(("created_at", "updated_at"), bound(conversations.c.created_at, "wall")),
}
_max_pending = bound(conversations.c.pending, "max_pending")
# All parameters stand in one table expression, so that many rows may come at once.
_joining = (
    select(*(value.label(column) for column, value in _begun.items()), _max_pending.label("max_pending"))
    .cte("joining")
    .prefix_with("MATERIALIZED")
)
# ON CONFLICT sees the row that is there, and none of those that come: they have one limit.
_room = Either(_max_pending, literal_column("(SELECT min(max_pending) FROM joining)", Integer))


def _joined(begun: Any) -> Any:
    return begun.on_conflict_do_update(
        index_elements=[conversations.c.tenant_id, conversations.c.key],
        set_={"last_position": conversations.c.last_position + 1, "pending": conversations.c.pending + 1},
        where=conversations.c.pending < _room,
    )


_JOINED = (
    conversations.c.tenant_id,
    conversations.c.key,
    conversations.c.id,
    conversations.c.last_position,
    conversations.c.pending,
    conversations.c.erased_through,
    conversations.c.window_from,
)
JOIN_CONVERSATION = Statement(
    _joined(upsert(conversations).values(_begun)),
    postgresql=_joined(
        upsert(conversations).from_select(list(_begun), select(*(_joining.c[column] for column in _begun)))
    ).returning(*_JOINED),
    read_back=select(*_JOINED).where(
        conversations.c.tenant_id == bindparam("tenant_id"), conversations.c.key == bindparam("key")
    ),
    by=("tenant_id", "key"),
    key=("tenant_id", "key"),
)

_GIVEN = (
    *("id", "tenant_id", "kind", "queue", "run_at", "deadline_at", "conversation_id", "position", "idempotency_key"),
    *("request_hash", "retry_of", "key_id", "callback_url", "args", "traceparent", "erase_at"),
)
_given = {column: bound(jobs.c[column]) for column in _GIVEN}


def _born(*, among_others: bool) -> Select[Any]:
    """A held job gets its rank when it is released. One with an offer is born claimed if it is not held, and no other
    of its queue waits. `among_others`: jobs that are inserted by the same statement count, as if in some order."""
    held = bound(jobs.c.attempt, "held") == literal_column("1")
    ahead = aliased(jobs, "ahead")
    waiting: ColumnElement[bool] = exists(
        select(literal_column("1")).where(
            in_state(ahead, JobState.QUEUED), ahead.c.queue == _given["queue"], has_rank(ahead)
        )
    )
    nth: ColumnElement[int] | None = None
    if among_others:
        unclaimed = func.bool_or(and_(~held, ~offered(jobs)))
        waiting = or_(waiting, func.coalesce(unclaimed.over(partition_by=_given["queue"], rows=(None, -1)), false()))
        nth = func.count().filter(~held).over(partition_by=[_given["queue"], _given["tenant_id"]], rows=(None, 0))
    state = case(
        (held, as_text(JobState.HELD)),
        (and_(offered(jobs), ~waiting), as_text(JobState.RUNNING)),
        else_=as_text(JobState.QUEUED),
    )
    ranked = rank(_given["queue"], _given["tenant_id"], nth)
    return select(state.label("state"), case((held, literal_column("0")), else_=ranked).label("rank"))


INSERT_JOB = bearing(
    jobs,
    JobState.RUNNING,
    {
        **_given,
        "priority": literal_column("0"),
        "attempts": literal_column("'[]'"),
        "attempts_made": literal_column("0"),
        "lease_losses": literal_column("0"),
        "created_at": bound(jobs.c.created_at, "wall"),
    },
    _born(among_others=False),
    postgresql=_born(among_others=True),
    returned=(jobs.c.state, jobs.c.rank),
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
