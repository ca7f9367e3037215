"""How many jobs wait, and for how long: counts that partial indexes answer without touching a row."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import and_, bindparam, func, literal_column, select

from answerback.database.operation import Operation, Rows, Statement, Transaction
from answerback.database.sql import Either, at_most, in_state
from answerback.database.tables import jobs
from answerback.jobs.kind import JobState, Queue
from answerback.jobs.pages import KINDS
from answerback.kernel.telemetry import Depth
from answerback.queue.fair_order import has_rank
from answerback.webhooks.depth import delivery_depth, delivery_depth_of_tenant

OPEN_STATES = (
    *(JobState.SCHEDULED, JobState.HELD, JobState.QUEUED),
    *(JobState.RUNNING, JobState.AWAITING, JobState.QUARANTINED),
)


_ZERO: Any = literal_column("0")
_NO_TEXT: Any = literal_column("''")


def _where(state: JobState) -> Sequence[Any]:
    """Also what PostgreSQL's index asks for."""
    also: Mapping[JobState, Any] = {JobState.QUEUED: has_rank(jobs), JobState.SCHEDULED: jobs.c.run_at >= _ZERO}
    return [in_state(jobs, state), *([also[state]] if state in also else [])]


_INDEXED: Mapping[JobState, Any] = {
    JobState.SCHEDULED: jobs.c.queue >= _NO_TEXT,
    JobState.HELD: jobs.c.conversation_id >= _ZERO,
    JobState.RUNNING: jobs.c.lease_expires_at >= _ZERO,
    JobState.AWAITING: jobs.c.run_at >= _ZERO,
    JobState.QUARANTINED: and_(jobs.c.tenant_id >= _NO_TEXT, jobs.c.run_at >= _ZERO),
}
"""True of each row, of what the index of a state begins with. Where nothing is asked of that, SQLite reads the index of
all jobs instead, whatever their state."""


def _count(state: JobState) -> Statement:
    counted = select(func.count().label("rows")).where(*_where(state))
    return Statement(counted.where(_INDEXED[state]) if state in _INDEXED else counted, postgresql=counted)


COUNT = {state: _count(state) for state in OPEN_STATES}
_next_queued = (
    select(jobs.c.run_at)
    .where(*_where(JobState.QUEUED), jobs.c.queue == Queue.INTERACTIVE.value)
    .order_by(jobs.c.rank)
    .limit(at_most(1))
)
NEXT_QUEUED = Statement(_next_queued)
NEXT_QUEUED_OF_TENANT = Statement(_next_queued.where(jobs.c.tenant_id == bindparam("tenant_id")))
COUNT_OF_TENANT = Statement(
    select(func.count().label("rows")).where(
        jobs.c.tenant_id == bindparam("tenant_id"),
        jobs.c.kind == bindparam("kind"),
        jobs.c.state == bindparam("state"),
    )
)
# By the column itself, SQLite would walk along the tenants through all jobs, ended ones too, and read every row.
_tenant = Either(jobs.c.tenant_id.op("||")(literal_column("''")), jobs.c.tenant_id)
OPEN_JOBS = Statement(
    select(_tenant.label("tenant_id"), func.count().label("rows")).where(jobs.c.finished_at.is_(None)).group_by(_tenant)
)


def open_jobs(_: Transaction) -> Operation[dict[str, int]]:
    """How many jobs have not ended, by tenant."""
    return {row.tenant_id: int(row.rows) for row in (yield OPEN_JOBS())}


def depth_of_tenant(tx: Transaction, tenant_id: str) -> Operation[Depth]:
    """As `depth`, of one tenant."""
    waiting = dict.fromkeys((state.value for state in OPEN_STATES), 0)
    kinds = [row.kind for row in (yield KINDS(tenant_id=tenant_id))]
    sets = [{"tenant_id": tenant_id, "kind": kind, "state": state.value} for kind in kinds for state in OPEN_STATES]
    for index, row in (yield COUNT_OF_TENANT.each(sets)):
        waiting[sets[index]["state"]] += row.rows
    queued = yield NEXT_QUEUED_OF_TENANT(tenant_id=tenant_id)
    owed = yield from delivery_depth_of_tenant(tenant_id)
    return Depth(waiting, owed, _waited(tx, queued))


def depth(tx: Transaction) -> Operation[Depth]:
    waiting = {}
    for state, statement in COUNT.items():
        waiting[state.value] = (yield statement())[0].rows
    queued = yield NEXT_QUEUED()
    owed, oldest_delivery = yield from delivery_depth(tx)
    return Depth(waiting, owed, _waited(tx, queued), oldest_delivery)


def _waited(tx: Transaction, queued: Rows) -> float:
    """For how many seconds the next job has been due."""
    return max(0.0, (tx.now - queued[0].run_at) / 1000) if queued else 0.0
