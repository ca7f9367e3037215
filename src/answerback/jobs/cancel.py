"""Cancelling a job, whatever it is doing."""

from answerback.database.operation import Operation, Transaction
from answerback.jobs.finish import end_open
from answerback.jobs.model import ENDED, Ending, JobState
from answerback.jobs.ports import Render
from answerback.jobs.read import FIND_JOB
from answerback.jobs.records import job_record
from answerback.kernel.errors import Conflict, ErrorCode, Failure, NotFound

CANCELLED = Ending(JobState.CANCELLED, failure=Failure(ErrorCode.CANCELLED, "cancelled by its sender"))


def cancel_job(tx: Transaction, tenant_id: str, job_id: str, render: Render) -> Operation[bool]:
    while True:
        rows = yield FIND_JOB(row_id=job_id, tenant_id=tenant_id)
        if not rows:
            raise NotFound(f"there is no job {job_id!r}")
        record = job_record(rows[0])
        if record.state is JobState.CANCELLED:
            return False
        if record.state in ENDED:
            raise Conflict(f"this job is {record.state} already and cannot be cancelled")
        if (yield from end_open(tx, record.job, CANCELLED, render)):
            return True
        # Somebody else ended it between the two statements, where the database lets them.
