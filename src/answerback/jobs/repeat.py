"""A request that its client sends again by itself gets the job of its earlier try, in whichever process: it has no
idempotency key, but its tries have one hash."""

from typing import Any

from sqlalchemy import ColumnElement, Select, bindparam, or_, select, union_all, update

from answerback.database.operation import Operation, Statement, Transaction
from answerback.database.sql import at_most, is_one_of
from answerback.database.tables import jobs
from answerback.jobs.accept import earlier_job
from answerback.jobs.model import Accepted, Tried

KEPT_MS = 10_000
"""How long a job that has ended is found: OpenAI's SDKs wait for 8 s at most before they try again."""

FOUND_AT_ONCE = 64
"""More than could be locked by tries of the same moment, which pass over each other's jobs."""

_tried_before = (jobs.c.request_hash >= bindparam("first"), jobs.c.request_hash < bindparam("this"))
_is_open = jobs.c.finished_at.is_(None)
_just_ended = jobs.c.finished_at >= bindparam("since")
# Of the try just before, not one that an equal request may still come back for.
_latest_try = (jobs.c.request_hash.desc(), jobs.c.id.desc())


def _found(which: ColumnElement[bool]) -> Select[Any]:
    here = (jobs.c.tenant_id == bindparam("of_tenant"), jobs.c.idempotency_key.is_(None))
    return select(jobs.c.id).where(*here, which, *_tried_before).order_by(*_latest_try).limit(at_most(FOUND_AT_ONCE))


# Apart, since an index finds each of the two without those that ended earlier: there may be millions of equal ones.
_either = union_all(*(select(_found(which).subquery()) for which in (_is_open, _just_ended))).subquery()
_earlier = (
    select(jobs.c.id)
    # Said again of the row that is locked: another try may have taken it meanwhile, and it may have ended.
    .where(is_one_of(jobs.c.id, select(_either.c.id)), *_tried_before, or_(_is_open, _just_ended))
    .order_by(*_latest_try)
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
