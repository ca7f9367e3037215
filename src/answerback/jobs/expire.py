"""Ending jobs whose time is up: past their deadline, or handed to an LLM that did not call back."""

from collections.abc import Sequence

from sqlalchemy import bindparam, select

from answerback.database.batching import batched
from answerback.database.operation import Operation, Rows, Statement, Transaction
from answerback.database.sql import at_most, in_state
from answerback.database.tables import jobs
from answerback.jobs.finish import OVERDUE_PLAN, End, end_overdue
from answerback.jobs.kind import JobState, Registry
from answerback.jobs.model import Finished, Swept
from answerback.jobs.rows import JOB_COLUMNS, by_position, job_of
from answerback.kernel.errors import ErrorCode, Failure

BATCH = 200
UNANSWERED = End(
    JobState.FAILED,
    failure=Failure(ErrorCode.LLM_CALLBACK_TIMEOUT, "the LLM took the job but did not call back in time"),
)
EXPIRED = End(JobState.EXPIRED, failure=Failure(ErrorCode.EXPIRED, "no answer came before the deadline"))

# A deadline that came first ends the job as expired, however late this sweep is.
UNANSWERED_JOBS = Statement(
    select(*JOB_COLUMNS)
    .where(in_state(jobs, JobState.AWAITING), jobs.c.run_at <= bindparam("now"), jobs.c.run_at < jobs.c.deadline_at)
    .order_by(jobs.c.run_at)
    .limit(at_most(BATCH))
)
_overdue = (
    select(*JOB_COLUMNS)
    .where(jobs.c.finished_at.is_(None), jobs.c.deadline_at <= bindparam("now"))
    .order_by(jobs.c.deadline_at)
    .limit(at_most(BATCH))
)
# If a batch cannot hold all, earlier messages go first; PostgreSQL must be asked to order by position, SQLite keeps
# insertion order.
OVERDUE_JOBS = Statement(_overdue, postgresql=_overdue.order_by(jobs.c.position))


def expire(tx: Transaction, kinds: Registry) -> Operation[Swept]:
    """Ends a batch of each."""
    unanswered = yield from _end(tx, kinds, (yield UNANSWERED_JOBS(now=tx.now)), UNANSWERED)
    expired = yield from _end(tx, kinds, (yield OVERDUE_JOBS(now=tx.now)), EXPIRED)
    swept = Swept(jobs_expired=len(expired), jobs_unanswered=len(unanswered))
    swept.ended = (*unanswered, *expired)
    return swept


def _end(tx: Transaction, kinds: Registry, rows: Rows, end: End) -> Operation[Sequence[tuple[str, Finished]]]:
    """Those that were ended, by their ids."""
    jobs_to_end = [job_of(row, kinds)[1] for row in by_position(list(rows))]
    ended = yield from batched((end_overdue(tx, kinds, job, end) for job in jobs_to_end), OVERDUE_PLAN)
    return [(job.id, each) for job, each in zip(jobs_to_end, ended, strict=True) if isinstance(each, Finished)]
