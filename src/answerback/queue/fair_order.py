"""Fair order: which tenant's row is next, by start-time fair queueing.

A row gets its rank when it becomes queued, and rows are claimed in the order of their ranks. The rank is one step
behind the larger of two: the queue's virtual time, which is the largest rank among its running rows, else the smallest
among its queued ones; and the largest rank among the tenant's own queued rows. So a tenant that queues twenty thousand
rows puts its next one behind them, another tenant's first goes ahead of them, and a tenant that queued nothing for an
hour has saved up nothing. A row that is given back keeps its rank.

P. Goyal, H. M. Vin, H. Cheng: Start-time Fair Queueing, SIGCOMM 1996; here every row counts as long as every other.
"""

from answerback.database.dialect import Dialect

STEP = 1_000_000
"""What a row of a tenant of weight 1 adds to its tenant's last rank."""
MAX_WEIGHT = 1_000


def has_rank(table: str) -> str:
    """True of every row. On PostgreSQL the index of ranks serves the queries that say so, and no others."""
    return f"{table}.rank >= 0"


def next_rank(dialect: Dialect, table: str, queue: str, tenant_id: str, nth: str = "1") -> str:
    """The rank of a row of `queue` and `tenant_id`, columns or parameters, that becomes queued now. `nth` counts, from
    1 on, the rows of the tenant that become queued by the same statement."""

    def rank_of(state: str, order: str, *where: str) -> str:
        found = " AND ".join((f"peers.queue = {queue}", f"peers.state = '{state}'", *where))
        return f"(SELECT peers.rank FROM {table} AS peers WHERE {found} ORDER BY peers.rank {order} LIMIT 1)"

    first = rank_of("queued", "ASC", has_rank("peers"))
    virtual_time = f"coalesce({rank_of('running', 'DESC')}, {first}, 0)"
    own = f"coalesce({rank_of('queued', 'DESC', f'peers.tenant_id = {tenant_id}')}, 0)"
    weight = f"coalesce((SELECT tenants.weight FROM tenants WHERE tenants.id = {tenant_id}), 1)"
    return f"{dialect.larger(virtual_time, own)} + {nth} * ({STEP} / {weight})"
