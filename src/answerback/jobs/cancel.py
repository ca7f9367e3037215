"""Cancelling a job, whatever it is doing."""

from answerback.database.operation import Operation, Transaction
from answerback.jobs.finish import End, end_open
from answerback.jobs.kind import ENDED, JobState, Registry
from answerback.jobs.read import FIND_JOB, no_such_job
from answerback.jobs.rows import job_of
from answerback.kernel.errors import Conflict, ErrorCode, Failure

BY_SENDER = End(JobState.CANCELLED, failure=Failure(ErrorCode.CANCELLED, "cancelled by its sender"))
BY_OPERATOR = End(JobState.CANCELLED, failure=Failure(ErrorCode.CANCELLED, "cancelled by an operator of the service"))


def cancel(tx: Transaction, kinds: Registry, tenant_id: str, job_id: str, *, by_operator: bool) -> Operation[bool]:
    """Whether this call ended the job; cancelling twice is no error. `by_operator`: not by its own tenant. Raises
    NotFound; Conflict for another end."""
    while True:
        rows = yield FIND_JOB(row_id=job_id, tenant_id=tenant_id)
        if not rows:
            raise no_such_job(job_id)
        if rows[0].state == JobState.CANCELLED:
            return False
        if rows[0].state in ENDED:
            raise Conflict(f"this job is {rows[0].state} already and cannot be cancelled")
        _, job = job_of(rows[0], kinds)
        in_turn = rows[0].state != JobState.HELD
        end = BY_OPERATOR if by_operator else BY_SENDER
        if (yield from end_open(tx, kinds, job, end, in_turn=in_turn)):
            return True
        # Another transaction ended it between the two statements: PostgreSQL runs writers side by side.
