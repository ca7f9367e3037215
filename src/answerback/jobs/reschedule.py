"""How a claimed job leaves its lease without an end: it is due again later, or handed to an LLM that calls back."""

from typing import Any

from sqlalchemy import bindparam, case, literal_column, update

from answerback.database.operation import BatchPlan, Operation, Statement, Transaction
from answerback.database.sql import as_text
from answerback.database.tables import jobs
from answerback.jobs.kind import Claimed, JobState
from answerback.jobs.outcome import Retry, Snooze
from answerback.jobs.recover import QUARANTINE_LOSSES
from answerback.jobs.rows import error_of
from answerback.queue import attempts
from answerback.queue.attempts import Report, ending_attempt
from answerback.queue.leases import HELD_LEASE, fenced

# One that has lost two leases goes back into quarantine: nothing promotes it.
_lost_twice = jobs.c.lease_losses >= literal_column(str(QUARANTINE_LOSSES))
_WAITING = case((_lost_twice, as_text(JobState.QUARANTINED)), else_=as_text(JobState.SCHEDULED))
_put_off: dict[str, Any] = {
    "state": _WAITING,
    "run_at": bindparam("due_at"),
    "attempt": jobs.c.attempt - bindparam("given_back"),
    "error": bindparam("new_error"),
}
PUT_OFF_ATTEMPTED = ending_attempt(jobs, fenced(jobs, JobState.RUNNING), **_put_off)
PUT_OFF_UNASKED = Statement(
    update(jobs).where(fenced(jobs, JobState.RUNNING)).values(**_put_off, **HELD_LEASE).returning(jobs.c.id),
    by=("row_id",),
)
PUT_OFF_UNREADABLE = Statement(
    update(jobs)
    .where(fenced(jobs, JobState.RUNNING))
    .values(state=_WAITING, run_at=bindparam("due_at"), attempt=jobs.c.attempt - 1, **HELD_LEASE)
    .returning(jobs.c.id),
    by=("row_id",),
)
HAND_OVER = ending_attempt(
    jobs, fenced(jobs, JobState.RUNNING), state=JobState.AWAITING, run_at=bindparam("due_at"), error=None
)

PUT_OFF_PLAN = BatchPlan((PUT_OFF_ATTEMPTED, PUT_OFF_UNASKED), "put_off")
HAND_OVER_PLAN = BatchPlan((HAND_OVER,), "hand_over")


def put_off(tx: Transaction, claim: Claimed[Any], retry: Retry, report: Report) -> Operation[bool]:
    """Schedules the job again after an attempt."""
    values = _due_again(tx, claim, retry, given_back=not retry.counted)
    return bool((yield PUT_OFF_ATTEMPTED(**values, attempt_entry=attempts.entry(report, tx.wall))))


def snooze(tx: Transaction, claim: Claimed[Any], snoozed: Snooze) -> Operation[bool]:
    """Schedules the job again; no attempt was made, and none is recorded."""
    return bool((yield PUT_OFF_UNASKED(**_due_again(tx, claim, snoozed, given_back=True))))


def hand_over(tx: Transaction, claim: Claimed[Any], timeout: float, report: Report) -> Operation[bool]:
    """The LLM has taken the job: its lease ends, and `run_at` says until when the answer is awaited."""
    rows = yield HAND_OVER(
        row_id=claim.id,
        epoch=claim.epoch,
        due_at=tx.now + int(timeout * 1000),
        attempt_entry=attempts.entry(report, tx.wall),
    )
    return bool(rows)


def _due_again(tx: Transaction, claim: Claimed[Any], until: Retry | Snooze, *, given_back: bool) -> dict[str, object]:
    return {
        "row_id": claim.id,
        "epoch": claim.epoch,
        "due_at": tx.now + int(until.delay * 1000),
        "given_back": int(given_back),
        "new_error": error_of(until.failure),
    }
