"""Ending a job: its state and attempt, what its conversation remembers, the notifications it owes, and the release of
the next job of its conversation, in one transaction."""

from dataclasses import dataclass
from typing import Any

from answerback.conversations.model import Entry
from answerback.database.operation import BatchPlan, Operation, Transaction
from answerback.database.sql import one_of
from answerback.database.statement import Insert, Statement, Update
from answerback.jobs.kind import ENDED, AnyKind, Claimed, Effects, Ending, Event, Job, JobState, Registry
from answerback.jobs.model import Finished
from answerback.jobs.order import RELEASE_NEXT
from answerback.jobs.rows import error_of, failure_json
from answerback.kernel.errors import Failure
from answerback.kernel.json import Json, encoded
from answerback.kernel.telemetry import JobEnd
from answerback.kernel.usage import Usage
from answerback.kernel.values import quickly_made
from answerback.queue import attempts
from answerback.queue.attempts import Report, ending_attempt
from answerback.queue.fifo import LOCK_CONVERSATIONS, TRY_LOCK_CONVERSATION, try_lock
from answerback.queue.leases import Offer, fenced, lost
from answerback.webhooks.notify import NOTIFYING, EventBody, Notice, notify

_ENDED = {"state": ":new_state", "result": ":new_result", "error": ":new_error", "finished_at": ":wall"}
_ENDING = "new_state text, new_result text, new_error text, wall bigint"
FINISH = ending_attempt("jobs", fenced("jobs", JobState.RUNNING), _ENDED, f"{_ENDING}, epoch bigint")


def _ending_from_outside(where: str, given: str) -> Statement:
    """For endings that come from outside the attempt: the raised epoch fences the holder of the row."""
    values = {**_ENDED, "lease_epoch": "jobs.lease_epoch + 1"}
    return ending_attempt("jobs", where, values, given, under_way="jobs.state = 'running'")


# By its states, not as `OPEN`: PostgreSQL would look for the row in the index of open jobs instead of by its id.
_NOT_ENDED = f"NOT {one_of(sorted(ENDED), 'jobs')}"
END_OPEN = _ending_from_outside(f"jobs.id = :row_id AND {_NOT_ENDED}", _ENDING)
END_LOST = _ending_from_outside(lost("jobs", JobState.RUNNING), f"{_ENDING}, epoch bigint, now bigint")

_LEFT = "conversations.pending, conversations.erased_through"
LEAVE_CONVERSATION = Statement(
    lambda dialect: Update(
        "conversations",
        {
            "pending": "conversations.pending - 1",
            "window_from": dialect.larger(":new_window_from", "conversations.window_from"),
            "updated_at": ":wall",
        },
        "conversations.id = :conversation_id",
        _LEFT,
    ),
    read_back=f"SELECT {_LEFT} FROM conversations WHERE id = :conversation_id",
    by=("conversation_id",),
    key=("conversation_id",),
    given="conversation_id bigint, new_window_from bigint, wall bigint",
)
INSERT_ITEMS = Statement(
    Insert(
        "conversation_items",
        {
            **{name: f":{name}" for name in ("conversation_id", "position", "job_id", "items")},
            "created_at": ":wall",
        },
        returning="conversation_id, position",
    ),
    key=("conversation_id", "position"),
    given="conversation_id bigint, position bigint, job_id text, items text, wall bigint",
)

SETTLING = (*NOTIFYING, LEAVE_CONVERSATION, INSERT_ITEMS, RELEASE_NEXT)
FINISH_PLAN = BatchPlan((LOCK_CONVERSATIONS, FINISH, *SETTLING), "finish")
OVERDUE_PLAN = BatchPlan((TRY_LOCK_CONVERSATION, END_OPEN, *SETTLING), "expire_jobs")


@quickly_made
@dataclass(frozen=True, slots=True)
class End:
    """How a job is to end; an `Ending` (`jobs/kind.py`) is how it ended, with the time.

    `result` is the kind's, `encoded` the same as stored; `failure` stands in its place. `window_from` moves the
    beginning of what the conversation remembers. `usage` is what the answer cost."""

    state: JobState
    result: Json = None
    failure: Failure | None = None
    window_from: int | None = None
    encoded: str | None = None
    usage: Usage | None = None

    @classmethod
    def completed(cls, result: Json, window_from: int | None = None, usage: Usage | None = None) -> "End":
        text = encoded(result).decode()
        return cls(JobState.COMPLETED, result, window_from=window_from, encoded=text, usage=usage)

    @property
    def outcome(self) -> str:
        """As statistics count it."""
        return self.state.value if self.failure is None else self.failure.code.value

    @property
    def size(self) -> int:
        """About how many bytes it writes: a result goes into its job's row, its items and its callback."""
        return 3 * len(self.encoded or "")


def finish(
    tx: Transaction, kinds: Registry, claim: Claimed[Any], end: End, report: Report, offer: Offer | None = None
) -> Operation[Finished | None]:
    """None, and nothing changed, once the row is no longer the claim's. The offer is for the delivery to the request's
    URL."""
    job = claim.job
    if job.conversation_id is not None:
        yield LOCK_CONVERSATIONS(conversation_ids=[job.conversation_id])
    rows = yield FINISH(row_id=claim.id, epoch=claim.epoch, **_ending_values(tx, end, report))
    return (yield from _consequences(tx, kinds, job, end, offer)) if rows else None


def end_open(
    tx: Transaction, kinds: Registry, job: Job[Any], end: End, *, in_turn: bool = True
) -> Operation[Finished | None]:
    """Ends a job whatever it is doing; None if it had ended already. Before its turn in its conversation it is notified
    beside the order of callbacks: in it, those of earlier jobs would come behind."""
    if job.conversation_id is not None:
        yield LOCK_CONVERSATIONS(conversation_ids=[job.conversation_id])
    rows = yield END_OPEN(row_id=job.id, **_ending_values(tx, end, Report(end.state)))
    return (yield from _consequences(tx, kinds, job, end, in_turn=in_turn)) if rows else None


def end_overdue(tx: Transaction, kinds: Registry, job: Job[Any], end: End) -> Operation[Finished | None]:
    """As `end_open`, unless another transaction holds the job's conversation at this moment."""
    if not (yield from try_lock(job.conversation_id)):
        return None
    rows = yield END_OPEN(row_id=job.id, **_ending_values(tx, end, Report(end.state)))
    return (yield from _consequences(tx, kinds, job, end)) if rows else None


def end_lost(
    tx: Transaction, kinds: Registry, job: Job[Any], epoch: int, end: End, report: Report
) -> Operation[Finished | None]:
    """As `end_overdue`, if the job's lease of that epoch has run out."""
    if not (yield from try_lock(job.conversation_id)):
        return None
    rows = yield END_LOST(row_id=job.id, epoch=epoch, now=tx.now, **_ending_values(tx, end, report))
    return (yield from _consequences(tx, kinds, job, end)) if rows else None


def _ending_values(tx: Transaction, end: End, report: Report) -> dict[str, object]:
    return {
        "wall": tx.wall,
        "new_state": end.state,
        "new_result": end.encoded,
        "new_error": error_of(end.failure),
        "attempt_entry": attempts.entry(report, tx.wall),
    }


def _consequences(
    tx: Transaction, kinds: Registry, job: Job[Any], end: End, offer: Offer | None = None, *, in_turn: bool = True
) -> Operation[Finished]:
    tx.opened[job.tenant_id] -= 1
    tx.ended.append(JobEnd(job.tenant_id, end.outcome, end.usage))
    ending = Ending(end.state, tx.wall, end.result, end.failure)
    effects = effects_of(kinds.find(job.kind), job, ending)
    notified = yield from notify(tx, _notice(job, effects, in_turn=in_turn), offer)
    if job.conversation_id is None:
        return Finished(ending, owes=notified.owes, claim=notified.claim, held=notified.held)
    rows = yield LEAVE_CONVERSATION(
        conversation_id=job.conversation_id, wall=tx.wall, new_window_from=end.window_from or 0
    )
    entry = None
    if effects.items and job.position is not None and job.position > rows[0].erased_through:
        entry = Entry(job.position, job.id, effects.items, tx.wall)
        yield INSERT_ITEMS(
            conversation_id=job.conversation_id,
            position=job.position,
            job_id=job.id,
            items=encoded(effects.items).decode(),
            wall=tx.wall,
        )
    released = rows[0].pending > 0 and bool((yield RELEASE_NEXT(conversation_id=job.conversation_id, now=tx.now)))
    return Finished(ending, entry, released, notified.owes, notified.claim, notified.held)


def effects_of(kind: AnyKind | None, job: Job[Any], ending: Ending) -> Effects:
    """What a job's end leaves behind. The end of a kind that only another version knows is notified all the same."""
    if kind is not None:
        return kind.effects(job, ending)
    failure = ending.failure
    error = None if failure is None else failure_json(failure)
    data = {"job_id": job.id, "status": ending.state, "error": error}
    return Effects(events=(Event(f"{job.kind}.{ending.state}", data),))


def _notice(job: Job[Any], effects: Effects, *, in_turn: bool) -> Notice:
    return Notice(
        job_id=job.id,
        tenant_id=job.tenant_id,
        conversation_id=job.conversation_id if in_turn else None,
        position=job.position,
        callback_url=job.callback_url,
        traceparent=job.traceparent,
        events=tuple(EventBody(event.type, encoded(event.data)) for event in effects.events),
    )
