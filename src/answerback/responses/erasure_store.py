"""Deleting what is held of responses: rows of jobs stay, without their texts."""

from collections.abc import Iterable

from sqlalchemy import Boolean, ColumnElement, bindparam, or_, select, update

from answerback.database.operation import Operation, Statement, Transaction
from answerback.database.sql import as_text, at_most, is_one_of
from answerback.database.tables import jobs
from answerback.jobs.events import DELETE as DELETE_EVENTS
from answerback.jobs.kind import ENDED, JobState
from answerback.responses.stored import ERASED, KIND, encode

_own = (jobs.c.tenant_id == bindparam("tenant_id"), jobs.c.kind == KIND)
ERASE = Statement(
    update(jobs)
    .where(jobs.c.id == bindparam("row_id"), *_own, jobs.c.finished_at.is_not(None), jobs.c.args != bindparam("erased"))
    .values(args=bindparam("erased"), result=None)
    .returning(jobs.c.id)
)
DISCARD = Statement(
    update(jobs)
    .where(
        jobs.c.id == bindparam("row_id"),
        *_own,
        jobs.c.finished_at.is_not(None),
        or_(jobs.c.state != JobState.COMPLETED, bindparam("unstored", type_=Boolean)),
    )
    .values(args=bindparam("erased"), result=None, idempotency_key=None)
    .returning(jobs.c.id)
)


def _in(states: Iterable[JobState]) -> ColumnElement[bool]:
    return jobs.c.state.in_([as_text(each) for each in sorted(states)])


BATCH = 50
"""Rows erased at once: each may have megabytes."""
_transient = (
    select(jobs.c.id)
    # Not by `finished_at`, which has an index of its own that holds all jobs.
    .where(jobs.c.erase_at <= bindparam("now"), jobs.c.kind == KIND, _in(ENDED))
    .order_by(jobs.c.erase_at)
    .limit(at_most(BATCH))
    .with_for_update(skip_locked=True)
)
ERASE_UNSTORED = Statement(
    update(jobs)
    .where(is_one_of(jobs.c.id, _transient))
    .values(args=bindparam("erased"), result=None, idempotency_key=None, erase_at=None)
    .returning(jobs.c.id)
)
RELEASE_KEY = Statement(
    update(jobs)
    .where(jobs.c.id == bindparam("row_id"), *_own, _in(ENDED - {JobState.COMPLETED}))
    .values(idempotency_key=None)
)


def erase(tenant_id: str, job_id: str) -> Operation[bool]:
    """Whether there was one that had ended."""
    if not (yield ERASE(row_id=job_id, tenant_id=tenant_id, erased=encode(ERASED))):
        return False
    yield DELETE_EVENTS(row_id=job_id)
    return True


def discard(tenant_id: str, job_id: str) -> Operation[None]:
    if (yield DISCARD(row_id=job_id, tenant_id=tenant_id, erased=encode(ERASED), unstored=False)):
        yield DELETE_EVENTS(row_id=job_id)


def release_key(tenant_id: str, job_id: str) -> Operation[None]:
    yield RELEASE_KEY(row_id=job_id, tenant_id=tenant_id)


def erase_unstored(tx: Transaction) -> Operation[int]:
    erased = yield ERASE_UNSTORED(now=tx.now, erased=encode(ERASED))
    if erased:
        yield DELETE_EVENTS.many([{"row_id": row.id} for row in erased])
    return len(erased)


def forget(tenant_id: str, job_id: str, *, stored: bool) -> Operation[None]:
    yield DISCARD(row_id=job_id, tenant_id=tenant_id, erased=encode(ERASED), unstored=not stored)
    yield DELETE_EVENTS(row_id=job_id)
