"""Fair order: which tenant's row is next, by start-time fair queueing.

A row gets its rank when it becomes queued, and rows are claimed in the order of their ranks. The rank is one step
behind the larger of two: the queue's virtual time, which is the largest rank among its running rows, else the smallest
among its queued ones; and the largest rank among the tenant's own queued rows. So a tenant that queues twenty thousand
rows puts its next one behind them, another tenant's first goes ahead of them, and a tenant that queued nothing for an
hour has saved up nothing. A row that is given back keeps its rank.

P. Goyal, H. M. Vin, H. Cheng: Start-time Fair Queueing, SIGCOMM 1996; here every row counts as long as every other.
"""

from typing import Any

from sqlalchemy import ColumnElement, FromClause, Integer, Table, func, literal_column, select

from answerback.database.sql import aliased, at_most, in_state, larger
from answerback.database.tables import tenants

STEP = 1_000_000
"""What a row of a tenant of weight 1 adds to its tenant's last rank."""
MAX_WEIGHT = 1_000


def has_rank(table: FromClause) -> Any:
    """True of every row. On PostgreSQL the index of ranks serves the queries that say so, and no others."""
    return table.c.rank >= _number(0)


def next_rank(table: Table, queue: Any, tenant_id: Any, nth: Any = None, *, queued: str, running: str) -> Any:
    """The rank of a row of `queue` and `tenant_id`, columns or bound parameters, that becomes queued now. `nth` counts,
    from 1 on, the rows of the tenant that become queued by the same statement; None where there is one."""
    peers = aliased(table, "peers")

    def rank_of(state: str, order: Any, *where: Any) -> ColumnElement[int]:
        found = select(peers.c.rank).where(peers.c.queue == queue, in_state(peers, state), *where)
        return found.order_by(order).limit(at_most(1)).correlate_except(peers).scalar_subquery()

    last = rank_of(running, peers.c.rank.desc())
    virtual_time = func.coalesce(last, rank_of(queued, peers.c.rank, has_rank(peers)), _number(0))
    own = func.coalesce(rank_of(queued, peers.c.rank.desc(), peers.c.tenant_id == tenant_id), _number(0))
    weight = select(tenants.c.weight).where(tenants.c.id == tenant_id).correlate_except(tenants).scalar_subquery()
    step = _number(STEP) // func.coalesce(weight, _number(1))
    return larger(virtual_time, own) + (step if nth is None else nth * step)


def _number(value: int) -> ColumnElement[int]:
    return literal_column(str(value), Integer)
