"""A request that its client sends again by itself gets the job of its earlier try, in whichever process: it has no
idempotency key, but its tries have one hash."""

from sqlalchemy import bindparam, or_, select, update

from answerback.database.operation import Operation, Statement, Transaction
from answerback.database.sql import at_most
from answerback.database.tables import jobs
from answerback.jobs.accept import earlier_job
from answerback.jobs.model import Accepted, Tried

KEPT_MS = 10_000
"""How long a job that has ended is found: OpenAI's SDKs wait for 8 s at most before they try again."""

_earlier = (
    select(jobs.c.id)
    .where(
        jobs.c.tenant_id == bindparam("of_tenant"),
        jobs.c.idempotency_key.is_(None),
        jobs.c.request_hash >= bindparam("first"),
        jobs.c.request_hash < bindparam("this"),
        or_(jobs.c.finished_at.is_(None), jobs.c.finished_at >= bindparam("since")),
    )
    # That of the try just before, not one that an equal request may still come back for.
    .order_by(jobs.c.request_hash.desc(), jobs.c.id.desc())
    .limit(at_most(1))
    .with_for_update(skip_locked=True)
)
TAKE_EARLIER = Statement(
    update(jobs)
    .where(jobs.c.id == _earlier.scalar_subquery())
    .values(request_hash=bindparam("now_taken"))
    .returning(jobs.c.id, jobs.c.position, jobs.c.created_at)
)


def stored_hash(tried: Tried) -> str:
    """What a job's row holds: the hash, and the number of the last try that got the job."""
    return f"{tried.request_hash}:{tried.number:03}"


def take_earlier(tx: Transaction, tenant_id: str, tried: Tried) -> Operation[Accepted | None]:
    """The job of an earlier try, each of which was one request: the same try of another client gets another job."""
    this = stored_hash(tried)
    rows = yield TAKE_EARLIER(
        of_tenant=tenant_id, first=tried.request_hash, this=this, since=tx.wall - KEPT_MS, now_taken=this
    )
    return earlier_job(rows[0]) if rows else None
