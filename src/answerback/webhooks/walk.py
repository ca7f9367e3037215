"""Walking from origin to origin: where deliveries wait, and from when on. Each origin costs an index probe or two,
however many wait there.

Each claim looks at the first origins of every tenant, in turn. Where there are more tenants than it looks at, the next
claim begins behind the last of them. Where those origins are not all, it also takes a step of a round past all of them:
behind hundreds of origins that take nothing now stands one that does.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from answerback.database.operation import Operation
from answerback.database.statement import Row
from answerback.queue.loose_scan import in_turn, loose_scan
from answerback.webhooks.model import DeliveryState, OriginKey, Round

WALK_LENGTH = 256
"""How many origins a walk, and a step of the round, look at."""
START = OriginKey("", "")

_COLUMNS = ("tenant_id", "origin", "run_at", "created_at", "unreached_at")
"""Of each origin's delivery due first."""
WALK = in_turn("deliveries", DeliveryState.PENDING, "tenant_id", "origin", "run_at", _COLUMNS, WALK_LENGTH)
ROUND = loose_scan("deliveries", DeliveryState.PENDING, ("tenant_id", "origin"), "run_at", _COLUMNS, WALK_LENGTH)


@dataclass(frozen=True, slots=True)
class Walked:
    """The origins to look at now, by the delivery due first at each. The next walk begins behind the tenant `to`; the
    round goes on behind `reached`, None: there are no other origins."""

    stops: list[Row]
    to: str
    reached: OriginKey | None


def walk(after: str, under_way: Round | None) -> Operation[Walked]:
    """Begins behind the tenant `after`."""
    stops, to = yield from _in_turn(after)
    if len(stops) < WALK_LENGTH:
        return Walked(stops, to, None)
    step = yield ROUND(**(START if under_way is None else under_way.reached)._asdict())
    seen = {origin_at(stop) for stop in stops}
    stops += [stop for stop in step if origin_at(stop) not in seen]
    return Walked(stops, to, origin_at(step[-1]) if len(step) == WALK_LENGTH else None)


def _in_turn(after: str) -> Operation[tuple[list[Row], str]]:
    """From the first tenant on where a walk reaches all. Otherwise of each tenant its first origin only, from the one
    behind `after` on, past the last to the first: so each is looked at as often as any other."""
    stops = list((yield WALK(tenant_id=after)))
    firsts = _of_each_tenant(stops)
    if after and len(firsts) < WALK_LENGTH:
        stops = list((yield WALK(tenant_id="")))
        beginning = _of_each_tenant(stops)
        firsts = firsts | beginning if len(beginning) == WALK_LENGTH else beginning
    if len(firsts) < WALK_LENGTH:
        return stops, ""
    stops = list(firsts.values())[:WALK_LENGTH]
    return stops, stops[-1].tenant_id


def _of_each_tenant(stops: Sequence[Row]) -> dict[str, Row]:
    firsts: dict[str, Row] = {}
    for stop in stops:
        firsts.setdefault(stop.tenant_id, stop)
    return firsts


def origin_at(stop: Row) -> OriginKey:
    return OriginKey(stop.tenant_id, stop.origin)
