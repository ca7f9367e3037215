"""Leases: claiming due rows, keeping them, giving them back. Every claim raises the row's epoch."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import (
    ColumnElement,
    FromClause,
    Table,
    and_,
    any_,
    bindparam,
    delete,
    exists,
    func,
    insert,
    literal_column,
    select,
    update,
)

from answerback.database.batching import batched
from answerback.database.operation import BatchPlan, Operation, Rows, Statement, Transaction
from answerback.database.tables import attempts, jobs
from answerback.jobs.model import ClaimedJob, JobState
from answerback.jobs.outcome import POISON_LOSSES
from answerback.jobs.ports import Claims
from answerback.jobs.records import (
    CLAIMED_JOB_COLUMNS,
    at_most,
    claimed_jobs,
    literal,
)
from answerback.queue.attempts import Report

RELEASED = Report("released")
SUSPECT_LOCK = 7020670994105524833
"""An advisory lock of the database, by a number that nobody else is likely to use."""
UNREADABLE_SECONDS = 60.0
"""After how long a job that another version of this service wrote is due again; one that can read it may be faster."""


def in_state(table: FromClause, state: JobState) -> Any:
    """For statements that look for rows: spelled out, so that a partial index serves them."""
    return table.c.state == literal_column(literal(state))


def still_in_state(table: FromClause, state: JobState) -> Any:
    """For statements that find their row by its id: bound, so that no partial index does."""
    return table.c.state == state


def fenced(table: Table, state: JobState) -> Any:
    """Nobody has taken the row since the caller claimed it.

    Not that the lease holds: it says from when on others may take the row, and whoever does moves the state or the
    epoch. As long as nobody did, nobody else answers it, and what its holder brings late is still the one answer.
    """
    return and_(
        table.c.id == bindparam("row_id"), table.c.lease_epoch == bindparam("epoch"), still_in_state(table, state)
    )


def lost(table: Table, state: JobState) -> Any:
    """The lease of this epoch has run out, and nobody has taken note of it."""
    return and_(fenced(table, state), table.c.lease_expires_at <= bindparam("now"))


def claiming(table: Table, ready: Any, leased: str, columns: Sequence[Any], postgresql: Any = None) -> Statement:
    """Leases what is `ready`, as `postgresql` has it there, and longest due."""

    def due(ready: Any) -> Any:
        longest = select(table.c.id).where(ready, table.c.run_at <= bindparam("now")).order_by(table.c.run_at)
        return longest.limit(bindparam("limit")).with_for_update(skip_locked=True)

    claimed = (
        update(table)
        .values(
            state=leased,
            attempt=table.c.attempt + 1,
            lease_epoch=table.c.lease_epoch + 1,
            lease_owner=bindparam("owner"),
            lease_expires_at=bindparam("expires_at"),
        )
        .returning(*columns)
    )
    # An array is made once, and looks short to the planner. A subquery may run again and lock other rows, and one with
    # a limit that is not known yet looks long enough to read the whole table for.
    array = func.array(due(ready if postgresql is None else postgresql).scalar_subquery())
    return Statement(claimed.where(table.c.id.in_(due(ready))), postgresql=claimed.where(table.c.id == any_(array)))


_other = jobs.alias("other")

# One past its deadline is left to the sweep.
_in_time = jobs.c.deadline_at > bindparam("now")
_suspicion: ColumnElement[int] = literal_column(str(POISON_LOSSES - 1))
_ready_jobs = and_(in_state(jobs, JobState.QUEUED), jobs.c.lease_losses < _suspicion, _in_time)
_suspect_running = exists(
    select(literal_column("1")).where(in_state(_other, JobState.RUNNING), _other.c.lease_losses >= _suspicion)
)
_ready_suspects = and_(in_state(jobs, JobState.QUEUED), jobs.c.lease_losses >= _suspicion, _in_time, ~_suspect_running)
# Whoever claims a suspect holds this until it commits; the others go on with what is no suspect. At the unique index
# they would all wait for that commit, for as long as one process stalls in it.
_no_suspect_being_claimed = func.pg_try_advisory_xact_lock(literal_column(str(SUSPECT_LOCK)))

CLAIM_JOBS = claiming(jobs, _ready_jobs, JobState.RUNNING, CLAIMED_JOB_COLUMNS)
CLAIM_SUSPECT = claiming(
    jobs,
    _ready_suspects,
    JobState.RUNNING,
    CLAIMED_JOB_COLUMNS,
    postgresql=and_(_ready_suspects, _no_suspect_being_claimed),
)
NEXT_JOB = Statement(select(jobs.c.run_at).where(_ready_jobs).order_by(jobs.c.run_at).limit(at_most(1)))

START_ATTEMPT = Statement(
    insert(attempts).values(
        of=bindparam("of"),
        epoch=bindparam("epoch"),
        number=bindparam("number"),
        status="started",
        started_at=bindparam("now"),
    )
)
END_ATTEMPT = Statement(
    update(attempts)
    .where(
        attempts.c.of == bindparam("row_id"),
        attempts.c.epoch == bindparam("row_epoch"),
        attempts.c.finished_at.is_(None),
    )
    .values(
        status=bindparam("status"),
        finished_at=bindparam("now"),
        http_status=bindparam("http_status"),
        error=bindparam("error"),
        duration_ms=func.coalesce(bindparam("duration_ms"), bindparam("now") - attempts.c.started_at),
        snippet=bindparam("snippet"),
    )
)

FORGET_ATTEMPT = Statement(
    delete(attempts).where(attempts.c.of == bindparam("row_id"), attempts.c.epoch == bindparam("epoch"))
)

_GIVEN_BACK: dict[str, Any] = {"lease_owner": None, "lease_expires_at": None, "run_at": bindparam("due_at")}


def _give_back(table: Table, leased: JobState, ready: str) -> Statement:
    return Statement(
        update(table)
        .where(fenced(table, leased))
        .values(state=ready, attempt=table.c.attempt - 1, **_GIVEN_BACK)
        .returning(table.c.id),
        by=("row_id",),
    )


RELEASE_JOB = _give_back(jobs, JobState.RUNNING, JobState.QUEUED)


def _give_back_unseen(table: Table, leased: JobState, ready: str) -> Statement:
    return Statement(
        update(table)
        .where(in_state(table, leased), table.c.lease_owner == bindparam("owner"))
        .values(state=ready, attempt=table.c.attempt - 1, **_GIVEN_BACK)
        .returning(table.c.id, table.c.lease_epoch)
    )


RELEASE_UNSEEN_JOBS = _give_back_unseen(jobs, JobState.RUNNING, JobState.QUEUED)


def _extend(table: Table, leased: JobState) -> Statement:
    return Statement(
        update(table)
        .where(fenced(table, leased))
        .values(lease_expires_at=bindparam("expires_at"))
        .returning(table.c.id),
        by=("row_id",),
    )


EXTEND_JOB = _extend(jobs, JobState.RUNNING)


def claim_jobs(
    tx: Transaction, owner: str, limit: int, lease_seconds: float, unconfirmed: Sequence[str]
) -> Operation[Claims]:
    """At most one suspect is under way in the whole database: a lost worker then poisons that one, no bystanders.

    `unconfirmed` are owners of whom nobody knows whether they own anything: what they do is given back first. What only
    another version of this service can read is left to that, and its attempt does not count.
    """
    yield from release_unseen(tx, RELEASE_UNSEEN_JOBS, unconfirmed)
    expires_at = tx.now + int(lease_seconds * 1000)
    suspects = yield CLAIM_SUSPECT(now=tx.now, owner=owner, limit=1, expires_at=expires_at)
    others = yield CLAIM_JOBS(now=tx.now, owner=owner, limit=limit - len(suspects), expires_at=expires_at)
    rows = (*suspects, *others)
    claimed, unreadable = claimed_jobs(rows, tx.now)
    if unreadable:
        later = tx.now + int(UNREADABLE_SECONDS * 1000)
        yield RELEASE_JOB.each([{"row_id": row_id, "epoch": epoch, "due_at": later} for row_id, epoch in unreadable])
    yield from start_attempts(tx, claimed)
    next_in = 0.0 if len(rows) == limit else seconds_until((yield NEXT_JOB(now=tx.now)), tx.now)
    return Claims(jobs=claimed, next_in=next_in, unreadable=[row_id for row_id, _ in unreadable])


def seconds_until(rows: Rows, now: int) -> float | None:
    return max(0.0, (rows[0][0] - now) / 1000) if rows else None


def release_unseen(tx: Transaction, statement: Statement, unconfirmed: Sequence[str]) -> Operation[None]:
    for owner in unconfirmed:
        for row_id, epoch in (yield statement(owner=owner, due_at=tx.now)):
            yield from end_attempt(tx, row_id, epoch, RELEASED)


def start_attempts(tx: Transaction, claimed: Sequence[ClaimedJob]) -> Operation[None]:
    if claimed:
        yield START_ATTEMPT.many(
            [{"of": claim.id, "epoch": claim.epoch, "number": claim.attempt, "now": tx.now} for claim in claimed]
        )


def end_attempt(tx: Transaction, row_id: str, epoch: int, report: Report) -> Operation[None]:
    yield END_ATTEMPT(
        row_id=row_id,
        row_epoch=epoch,
        now=tx.now,
        status=report.status,
        http_status=report.http_status,
        error=report.error,
        duration_ms=report.duration_ms,
        snippet=report.snippet,
    )


def extend(
    tx: Transaction, statement: Statement, held: Sequence[tuple[str, int]], lease_seconds: float
) -> Operation[set[str]]:
    """Whom of `(id, epoch)` the caller still holds. A lease that ran out is renewed if nobody took it: after an outage
    of the database that is what keeps it from being counted as lost."""
    expires_at = tx.now + int(lease_seconds * 1000)
    # In the order in which every transaction locks rows.
    wanted = [{"row_id": row_id, "epoch": epoch, "expires_at": expires_at} for row_id, epoch in sorted(held)]
    return {row.id for _, row in (yield statement.each(wanted))}


def release(tx: Transaction, statement: Statement, claims: Sequence[tuple[str, int, float]]) -> Operation[None]:
    """Gives back `(id, epoch, seconds until due)`; the attempt does not count.

    One given back for later was not begun, and leaves no row: it may be deferred a thousand times.
    """
    steps = BatchPlan((statement, FORGET_ATTEMPT, END_ATTEMPT))
    yield from batched((_release(tx, statement, *claim) for claim in claims), steps)


def _release(tx: Transaction, statement: Statement, row_id: str, epoch: int, delay: float) -> Operation[None]:
    if not (yield statement(row_id=row_id, epoch=epoch, due_at=tx.now + int(delay * 1000))):
        return
    if delay > 0:
        yield FORGET_ATTEMPT(row_id=row_id, epoch=epoch)
    else:
        yield from end_attempt(tx, row_id, epoch, RELEASED)
