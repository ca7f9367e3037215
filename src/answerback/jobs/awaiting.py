"""Jobs of an LLM that answers by webhook: handed over, answered from outside, or never answered."""

import json

from sqlalchemy import bindparam, select, update

from answerback.database.batching import batched
from answerback.database.operation import Operation, Statement, Transaction
from answerback.database.tables import deliveries, jobs
from answerback.jobs.finish import OVERDUE_PLAN, end_open, end_overdue
from answerback.jobs.model import ENDED, ClaimedJob, Ending, JobKind, JobRecord, JobState
from answerback.jobs.ports import Render
from answerback.jobs.records import JOB_COLUMNS, RECORD_COLUMNS, at_most, by_position, job_record, job_to_end
from answerback.kernel.errors import Conflict, ErrorCode, Failure, NotFound
from answerback.queue.leases import end_attempt, fenced, in_state
from answerback.webhooks.model import Report

BATCH = 200

UNANSWERED = Failure(ErrorCode.LLM_CALLBACK_TIMEOUT, "the LLM took the review but did not call back in time")

AWAIT = Statement(
    update(jobs)
    .where(fenced(jobs, JobState.RUNNING))
    .values(
        state=JobState.AWAITING,
        lease_owner=None,
        lease_expires_at=None,
        run_at=bindparam("due_at"),
        error_code=None,
        error_message=None,
    )
    .returning(jobs.c.id)
)
FIND_REVIEW = Statement(
    select(*RECORD_COLUMNS).where(jobs.c.id == bindparam("row_id"), jobs.c.kind == JobKind.REVIEW.value)
)
DELIVERED_AT = Statement(select(deliveries.c.delivered_at).where(deliveries.c.job_id == bindparam("job_id")))
# A deadline that came first is told as such, however late this look is.
UNANSWERED_JOBS = Statement(
    select(*JOB_COLUMNS)
    .where(
        in_state(jobs, JobState.AWAITING),
        jobs.c.run_at <= bindparam("now"),
        jobs.c.run_at < jobs.c.deadline_at,
    )
    .order_by(jobs.c.run_at)
    .limit(at_most(BATCH))
)


def hand_over(tx: Transaction, claim: ClaimedJob, timeout: float, report: Report) -> Operation[bool]:
    """The LLM has taken it: the lease ends, and `run_at` says until when its answer is awaited."""
    due_at = tx.now + int(timeout * 1000)
    rows = yield AWAIT(row_id=claim.id, epoch=claim.epoch, due_at=due_at)
    if rows:
        yield from end_attempt(tx, claim.id, claim.epoch, report)
    return bool(rows)


def require_review(_: Transaction, job_id: str) -> Operation[None]:
    """Raises NotFound."""
    yield from _find(job_id)


def answer(tx: Transaction, job_id: str, ending: Ending, render: Render) -> Operation[tuple[bool, bool]]:
    """Whether this ended the job, and whether its callback has been delivered.

    Taken in any open state: an LLM may call back before the commit of its own acceptance, or after that was lost and
    the job went back to the queue. Raises NotFound; Conflict unless the job ended with this very answer.
    """
    record = yield from _find(job_id)
    if record.state not in ENDED:
        if (yield from end_open(tx, record.job, ending, render)):
            return True, False
        # Somebody else ended it between the two statements, where the database lets them.
        record = yield from _find(job_id)
    if not _same(record, ending):
        why = f" ({record.failure.code})" if record.failure and record.state is JobState.FAILED else ""
        raise Conflict(f"this review is {record.state}{why} already; the answer came too late and was not used")
    rows = yield DELIVERED_AT(job_id=job_id)
    return False, bool(rows) and rows[0][0] is not None


def fail_unanswered(tx: Transaction, render: Render) -> Operation[int]:
    """Fails a batch of the jobs whose LLM did not call back in time; returns how many."""
    rows = yield UNANSWERED_JOBS(now=tx.now)
    failed = Ending(JobState.FAILED, failure=UNANSWERED)
    unanswered = by_position(map(job_to_end, rows))
    ended = yield from batched((end_overdue(tx, job, failed, render) for job in unanswered), OVERDUE_PLAN)
    return ended.count(True)


def _find(job_id: str) -> Operation[JobRecord]:
    rows = yield FIND_REVIEW(row_id=job_id)
    if not rows:
        raise NotFound(f"there is no review {job_id!r}")
    return job_record(rows[0])


def _same(record: JobRecord, ending: Ending) -> bool:
    """Whether a job ended as told, whatever the order of its result's fields."""
    if ending.answer is None or record.answer is None:
        return (record.state, record.failure, record.answer) == (ending.state, ending.failure, ending.answer)
    return record.state is ending.state and _canonical(record.answer) == _canonical(ending.answer.text or "")


def _canonical(text: str) -> str:
    return json.dumps(json.loads(text), sort_keys=True)
