"""Promoting scheduled jobs that are due: from then on they have a rank among what is queued."""

from sqlalchemy import bindparam, literal_column, select, update

from answerback.database.operation import Operation, Statement, Transaction
from answerback.database.sql import at_most, in_state, still_in_state
from answerback.database.tables import jobs
from answerback.jobs.kind import JobState, Queue
from answerback.jobs.order import rank
from answerback.queue.loose_scan import around, loose_scan

PROMOTED_AT_ONCE = 200
SHARED = 100
"""How many of these are for tenants in turn where more is due: for so many tenants at most, one each at least."""

_scheduled = (in_state(jobs, JobState.SCHEDULED), jobs.c.queue == bindparam("queue"))
_due_first = select(jobs.c.id, jobs.c.run_at).order_by(jobs.c.run_at).with_for_update(skip_locked=True)
DUE = Statement(_due_first.where(*_scheduled, jobs.c.run_at <= bindparam("now")).limit(at_most(PROMOTED_AT_ONCE)))
# Without comparing `run_at`: by the index of all tenants PostgreSQL would read their backlogs.
FIRST_OF_TENANT = Statement(
    _due_first.where(*_scheduled, jobs.c.tenant_id == bindparam("tenant_id")).limit(bindparam("limit"))
)
SCHEDULED_TENANTS = loose_scan(
    jobs, JobState.SCHEDULED, ("tenant_id",), "run_at", ("tenant_id", "run_at"), SHARED, same="queue"
)
NEXT_SCHEDULED = Statement(
    select(jobs.c.run_at)
    .where(*_scheduled, jobs.c.run_at >= literal_column("0"))
    .order_by(jobs.c.run_at)
    .limit(at_most(1))
)
# One at a time: each ranks behind those of its tenant before it.
PROMOTE = Statement(
    update(jobs)
    .where(jobs.c.id == bindparam("row_id"), still_in_state(jobs, JobState.SCHEDULED))
    .values(state=JobState.QUEUED, rank=rank(jobs.c.queue, jobs.c.tenant_id)),
    by=("row_id",),
)


def promote(tx: Transaction, queue: Queue, after: str) -> Operation[str | None]:
    """Queues jobs that are due; None: no more are. Where more may be, those of tenants in turn come first, from the one
    behind `after` on: none waits for the backlog of another. The rest are those that have been due longest. Then the
    tenant behind which the next turns begin."""
    reached: str | None = None
    due = [row.id for row in (yield DUE(queue=queue, now=tx.now))]
    if len(due) == PROMOTED_AT_ONCE:
        of_each, reached = yield from _due_of_each_tenant(tx, queue, after)
        due = [*of_each, *due]
    if due:
        yield PROMOTE.many([{"row_id": row_id} for row_id in list(dict.fromkeys(due))[:PROMOTED_AT_ONCE]])
    return reached


def _due_of_each_tenant(tx: Transaction, queue: Queue, after: str) -> Operation[tuple[list[str], str]]:
    stops, reached = yield from around(SCHEDULED_TENANTS, after, SHARED, queue=queue)
    tenant_ids = [stop.tenant_id for stop in stops if stop.run_at <= tx.now]
    wanted = {"queue": queue, "limit": SHARED // max(1, len(tenant_ids))}
    found = yield FIRST_OF_TENANT.each([{**wanted, "tenant_id": tenant_id} for tenant_id in tenant_ids])
    return [row.id for _, row in found if row.run_at <= tx.now], reached
