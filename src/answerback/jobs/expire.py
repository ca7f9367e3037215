"""Ending jobs whose time is up: past their deadline, or handed to an LLM that did not call back."""

from collections.abc import Sequence

from answerback.database.batching import batched
from answerback.database.operation import Operation, Transaction
from answerback.database.predicates import OPEN
from answerback.database.statement import Rows, Statement
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
    f"""
    SELECT {JOB_COLUMNS} FROM jobs
    WHERE state = 'awaiting' AND run_at <= :now AND run_at < deadline_at
    ORDER BY run_at LIMIT {BATCH}"""
)
# If a batch cannot hold all, earlier messages go first; PostgreSQL must be asked to order by position, SQLite keeps
# insertion order.
OVERDUE_JOBS = Statement(
    lambda dialect: (
        f"""
    SELECT {JOB_COLUMNS} FROM jobs WHERE {OPEN} AND deadline_at <= :now
    ORDER BY {dialect.either("deadline_at", "deadline_at, position")} LIMIT {BATCH}"""
    )
)


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
