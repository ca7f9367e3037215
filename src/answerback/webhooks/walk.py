"""Walking from origin to origin: where deliveries wait, and from when on. Each origin costs an index probe or two,
however many wait there.

Each claim looks at the first origins of every tenant, in turn. Where those are not all, it also takes a step of a round
past all of them: behind hundreds of origins that take nothing now stands one that does.
"""

from answerback.database.operation import Operation, Row, Statement
from answerback.database.tables import deliveries
from answerback.queue.loose_scan import in_turn, loose_scan
from answerback.webhooks.model import DeliveryState, OriginKey, Round

WALK_LENGTH = 256
"""How many origins a walk, and a step of the round, look at."""
START = OriginKey("", "")

_COLUMNS = ("tenant_id", "origin", "run_at", "created_at", "unreached_at")
"""Of each origin's delivery due first."""
WALK = in_turn(deliveries, DeliveryState.PENDING, "tenant_id", "origin", "run_at", _COLUMNS, WALK_LENGTH)
ROUND: Statement = loose_scan(
    deliveries, DeliveryState.PENDING, ("tenant_id", "origin"), "run_at", _COLUMNS, WALK_LENGTH
)


def walk(under_way: Round | None) -> Operation[tuple[list[Row], OriginKey | None]]:
    """The origins to look at now, by the delivery due first at each; and where the round goes on, None: there are no
    others."""
    stops = list((yield WALK()))
    if len(stops) < WALK_LENGTH:
        return stops, None
    step = yield ROUND(**(START if under_way is None else under_way.reached)._asdict())
    seen = {origin_at(stop) for stop in stops}
    stops += [stop for stop in step if origin_at(stop) not in seen]
    return stops, origin_at(step[-1]) if len(step) == WALK_LENGTH else None


def origin_at(stop: Row) -> OriginKey:
    return OriginKey(stop.tenant_id, stop.origin)
