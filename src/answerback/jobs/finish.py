"""Ending a job: its state, its turn, the callback it owes and the release of the next in line, in one transaction."""

from typing import Any

from sqlalchemy import Boolean, ColumnElement, bindparam, case, insert, literal_column, update

from answerback.database.operation import BatchPlan, Operation, Rows, Statement, Transaction
from answerback.database.tables import OWED_STATES, conversations, deliveries, jobs, turns
from answerback.jobs.model import ENDED, ClaimedJob, Ending, Job, JobState, Message
from answerback.jobs.ports import Render
from answerback.jobs.records import dump_usage, literal
from answerback.kernel.errors import Failure
from answerback.kernel.ids import new_id
from answerback.queue.fifo import (
    DELIVERY_DEADLINE_MS,
    LOCK_CONVERSATIONS,
    RELEASE_NEXT_JOB,
    TRY_LOCK_CONVERSATION,
    occupied,
)
from answerback.queue.leases import END_ATTEMPT, FORGET_ATTEMPT, end_attempt, fenced, lost
from answerback.webhooks.model import DeliveryState, Report, origin_of

_ENDED: dict[str, Any] = {
    "state": bindparam("new_state"),
    "lease_owner": None,
    "lease_expires_at": None,
    "answer": bindparam("new_answer"),
    "model": bindparam("new_model"),
    "usage": bindparam("new_usage"),
    "error_code": bindparam("new_error_code"),
    "error_message": bindparam("new_error_message"),
    "finished_at": bindparam("now"),
}

FINISH = Statement(
    update(jobs).where(fenced(jobs, JobState.RUNNING)).values(**_ENDED).returning(jobs.c.id), by=("row_id",)
)


# For endings that come from outside the attempt: raising the epoch fences whoever holds the row.
def _end_from_outside(*where: ColumnElement[bool]) -> Statement:
    ended = update(jobs).where(*where).values(lease_epoch=jobs.c.lease_epoch + 1, **_ENDED)
    return Statement(ended.returning(jobs.c.lease_epoch), by=("row_id",))


_not_ended = literal_column(f"state NOT IN ({', '.join(map(literal, sorted(ENDED)))})", Boolean)
END_OPEN = _end_from_outside(jobs.c.id == bindparam("row_id"), _not_ended)
END_LOST = _end_from_outside(lost(jobs, JobState.RUNNING))

REQUEUE = Statement(
    update(jobs)
    .where(fenced(jobs, JobState.RUNNING))
    .values(
        state=JobState.QUEUED,
        lease_owner=None,
        lease_expires_at=None,
        run_at=bindparam("due_at"),
        attempt=jobs.c.attempt - bindparam("given_back"),
        error_code=bindparam("new_error_code"),
        error_message=bindparam("new_error_message"),
    )
    .returning(jobs.c.id),
    by=("row_id",),
)

LEAVE_CONVERSATION = Statement(
    update(conversations)
    .where(conversations.c.id == bindparam("conversation_id"))
    .values(pending=conversations.c.pending - 1, updated_at=bindparam("now"))
    .returning(conversations.c.pending, conversations.c.erased_through),
    by=("conversation_id",),
)

INSERT_TURN = Statement(
    insert(turns).values(
        conversation_id=bindparam("conversation_id"),
        seq=bindparam("seq"),
        job_id=bindparam("job_id"),
        user_text=bindparam("user_text"),
        assistant_text=bindparam("assistant_text"),
        created_at=bindparam("now"),
    )
)

INSERT_DELIVERY = Statement(
    insert(deliveries).values(
        id=bindparam("id"),
        job_id=bindparam("job_id"),
        tenant_id=bindparam("tenant_id"),
        url=bindparam("url"),
        origin=bindparam("origin"),
        body=bindparam("body"),
        conversation_id=bindparam("conversation_id"),
        seq=bindparam("seq"),
        state=case((occupied(deliveries, OWED_STATES), DeliveryState.HELD), else_=DeliveryState.PENDING),
        run_at=bindparam("now"),
        attempt=0,
        lease_epoch=0,
        deadline_at=bindparam("deadline_at"),
        created_at=bindparam("now"),
        traceparent=bindparam("traceparent"),
    )
)

SETTLING = (END_ATTEMPT, INSERT_DELIVERY, LEAVE_CONVERSATION, INSERT_TURN, RELEASE_NEXT_JOB)
FINISH_PLAN = BatchPlan((LOCK_CONVERSATIONS, FINISH, *SETTLING))
OVERDUE_PLAN = BatchPlan((TRY_LOCK_CONVERSATION, END_OPEN, *SETTLING))
REQUEUE_PLAN = BatchPlan((REQUEUE, END_ATTEMPT, FORGET_ATTEMPT))


def carried(ending: Ending) -> int:
    """About how many bytes it writes: an answer goes into its job's row, into its turn and into its callback."""
    return 3 * len(ending.answer.text or "") if ending.answer else 0


def finish(tx: Transaction, claim: ClaimedJob, ending: Ending, report: Report, render: Render) -> Operation[bool]:
    if claim.job.conversation_id is not None:
        yield LOCK_CONVERSATIONS(conversation_ids=[claim.job.conversation_id])
    if not (yield FINISH(row_id=claim.id, epoch=claim.epoch, now=tx.now, **_outcome(ending))):
        return False
    yield from end_attempt(tx, claim.id, claim.epoch, report)
    yield from _settle(tx, claim.job, ending, render)
    return True


def end_open(tx: Transaction, job: Job, ending: Ending, render: Render) -> Operation[bool]:
    """Ends a job whatever it was doing; False if it had ended already."""
    if job.conversation_id is not None:
        yield LOCK_CONVERSATIONS(conversation_ids=[job.conversation_id])
    rows = yield END_OPEN(row_id=job.id, now=tx.now, **_outcome(ending))
    return (yield from _ended_from_outside(tx, rows, job, ending, Report(ending.state), render))


def end_overdue(tx: Transaction, job: Job, ending: Ending, render: Render) -> Operation[bool]:
    """As `end_open`, unless somebody else holds the job's line at this moment."""
    if job.conversation_id is not None and not (yield TRY_LOCK_CONVERSATION(conversation_id=job.conversation_id)):
        return False
    rows = yield END_OPEN(row_id=job.id, now=tx.now, **_outcome(ending))
    return (yield from _ended_from_outside(tx, rows, job, ending, Report(ending.state), render))


def end_lost(tx: Transaction, job: Job, epoch: int, ending: Ending, report: Report, render: Render) -> Operation[bool]:
    """As `end_overdue`, if the job's lease has run out since that epoch."""
    if job.conversation_id is not None and not (yield TRY_LOCK_CONVERSATION(conversation_id=job.conversation_id)):
        return False
    rows = yield END_LOST(row_id=job.id, epoch=epoch, now=tx.now, **_outcome(ending))
    return (yield from _ended_from_outside(tx, rows, job, ending, report, render))


def _ended_from_outside(
    tx: Transaction, rows: Rows, job: Job, ending: Ending, report: Report, render: Render
) -> Operation[bool]:
    if rows:
        yield from end_attempt(tx, job.id, rows[0][0] - 1, report)
        yield from _settle(tx, job, ending, render)
    return bool(rows)


def requeue(
    tx: Transaction, claim: ClaimedJob, delay: float, counted: bool, failure: Failure, report: Report | None
) -> Operation[bool]:
    """Without a `report` nothing was begun: no attempt is left, since it may wait for its turn a thousand times."""
    rows = yield REQUEUE(
        row_id=claim.id,
        epoch=claim.epoch,
        due_at=tx.now + int(delay * 1000),
        given_back=0 if counted else 1,
        new_error_code=failure.code,
        new_error_message=failure.message,
    )
    if rows and report is not None:
        yield from end_attempt(tx, claim.id, claim.epoch, report)
    elif rows:
        yield FORGET_ATTEMPT(row_id=claim.id, epoch=claim.epoch)
    return bool(rows)


def _outcome(ending: Ending) -> dict[str, object]:
    answer, failure = ending.answer, ending.failure
    return {
        "new_state": ending.state,
        "new_answer": answer.text if answer else None,
        "new_model": answer.model if answer else None,
        "new_usage": dump_usage(answer.usage) if answer else None,
        "new_error_code": failure.code if failure else None,
        "new_error_message": failure.message if failure else None,
    }


def _settle(tx: Transaction, job: Job, ending: Ending, render: Render) -> Operation[None]:
    tx.opened -= 1
    if job.callback_url is not None:
        yield INSERT_DELIVERY(
            id=new_id("msg_", tx.now),
            job_id=job.id,
            tenant_id=job.tenant_id,
            conversation_id=job.conversation_id,
            seq=job.seq,
            url=job.callback_url,
            origin=origin_of(job.callback_url),
            body=render(job, ending, tx.now),
            now=tx.now,
            deadline_at=tx.now + DELIVERY_DEADLINE_MS,
            traceparent=job.traceparent,
        )
    if job.conversation_id is None or job.seq is None:
        return
    rows = yield LEAVE_CONVERSATION(conversation_id=job.conversation_id, now=tx.now)
    pending, erased_through = rows[0]
    if ending.answer is not None and job.seq > erased_through and isinstance(job.request, Message):
        yield INSERT_TURN(
            conversation_id=job.conversation_id,
            seq=job.seq,
            job_id=job.id,
            user_text=job.request.message,
            assistant_text=ending.answer.text,
            now=tx.now,
        )
    if pending > 0:
        yield RELEASE_NEXT_JOB(conversation_id=job.conversation_id, now=tx.now)
