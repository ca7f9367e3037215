"""How many deliveries wait, and for how long: counts that partial indexes answer without touching a row."""

from sqlalchemy import func, select

from answerback.database.operation import Operation, Statement, Transaction
from answerback.database.sql import in_state
from answerback.database.tables import deliveries
from answerback.webhooks.model import DeliveryState

OPEN_STATES = (DeliveryState.HELD, DeliveryState.PENDING, DeliveryState.SENDING)
COUNT = {
    state: Statement(select(func.count().label("rows")).select_from(deliveries).where(in_state(deliveries, state)))
    for state in OPEN_STATES
}
OLDEST = Statement(
    select(func.min(deliveries.c.run_at).label("run_at")).where(in_state(deliveries, DeliveryState.PENDING))
)


def delivery_depth(tx: Transaction) -> Operation[tuple[dict[str, int], float]]:
    """How many by state, and for how many seconds the oldest has been due."""
    owed = {}
    for state, statement in COUNT.items():
        owed[state.value] = (yield statement())[0].rows
    due_at = (yield OLDEST())[0].run_at
    return owed, 0.0 if due_at is None else max(0.0, (tx.now - due_at) / 1000)
