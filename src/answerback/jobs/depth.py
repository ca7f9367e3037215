"""How many jobs wait, and for how long: counts that partial indexes answer without touching a row."""

from answerback.database.dialect import Dialect
from answerback.database.operation import Operation, Transaction
from answerback.database.predicates import OPEN
from answerback.database.statement import Rows, Statement
from answerback.jobs.kind import JobState, Queue
from answerback.jobs.pages import KINDS
from answerback.kernel.telemetry import Depth
from answerback.queue.fair_order import has_rank
from answerback.webhooks.depth import delivery_depth, delivery_depth_of_tenant

OPEN_STATES = (
    *(JobState.SCHEDULED, JobState.HELD, JobState.QUEUED),
    *(JobState.RUNNING, JobState.AWAITING, JobState.QUARANTINED),
)


_ASKED = {JobState.QUEUED: has_rank("jobs"), JobState.SCHEDULED: "run_at >= 0"}
"""What PostgreSQL's index of a state asks for."""
_INDEXED = {
    JobState.SCHEDULED: "queue >= ''",
    JobState.HELD: "conversation_id >= 0",
    JobState.RUNNING: "lease_expires_at >= 0",
    JobState.AWAITING: "run_at >= 0",
    JobState.QUARANTINED: "tenant_id >= '' AND run_at >= 0",
}
"""True of each row, of what the index of a state begins with. Where nothing is asked of that, SQLite reads the index of
all jobs instead, whatever their state."""


def _count(state: JobState) -> Statement:
    def counted(dialect: Dialect) -> str:
        where = [f"state = '{state}'", _ASKED.get(state), dialect.either(_INDEXED.get(state, ""), "")]
        return f"SELECT count(*) AS rows FROM jobs WHERE {' AND '.join(filter(None, where))}"

    return Statement(counted)


COUNT = {state: _count(state) for state in OPEN_STATES}
_OF_QUEUE = f"queue = :queue AND state = 'queued' AND {has_rank('jobs')}"
NEXT_QUEUED = Statement(f"SELECT run_at FROM jobs WHERE {_OF_QUEUE} ORDER BY rank LIMIT 1")
NEXT_QUEUED_OF_TENANT = Statement(
    f"SELECT run_at FROM jobs WHERE {_OF_QUEUE} AND tenant_id = :tenant_id ORDER BY rank LIMIT 1"
)
COUNT_OF_TENANT = Statement(
    "SELECT count(*) AS rows FROM jobs WHERE tenant_id = :tenant_id AND kind = :kind AND state = :state"
)


def _open_jobs(dialect: Dialect) -> str:
    # By the column itself, SQLite would walk along the tenants through all jobs, ended ones too, and read every row.
    tenant = dialect.either("tenant_id || ''", "tenant_id")
    return f"SELECT {tenant} AS tenant_id, count(*) AS rows FROM jobs WHERE {OPEN} GROUP BY {tenant}"


OPEN_JOBS = Statement(_open_jobs)


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
    queued = yield NEXT_QUEUED_OF_TENANT(queue=Queue.INTERACTIVE, tenant_id=tenant_id)
    owed = yield from delivery_depth_of_tenant(tenant_id)
    return Depth(waiting, owed, _waited(tx, queued))


def depth(tx: Transaction) -> Operation[Depth]:
    waiting = {}
    for state, statement in COUNT.items():
        waiting[state.value] = (yield statement())[0].rows
    queued = yield NEXT_QUEUED(queue=Queue.INTERACTIVE)
    owed, oldest_delivery = yield from delivery_depth(tx)
    return Depth(waiting, owed, _waited(tx, queued), oldest_delivery)


def _waited(tx: Transaction, queued: Rows) -> float:
    """For how many seconds the next job has been due."""
    return max(0.0, (tx.now - queued[0].run_at) / 1000) if queued else 0.0
