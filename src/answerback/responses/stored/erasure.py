"""Deleting what is held of responses: rows of jobs stay, without their texts."""

from answerback.database.dialect import Dialect
from answerback.database.operation import Operation, Transaction
from answerback.database.sql import one_of
from answerback.database.statement import Statement
from answerback.jobs.events import DELETE as DELETE_EVENTS
from answerback.jobs.kind import ENDED, JobState
from answerback.jobs.rows import OF_KIND, OWN
from answerback.responses.stored.rows import ERASED, KIND, encode

_HAS_ENDED = "coalesce(finished_at, 0) > 0"
"""As `OWN`."""
ERASE = Statement(
    f"""
    UPDATE jobs SET args = :erased, result = NULL
    WHERE id = :row_id AND {OWN} AND {_HAS_ENDED} AND args <> :erased
    RETURNING id"""
)
DISCARD = Statement(
    f"""
    UPDATE jobs SET args = :erased, result = NULL, idempotency_key = NULL
    WHERE id = :row_id AND {OWN} AND {_HAS_ENDED} AND (state <> '{JobState.COMPLETED}' OR :unstored)
    RETURNING id"""
)
RELEASE_KEY = Statement(
    f"""
    UPDATE jobs SET idempotency_key = NULL
    WHERE id = :row_id AND {OWN} AND {one_of(sorted(ENDED - {JobState.COMPLETED}), "jobs")}"""
)
BATCH = 50
"""Rows erased at once: each may have megabytes."""


def _erase_unstored(dialect: Dialect) -> str:
    # By states, not by `finished_at`, which has an index of its own that holds all jobs.
    transient = f"""
        SELECT id FROM jobs WHERE erase_at <= :now AND {OF_KIND} AND {one_of(sorted(ENDED), "jobs")}
        ORDER BY erase_at LIMIT {BATCH} {dialect.locking("FOR UPDATE SKIP LOCKED")}"""
    return f"""
    UPDATE jobs SET args = :erased, result = NULL, idempotency_key = NULL, erase_at = NULL
    WHERE {dialect.is_one_of("id", transient)}
    RETURNING id"""


ERASE_UNSTORED = Statement(_erase_unstored)


def erase(tenant_id: str, job_id: str) -> Operation[bool]:
    """Whether there was one that had ended."""
    if not (yield ERASE(row_id=job_id, tenant_id=tenant_id, kind=KIND, erased=encode(ERASED))):
        return False
    yield DELETE_EVENTS(row_id=job_id)
    return True


def discard(tenant_id: str, job_id: str) -> Operation[None]:
    if (yield DISCARD(row_id=job_id, tenant_id=tenant_id, kind=KIND, erased=encode(ERASED), unstored=False)):
        yield DELETE_EVENTS(row_id=job_id)


def release_key(tenant_id: str, job_id: str) -> Operation[None]:
    yield RELEASE_KEY(row_id=job_id, tenant_id=tenant_id, kind=KIND)


def erase_unstored(tx: Transaction) -> Operation[int]:
    erased = yield ERASE_UNSTORED(now=tx.now, kind=KIND, erased=encode(ERASED))
    if erased:
        yield DELETE_EVENTS.many([{"row_id": row.id} for row in erased])
    return len(erased)


def forget(tenant_id: str, job_id: str, *, stored: bool) -> Operation[None]:
    yield DISCARD(row_id=job_id, tenant_id=tenant_id, kind=KIND, erased=encode(ERASED), unstored=not stored)
    yield DELETE_EVENTS(row_id=job_id)
