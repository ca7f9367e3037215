"""How many deliveries wait, and for how long: counts that partial indexes answer without touching a row."""

from typing import Any

from sqlalchemy import bindparam, func, literal_column, select

from answerback.database.operation import Operation, Statement, Transaction
from answerback.database.sql import Either, in_state
from answerback.database.tables import deliveries
from answerback.webhooks.model import DeliveryState

COUNT = {
    state: Statement(select(func.count().label("rows")).select_from(deliveries).where(in_state(deliveries, state)))
    for state in (DeliveryState.HELD, DeliveryState.SENDING)
}
_NO_TEXT: Any = literal_column("''")
_has_id: Any = deliveries.c.id.op("||")(_NO_TEXT) > _NO_TEXT
"""True of every row; it chooses PostgreSQL's index of dead ones. By the id itself the primary key would serve, too."""
DEAD = Statement(
    select(func.count().label("rows")).where(
        in_state(deliveries, DeliveryState.DEAD), Either(deliveries.c.tenant_id > _NO_TEXT, _has_id)
    )
)


def _of_tenant(state: DeliveryState, *where: Any) -> Statement:
    owned = deliveries.c.tenant_id == bindparam("tenant_id")
    return Statement(select(func.count().label("rows")).where(owned, in_state(deliveries, state), *where))


# Each with what the index says that serves it.
COUNT_OF_TENANT = {
    DeliveryState.PENDING: _of_tenant(DeliveryState.PENDING),
    DeliveryState.HELD: _of_tenant(
        DeliveryState.HELD,
        deliveries.c.endpoint_id.is_(None),
        literal_column("deliveries.state <> 'sending'"),
        deliveries.c.job_id > _NO_TEXT,
    ),
    DeliveryState.SENDING: _of_tenant(DeliveryState.SENDING, deliveries.c.lease_expires_at > literal_column("0")),
    DeliveryState.DEAD: _of_tenant(DeliveryState.DEAD, _has_id),
}
PENDING = Statement(
    select(func.count().label("rows"), func.min(deliveries.c.run_at).label("run_at")).where(
        # True of every row; it chooses the index that has `run_at`.
        in_state(deliveries, DeliveryState.PENDING),
        deliveries.c.tenant_id > _NO_TEXT,
    )
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
