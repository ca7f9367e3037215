"""Cancelling a job, whatever it is doing."""

from answerback.database.operation import Operation, Transaction
from answerback.jobs.finish import End, end_open
from answerback.jobs.kind import ENDED, JobState, Registry
from answerback.jobs.read import find_job
from answerback.jobs.rows import job_of
from answerback.kernel.errors import Conflict, ErrorCode, Failure

BY_SENDER = End(JobState.CANCELLED, failure=Failure(ErrorCode.CANCELLED, "cancelled by its sender"))
BY_OPERATOR = End(JobState.CANCELLED, failure=Failure(ErrorCode.CANCELLED, "cancelled by an operator of the service"))


def cancel(tx: Transaction, kinds: Registry, tenant_id: str, job_id: str, *, by_operator: bool) -> Operation[bool]:
    """Whether this call ended the job; cancelling twice is no error. `by_operator`: not by its own tenant. Raises
    NotFound; Conflict for another end."""
    while True:
        row = yield from find_job(tenant_id, job_id)
        if row.state == JobState.CANCELLED:
            return False
        if row.state in ENDED:
            raise Conflict(f"this job is {row.state} already and cannot be cancelled")
        _, job = job_of(row, kinds)
        in_turn = row.state != JobState.HELD
        end = BY_OPERATOR if by_operator else BY_SENDER
        if (yield from end_open(tx, kinds, job, end, in_turn=in_turn)):
            return True
        # Another transaction ended it between the two statements: PostgreSQL runs writers side by side.
