"""Promoting scheduled jobs that are due: from then on they have a rank among what is queued."""

from answerback.database.operation import Operation, Transaction
from answerback.database.sql import still_in_state
from answerback.database.statement import Statement
from answerback.jobs.kind import JobState, Queue
from answerback.jobs.order import rank
from answerback.queue.loose_scan import around, loose_scan

PROMOTED_AT_ONCE = 200
SHARED = 100
"""How many of these are for tenants in turn where more is due: for so many tenants at most, one each at least."""

_SCHEDULED = "state = 'scheduled' AND queue = :queue"


def _due_first(which: str, limit: str) -> Statement:
    return Statement(
        lambda dialect: (
            f"""
        SELECT id, run_at FROM jobs WHERE {_SCHEDULED} AND {which}
        ORDER BY run_at LIMIT {limit}
        {dialect.locking("FOR UPDATE SKIP LOCKED")}"""
        )
    )


DUE = _due_first("run_at <= :now", str(PROMOTED_AT_ONCE))
# Without comparing `run_at`: by the index of all tenants PostgreSQL would read their backlogs.
FIRST_OF_TENANT = _due_first("tenant_id = :tenant_id", ":limit")
SCHEDULED_TENANTS = loose_scan(
    "jobs", JobState.SCHEDULED, ("tenant_id",), "run_at", ("tenant_id", "run_at"), SHARED, same="queue"
)
NEXT_SCHEDULED = Statement(f"SELECT run_at FROM jobs WHERE {_SCHEDULED} AND run_at >= 0 ORDER BY run_at LIMIT 1")
# One at a time: each ranks behind those of its tenant before it.
PROMOTE = Statement(
    lambda dialect: (
        f"""
    UPDATE jobs SET state = 'queued', rank = {rank(dialect)}
    WHERE id = :row_id AND {still_in_state("jobs", JobState.SCHEDULED)}"""
    ),
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
