"""How many deliveries wait, and for how long: counts that partial indexes answer without touching a row."""

from sqlalchemy import func, literal_column, select

from answerback.database.operation import Operation, Statement, Transaction
from answerback.database.sql import in_state
from answerback.database.tables import deliveries
from answerback.webhooks.model import DeliveryState

COUNT = {
    state: Statement(select(func.count().label("rows")).select_from(deliveries).where(in_state(deliveries, state)))
    for state in (DeliveryState.HELD, DeliveryState.SENDING)
}
PENDING = Statement(
    select(func.count().label("rows"), func.min(deliveries.c.run_at).label("run_at")).where(
        # True of every row; it chooses the index that has `run_at`.
        in_state(deliveries, DeliveryState.PENDING),
        deliveries.c.tenant_id > literal_column("''"),
    )
)


def delivery_depth(tx: Transaction) -> Operation[tuple[dict[str, int], float]]:
    """How many by state, and for how many seconds the oldest has been due."""
    owed = {}
    for state, statement in COUNT.items():
        owed[state.value] = (yield statement())[0].rows
    (pending,) = yield PENDING()
    owed[DeliveryState.PENDING.value] = pending.rows
    return owed, 0.0 if pending.run_at is None else max(0.0, (tx.now - pending.run_at) / 1000)
