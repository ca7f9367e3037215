"""Ending a job by an LLM's callback, after the job was handed to that LLM."""

import json

from answerback.database.operation import Operation, Transaction
from answerback.database.statement import Row, Statement
from answerback.jobs.finish import End, end_open
from answerback.jobs.kind import ENDED, JobState, Registry
from answerback.jobs.model import Resolved
from answerback.jobs.rows import RECORD_COLUMNS, error_of, failure_of, job_of
from answerback.kernel.errors import Conflict, NotFound

FIND = Statement(f"SELECT {RECORD_COLUMNS} FROM jobs WHERE id = :row_id AND kind = :of_kind")
DELIVERED_AT = Statement("SELECT delivered_at FROM deliveries WHERE job_id = :job_id AND endpoint_id IS NULL")


def require(_: Transaction, job_id: str, kind: str) -> Operation[None]:
    """Raises NotFound unless there is such a job of this kind, of any tenant."""
    yield from _find(job_id, kind)


def resolve(tx: Transaction, kinds: Registry, job_id: str, kind: str, end: End) -> Operation[Resolved]:
    """Ends a job in any open state: an LLM may call back before the hand-over is committed, or after that commit was
    lost and the job went back to the queue.

    Raises NotFound; Conflict unless the job ended with this very answer.
    """
    row = yield from _find(job_id, kind)
    if row.state not in ENDED:
        _, job = job_of(row, kinds)
        if (yield from end_open(tx, kinds, job, end)):
            return Resolved(ended=True, delivered=False)
        # Another transaction ended it between the two statements: PostgreSQL runs writers side by side.
        row = yield from _find(job_id, kind)
    if not _same(row, end):
        failure = failure_of(row.error)
        why = f" ({failure.code})" if failure and row.state == JobState.FAILED else ""
        raise Conflict(f"this {kind} is {row.state}{why} already; the answer came too late and was not used")
    delivered = yield DELIVERED_AT(job_id=job_id)
    return Resolved(ended=False, delivered=bool(delivered) and delivered[0].delivered_at is not None)


def _find(job_id: str, kind: str) -> Operation[Row]:
    rows = yield FIND(row_id=job_id, of_kind=kind)
    if not rows:
        raise NotFound(f"there is no {kind} {job_id!r}")
    return rows[0]


def _same(row: Row, end: End) -> bool:
    """Whether a job ended in just this way, whatever the order of its result's fields."""
    if row.state != end.state:
        return False
    if row.result is None or end.encoded is None:
        return bool(row.result == end.encoded and row.error == error_of(end.failure))
    return _canonical(row.result) == _canonical(end.encoded)


def _canonical(result: str) -> str:
    """Compared as text, since Python takes true and 1 as equal."""
    return json.dumps(json.loads(result), sort_keys=True)
