"""Claiming jobs: due ones are promoted to queued, and queued ones leased in the order of their rank."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import bindparam, literal_column, select, update

from answerback.database.operation import Operation, Statement, Transaction
from answerback.database.sql import at_most, in_state, still_in_state
from answerback.database.tables import jobs
from answerback.jobs.kind import Claimed, JobState, Queue, Registry
from answerback.jobs.model import JobClaims
from answerback.jobs.order import rank
from answerback.jobs.recover import QUARANTINE_LOSSES
from answerback.jobs.reschedule import PUT_OFF_UNREADABLE
from answerback.jobs.rows import CLAIMED_COLUMNS, claimed_of
from answerback.queue.attempts import Report, ending_attempt, entry
from answerback.queue.fair_order import ranking
from answerback.queue.leases import claiming, extending, fenced, releasing_unconfirmed

RELEASED = Report("released")
PROMOTED_AT_ONCE = 200
UNREADABLE_SECONDS = 60.0
"""A job that only another version of this service can read is due again after this time; that version may then claim it
first."""

# A due job that has lost two leases is quarantined by the sweep.
_scheduled = (in_state(jobs, JobState.SCHEDULED), jobs.c.lease_losses < literal_column(str(QUARANTINE_LOSSES)))
_due = (
    select(jobs.c.id)
    .where(*_scheduled, jobs.c.run_at <= bindparam("now"))
    .order_by(jobs.c.run_at)
    .limit(at_most(PROMOTED_AT_ONCE))
    .with_for_update(skip_locked=True)
)
DUE = Statement(_due)
# One at a time: each ranks behind those of its tenant before it.
PROMOTE = ranking(
    lambda larger: (
        update(jobs)
        .where(jobs.c.id == bindparam("row_id"), still_in_state(jobs, JobState.SCHEDULED))
        .values(state=JobState.QUEUED, rank=rank(jobs.c.queue, jobs.c.tenant_id, larger))
    ),
    by=("row_id",),
)

# A job past its deadline is left to the sweep.
_next = (
    select(jobs.c.id)
    .where(
        in_state(jobs, JobState.QUEUED), jobs.c.queue == bindparam("of_queue"), jobs.c.deadline_at > bindparam("now")
    )
    .order_by(jobs.c.rank)
    .limit(bindparam("limit"))
    .with_for_update(skip_locked=True)
)
CLAIM = claiming(jobs, _next, JobState.RUNNING, CLAIMED_COLUMNS)
NEXT_SCHEDULED = Statement(select(jobs.c.run_at).where(*_scheduled).order_by(jobs.c.run_at).limit(at_most(1)))

EXTEND = extending(jobs, JobState.RUNNING)
RELEASE_UNCONFIRMED = releasing_unconfirmed(jobs, JobState.RUNNING, JobState.QUEUED)
RELEASE = ending_attempt(jobs, fenced(jobs, JobState.RUNNING), state=JobState.QUEUED, attempt=jobs.c.attempt - 1)


def claim(
    tx: Transaction, kinds: Registry, owner: str, limit: int, lease_seconds: float, unconfirmed: Sequence[str]
) -> Operation[JobClaims]:
    """`unconfirmed` are names of claims whose commit was not answered: their jobs are given back first. A job that only
    another version of this service can read is put off, and its attempt does not count."""
    for name in unconfirmed:
        yield RELEASE_UNCONFIRMED(owner=name)
    promoted = yield DUE(now=tx.now)
    if promoted:
        yield PROMOTE.many([{"row_id": row.id} for row in promoted])
    rows = yield CLAIM(
        now=tx.now,
        wall=tx.wall,
        of_queue=Queue.INTERACTIVE,
        owner=owner,
        limit=limit,
        expires_at=tx.now + int(lease_seconds * 1000),
    )
    claimed: list[Claimed[Any]] = []
    unreadable: list[dict[str, Any]] = []
    for row in sorted(rows, key=lambda row: str(row.id)):
        if (each := claimed_of(row, kinds, tx)) is not None:
            claimed.append(each)
        else:
            due_at = tx.now + int(UNREADABLE_SECONDS * 1000)
            unreadable.append({"row_id": row.id, "epoch": row.lease_epoch, "due_at": due_at})
    if unreadable:
        yield PUT_OFF_UNREADABLE.each(unreadable)
    if len(rows) == limit or len(promoted) == PROMOTED_AT_ONCE:
        next_in: float | None = 0.0
    else:
        scheduled = yield NEXT_SCHEDULED()
        next_in = max(0.0, (scheduled[0].run_at - tx.now) / 1000) if scheduled else None
    return JobClaims(claimed, next_in, [each["row_id"] for each in unreadable])


def release(tx: Transaction, held: Sequence[tuple[str, int]]) -> Operation[None]:
    """Releases leases of `(id, epoch)`: the rows are due at once; the attempts do not count."""
    report = entry(RELEASED, tx.wall)
    yield RELEASE.each([{"row_id": row_id, "epoch": epoch, "attempt_entry": report} for row_id, epoch in sorted(held)])
