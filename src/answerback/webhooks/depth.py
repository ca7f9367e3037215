"""How many deliveries wait, and for how long: counts that partial indexes answer without touching a row."""

from answerback.database.operation import Operation, Transaction
from answerback.database.predicates import LISTED
from answerback.database.statement import Statement
from answerback.webhooks.model import DeliveryState

_COUNT = "SELECT count(*) AS rows FROM deliveries WHERE"
COUNT = {
    DeliveryState.HELD: Statement(f"{_COUNT} state = 'held' AND conversation_id > 0"),
    DeliveryState.SENDING: Statement(f"{_COUNT} state = 'sending'"),
}
# True of every row; each chooses an index. By the id itself PostgreSQL's primary key would serve, too.
_HAS_TENANT, _HAS_ID = "tenant_id > ''", "id || '' > ''"
DEAD = Statement(lambda dialect: f"{_COUNT} state = 'dead' AND {dialect.either(_HAS_TENANT, _HAS_ID)}")
_OF_TENANT = f"{_COUNT} tenant_id = :tenant_id"
# Each with what the index says that serves it.
COUNT_OF_TENANT = {
    DeliveryState.PENDING: Statement(f"{_OF_TENANT} AND state = 'pending'"),
    DeliveryState.HELD: Statement(f"{_OF_TENANT} AND state = 'held' AND {LISTED} AND job_id > ''"),
    DeliveryState.SENDING: Statement(f"{_OF_TENANT} AND state = 'sending' AND lease_expires_at > 0"),
    DeliveryState.DEAD: Statement(f"{_OF_TENANT} AND state = 'dead' AND {_HAS_ID}"),
}
# By the tenant: that index has `run_at`.
PENDING = Statement(
    f"SELECT count(*) AS rows, min(run_at) AS run_at FROM deliveries WHERE state = 'pending' AND {_HAS_TENANT}"
)


def delivery_depth_of_tenant(tenant_id: str) -> Operation[dict[str, int]]:
    """How many by state, dead ones too. Of those that are held, only what is owed to the callback URLs of requests:
    no index has the others by tenant."""
    counted = {}
    for state, statement in COUNT_OF_TENANT.items():
        counted[state.value] = (yield statement(tenant_id=tenant_id))[0].rows
    return counted


def count_dead() -> Operation[int]:
    """Of all tenants."""
    return int((yield DEAD())[0].rows)


def delivery_depth(tx: Transaction) -> Operation[tuple[dict[str, int], float]]:
    """How many by state, and for how many seconds the oldest has been due."""
    owed = {}
    for state, statement in COUNT.items():
        owed[state.value] = (yield statement())[0].rows
    (pending,) = yield PENDING()
    owed[DeliveryState.PENDING.value] = pending.rows
    return owed, 0.0 if pending.run_at is None else max(0.0, (tx.now - pending.run_at) / 1000)
