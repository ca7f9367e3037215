"""The table of jobs, mapped to values and back in one place."""

import json
from collections.abc import Callable
from typing import Any

from pydantic_core import from_json

from answerback.database.operation import Transaction
from answerback.database.statement import Row
from answerback.jobs.kind import ENDED, AnyKind, Claimed, Ending, Job, JobState, Registry, Unreadable
from answerback.jobs.model import JobRecord
from answerback.kernel.errors import AnyFailure, Failure
from answerback.kernel.json import Json
from answerback.queue.attempts import attempts_of
from answerback.queue.states import state_of
from answerback.webhooks.model import DeliveryRecord

OF_KIND = "coalesce(kind, '') = :kind"
OWN = f"tenant_id || '' = :tenant_id AND {OF_KIND}"
"""Whether a job that is looked for by its id is the tenant's, and of the kind. Not by the columns themselves: among all
of a tenant's jobs (`jobs_listed`) PostgreSQL would look for one by stale statistics, SQLite for several."""

JOB_COLUMNS = "id, tenant_id, kind, args, conversation_id, position, callback_url, created_at, traceparent"


def _of_conversation(column: str) -> str:
    return f"(SELECT {column} FROM conversations WHERE conversations.id = jobs.conversation_id) AS {column}"


CLAIMED_COLUMNS = (
    f"{JOB_COLUMNS}, lease_epoch, attempt, run_at, deadline_at, error, "
    f"{_of_conversation('erased_through')}, {_of_conversation('window_from')}"
)
_STATUS_COLUMNS = "state, attempt, lease_losses, run_at, deadline_at, finished_at, error, retry_of, key_id, claimed_at"
RECORD_COLUMNS = f"{JOB_COLUMNS}, {_STATUS_COLUMNS}, result, attempts, attempts_made"

UNASKED = "unasked"
"""Of a stored failure: the LLM was not asked, and no attempt made."""
LISTED_RESULT_CHARACTERS = 4_096
"""Of longer results lists read the beginning, which holds what they show: a page of whole ones would take hundreds of
megabytes."""

LISTED_COLUMNS = (
    f"{JOB_COLUMNS}, {_STATUS_COLUMNS}, "
    f"substr(result, 1, {LISTED_RESULT_CHARACTERS}) AS result, '[]' AS attempts, attempts_made"
)


def job_of(row: Row, kinds: Registry) -> tuple[AnyKind | None, Job[Any]]:
    """The job and its kind. Without a kind, or with arguments that are None, only another version can read it."""
    kind = kinds.find(row.kind)
    args = None
    if kind is not None:
        try:
            args = kind.decode(row.args)
        except Unreadable:
            args = None
    return kind, Job(
        id=row.id,
        tenant_id=row.tenant_id,
        kind=row.kind,
        args=args,
        conversation_id=row.conversation_id,
        position=row.position,
        callback_url=row.callback_url,
        created_at=row.created_at,
        traceparent=row.traceparent,
    )


def claimed_of(row: Row, kinds: Registry, tx: Transaction) -> Claimed[Any] | None:
    """None for a job that only another version can read."""
    _, job = job_of(row, kinds)
    if job.args is None:
        return None
    return Claimed(
        job=job,
        epoch=row.lease_epoch,
        attempt=row.attempt,
        claimed_at=tx.now,
        at=tx.wall,
        due_at=row.run_at,
        deadline_at=row.deadline_at,
        erased_through=row.erased_through or 0,
        window_from=row.window_from or 0,
        put_off_for=None if row.error is None else _put_off_for(row.error),
    )


def _put_off_for(error: str) -> dict[str, str] | None:
    stored = json.loads(error)
    return {"code": stored["code"], "message": stored["message"]} if stored.get(UNASKED) else None


def beginning_of(result: str) -> Json:
    """What a list has read of a result: of one that was cut the fields that are whole."""
    if len(result) < LISTED_RESULT_CHARACTERS:
        return json.loads(result)
    try:
        return from_json(result, allow_partial=True)
    except ValueError:
        # Deeper than 200 levels.
        return {}


def record_of(
    row: Row,
    kinds: Registry,
    tx: Transaction,
    read_result: Callable[[str], Json] = json.loads,
    deliveries: tuple[DeliveryRecord, ...] = (),
) -> JobRecord:
    """Converts times of the scheduling clock to the wall clock, by the present difference of the two."""
    kind, job = job_of(row, kinds)
    state, failure = state_of(JobState, row.state), failure_of(row.error)
    ending = None
    if isinstance(state, JobState) and state in ENDED:
        result = read_result(row.result) if row.result is not None else None
        ending = Ending(state, row.finished_at, result, failure)
    return JobRecord(
        job=job,
        kind=kind,
        state=state,
        attempt=row.attempt,
        lease_losses=row.lease_losses,
        run_at=row.run_at + tx.wall_ahead,
        deadline_at=row.deadline_at + tx.wall_ahead,
        finished_at=row.finished_at,
        ending=ending,
        failure=failure,
        retry_of=row.retry_of,
        key_id=row.key_id,
        claimed_at=row.claimed_at,
        attempts=attempts_of(row.attempts),
        attempts_made=row.attempts_made,
        deliveries=deliveries,
    )


def error_of(failure: Failure | None, *, unasked: bool = False) -> str | None:
    """A failure as stored; `unasked`: the LLM was not asked."""
    if failure is None:
        return None
    waited_for = {"status": failure.status, "retry_after": failure.retry_after, "final": failure.final}
    waited_for |= {UNASKED: unasked}
    return json.dumps({**failure_json(failure), **{name: value for name, value in waited_for.items() if value}})


def failure_json(failure: AnyFailure) -> dict[str, str]:
    """A failure as clients read it, without what nobody named."""
    fields = {
        "code": failure.code,
        "message": failure.message,
        "param": failure.param,
        "upstream_code": failure.upstream_code,
    }
    return {name: value for name, value in fields.items() if value is not None}


def failure_of(stored: str | None) -> AnyFailure | None:
    if stored is None:
        return None
    error = json.loads(stored)
    param, upstream_code, status, wait = (
        error.get(each) for each in ("param", "upstream_code", "status", "retry_after")
    )
    return AnyFailure(
        error["code"], error["message"], param, upstream_code, status, wait, final=error.get("final", False)
    )


def by_position(found: list[Row]) -> list[Row]:
    """In the order in which their deliveries must go out: those of a conversation by their place in it."""
    return sorted(found, key=lambda row: (row.conversation_id or 0, row.position or 0))
