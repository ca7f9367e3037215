"""How a claimed job leaves its lease without an end: given back, due again later, or handed to an LLM that calls back;
and how it stays under it."""

from collections.abc import Sequence
from typing import Any

from answerback.database.operation import BatchPlan, Operation, Transaction
from answerback.database.statement import Statement, Update
from answerback.jobs.kind import Claimed, JobState
from answerback.jobs.outcome import Retry, Snooze
from answerback.jobs.recover import QUARANTINE_LOSSES
from answerback.jobs.rows import error_of
from answerback.queue import attempts
from answerback.queue.attempts import RELEASED, Report, ending_attempt
from answerback.queue.leases import NO_LEASE, extending, fenced, releasing_unconfirmed

_IS_OURS = fenced("jobs", JobState.RUNNING)
# One that has lost two leases goes back into quarantine: nothing promotes it.
_WAITING = f"CASE WHEN jobs.lease_losses >= {QUARANTINE_LOSSES} THEN 'quarantined' ELSE 'scheduled' END"
_PUT_OFF = {
    "state": _WAITING,
    "run_at": ":due_at",
    "attempt": "jobs.attempt - :given_back",
    "error": ":new_error",
}
_GIVEN = "epoch bigint, due_at bigint, given_back integer, new_error text"
PUT_OFF_ATTEMPTED = ending_attempt("jobs", _IS_OURS, _PUT_OFF, _GIVEN)
PUT_OFF_UNASKED = Statement(
    Update("jobs", {**_PUT_OFF, **NO_LEASE}, _IS_OURS, "jobs.id"), by=("row_id",), given=f"row_id text, {_GIVEN}"
)
PUT_OFF_UNREADABLE = Statement(
    f"""
    UPDATE jobs SET
        state = {_WAITING}, run_at = :due_at, attempt = attempt - 1, lease_owner = NULL, lease_expires_at = NULL
    WHERE {_IS_OURS}""",
    by=("row_id",),
)
HAND_OVER = ending_attempt(
    "jobs",
    _IS_OURS,
    {"state": "'awaiting'", "run_at": ":due_at", "error": "NULL"},
    "epoch bigint, due_at bigint",
)

EXTEND = extending("jobs", JobState.RUNNING)
RELEASE = ending_attempt("jobs", _IS_OURS, {"state": "'queued'", "attempt": "jobs.attempt - 1"}, "epoch bigint")
RELEASE_UNCONFIRMED = releasing_unconfirmed("jobs", JobState.RUNNING, JobState.QUEUED)

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


def release(tx: Transaction, held: Sequence[tuple[str, int]]) -> Operation[None]:
    """Releases leases of `(id, epoch)`: the rows are due at once; the attempts do not count."""
    report = attempts.entry(RELEASED, tx.wall)
    yield RELEASE.each([{"row_id": row_id, "epoch": epoch, "attempt_entry": report} for row_id, epoch in sorted(held)])


def _due_again(tx: Transaction, claim: Claimed[Any], until: Retry | Snooze, *, given_back: bool) -> dict[str, object]:
    return {
        "row_id": claim.id,
        "epoch": claim.epoch,
        "due_at": tx.now + int(until.delay * 1000),
        "given_back": int(given_back),
        "new_error": error_of(until.failure, unasked=isinstance(until, Snooze)),
    }
