"""Claiming deliveries, in three steps.

Walk: which origins have pending deliveries, and from when on (`walk.py`).
Look: how many more each origin takes, by its circuit breaker and congestion window. While the breaker is open, only the
origin's first delivery is read, and nothing is written.
Take: one update for each origin leases at most that many. The claim's places go from tenant to tenant, and each
tenant's from origin to origin. Of an origin that has recovered come those that could not be reached, oldest first, and
those that are due, in equal parts; where it may have recovered, or takes one at a time, its paths take turns: one that
hangs must not keep what waits for the others.
"""

import random
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from math import ceil
from typing import Any, TypeAlias

from answerback.database.dialect import Dialect
from answerback.database.operation import Operation, Transaction
from answerback.database.sql import still_in_state
from answerback.database.statement import Row, Statement
from answerback.kernel.round_robin import RoundRobin
from answerback.kernel.shares import Shares
from answerback.queue.leases import claiming
from answerback.webhooks.model import (
    LATE_MS,
    ClaimedDelivery,
    DeliveryClaims,
    DeliveryState,
    OriginKey,
    OriginRoom,
    Round,
)
from answerback.webhooks.report import RELEASE_UNCONFIRMED
from answerback.webhooks.walk import origin_at, walk

ENDS = 20
"""How many of each sort are looked at for a probe."""

Look: TypeAlias = Callable[[OriginKey, bool, bool], OriginRoom]
"""How much room an origin has; the flags say that its first delivery is late, and that it could not be reached. Called
within the transaction, on any thread."""

_HERE = "state = 'pending' AND tenant_id = :tenant_id AND origin = :origin"
_IS_DUE = "run_at <= :now"
_UNREACHED_BEFORE = "unreached_at IS NOT NULL AND unreached_at < :recovered_at"
_CLAIMED = """
    id, job_id, event_type, endpoint_id,
    (SELECT webhook_endpoints.id FROM webhook_endpoints WHERE webhook_endpoints.id = deliveries.endpoint_id)
        AS its_endpoint,
    destination, tenant_id, conversation_id, url, origin, body, lease_epoch, attempt, run_at, deadline_at, created_at,
    traceparent"""


def _claiming(where: str) -> Statement:
    """Leases the deliveries that match. Those that another transaction has locked are passed over."""

    def chosen(dialect: Dialect) -> str:
        return f"""
        SELECT id FROM deliveries WHERE {where}
        {dialect.locking("FOR UPDATE SKIP LOCKED")}"""

    return claiming("deliveries", chosen, DeliveryState.SENDING, _CLAIMED)


# Each leases at most `room` deliveries of one origin.
CLAIM_DUE = _claiming(f"{_HERE} AND {_IS_DUE} ORDER BY run_at LIMIT :room")
CLAIM_UNREACHED = _claiming(f"{_HERE} AND {_UNREACHED_BEFORE} ORDER BY created_at LIMIT :room")


def _for_probe() -> str:
    """The one to the destination that was tried least lately, of those due first, due last, and of those not reached
    before `recovered_at` the oldest: however many hang at one path, what comes to another shows whether the origin
    answers."""
    ends = ((_IS_DUE, "run_at"), (_IS_DUE, "run_at DESC"), (_UNREACHED_BEFORE, "created_at"))
    found = "\n            UNION ".join(
        f"""SELECT * FROM (
                SELECT id, destination, claimed_at, run_at FROM deliveries
                WHERE {_HERE} AND {which} ORDER BY {order} LIMIT {ENDS}
            ) AS looked_at"""
        for which, order in ends
    )
    return f"""
        SELECT id FROM (
            {found}
        ) AS found
        ORDER BY max(coalesce(claimed_at, 0)) OVER (PARTITION BY destination), coalesce(claimed_at, 0), run_at
        LIMIT 1"""


CLAIM_PROBE = _claiming(f"id = ({_for_probe()}) AND {still_in_state('deliveries', DeliveryState.PENDING)}")
NEXT_HERE = Statement(f"SELECT run_at FROM deliveries WHERE {_HERE} ORDER BY run_at LIMIT 1")


@dataclass(slots=True, eq=False)
class _Open:
    """An origin that takes `room` more, and what it did not take before `recovered_at`, on the scheduling clock."""

    key: OriginKey
    room: int
    recovered_at: int | None = None
    probed: bool = False


@dataclass(slots=True)
class _Taken:
    """Rows, and the origins that have no more that could not be reached, and no more that are due."""

    rows: list[Row] = field(default_factory=list)
    drained: list[_Open] = field(default_factory=list)
    emptied: list[_Open] = field(default_factory=list)


def claim(
    tx: Transaction,
    owner: str,
    limit: int,
    lease_seconds: float,
    unconfirmed: Sequence[str],
    look: Look,
    shares: Shares,
    after: str,
    under_way: Round | None,
) -> Operation[DeliveryClaims]:
    """`unconfirmed` are names of claims whose commit was not answered: their deliveries are given back first. A walk
    begins behind the tenant `after`."""
    for name in unconfirmed:
        yield RELEASE_UNCONFIRMED(owner=name)
    walked = yield from walk(after, under_way)
    stops, reached = walked.stops, walked.reached
    # Where they want more than there is, no tenant and no origin is always the first.
    origins, moments = _look(tx, random.sample(stops, len(stops)), look)
    lease = {"now": tx.now, "wall": tx.wall, "owner": owner, "expires_at": tx.now + int(lease_seconds * 1000)}
    taken = yield from _take_all(origins, limit, lease, shares)
    full = len(taken.rows) == limit
    if full:
        moments.append(tx.now)
    elif taken.emptied:
        following = yield NEXT_HERE.each([origin.key._asdict() for origin in taken.emptied])
        moments += [row.run_at for _, row in following]
    if under_way is not None and under_way.next_at is not None:
        moments.append(under_way.next_at)
    next_at = min(moments, default=None)
    waiting = [origin.key.tenant_id for origin in origins if origin.room and not origin.probed]
    held_back = not full and not all(map(shares.allowance, waiting))
    held_back = held_back or (under_way is not None and under_way.held_back)
    return DeliveryClaims(
        deliveries=sorted((_claimed(tx, row) for row in taken.rows), key=lambda claim: claim.id),
        next_in=_seconds_until(next_at if reached is None else tx.now, tx.now),
        drained=[origin.key for origin in taken.drained],
        held_back=held_back,
        walked_to=walked.to,
        under_way=None if reached is None else Round(reached, next_at, held_back),
    )


def _look(tx: Transaction, stops: Sequence[Row], look: Look) -> tuple[list[_Open], list[int]]:
    """The origins to take from, and when to look at others again. A full origin is looked at when an attempt ends."""
    origins: list[_Open] = []
    moments: list[int] = []
    for stop in stops:
        key = origin_at(stop)
        room = look(key, tx.wall - stop.created_at > LATE_MS, stop.unreached_at is not None)
        if room.opens_in is not None:
            moments.append(max(stop.run_at, tx.now + ceil(room.opens_in * 1000)))
        elif room.free and room.probes_only:
            origins.append(_Open(key, 1, tx.now + 1, probed=True))
        elif room.free and room.recovered_for is not None:
            recovered_at = tx.now - int(room.recovered_for * 1000)
            origins.append(_Open(key, room.free, recovered_at, probed=room.free == 1))
        elif room.free and stop.run_at <= tx.now:
            origins.append(_Open(key, room.free))
        elif room.free and room.probes:
            origins.append(_Open(key, 1, tx.now + 1, probed=True))
        elif room.free:
            moments.append(stop.run_at)
    return origins, moments


def _take_all(origins: Sequence[_Open], limit: int, lease: dict[str, Any], shares: Shares) -> Operation[_Taken]:
    """Leases up to `limit`. What an origin leaves of its places the others get."""
    taken = _Taken()
    waiting = origins
    while places := _in_turn(waiting, limit - len(taken.rows), shares):
        left = yield from _take_in_turn(places, lease, taken)
        for origin, missing in left.items():
            shares.give(origin.key.tenant_id, missing)
        waiting = [origin for origin in waiting if not left[origin]]
    return taken


def _in_turn(origins: Sequence[_Open], places: int, shares: Shares) -> Counter[_Open]:
    """Takes so many places, one of each tenant after the other, as far as its share allows, and for each of its origins
    after the other, as far as that has room."""
    turns: RoundRobin[_Open] = RoundRobin()
    for origin in origins:
        if origin.room:
            turns.add(origin.key.tenant_id, origin)
    wanted: Counter[_Open] = Counter()
    for _ in range(places):
        if (turn := turns.take(lambda tenant_id: shares.allowance(tenant_id) > 0)) is None:
            break
        tenant_id, origin = turn
        shares.take(tenant_id)
        wanted[origin] += 1
        if wanted[origin] < origin.room:
            turns.add(tenant_id, origin)
    return wanted


def _take_in_turn(places: Counter[_Open], lease: dict[str, Any], taken: _Taken) -> Operation[Counter[_Open]]:
    """Leases so many of each origin; the places that it left."""
    left = places.copy()
    probed = [origin for origin in places if origin.probed]
    without = yield from _take(CLAIM_PROBE, {origin: left[origin] for origin in probed}, left, lease, taken)
    others = [origin for origin in places if not origin.probed]
    recovered = [origin for origin in others if origin.recovered_at is not None]
    half = {origin: (left[origin] + 1) // 2 for origin in recovered}
    drained = yield from _take(CLAIM_UNREACHED, half, left, lease, taken)
    emptied = yield from _take(CLAIM_DUE, {origin: left[origin] for origin in others}, left, lease, taken)
    rest = {origin: left[origin] for origin in recovered if origin not in drained}
    drained += yield from _take(CLAIM_UNREACHED, rest, left, lease, taken)
    taken.drained += without + drained
    taken.emptied += without + emptied
    return left


def _take(
    statement: Statement, wanted: Mapping[_Open, int], left: Counter[_Open], lease: dict[str, Any], taken: _Taken
) -> Operation[list[_Open]]:
    """Leases so many of each origin; the origins that had fewer."""
    asked = [(origin, room) for origin, room in wanted.items() if room]
    if not asked:
        return []
    rooms = [{**lease, **each.key._asdict(), "recovered_at": each.recovered_at, "room": room} for each, room in asked]
    found = yield statement.each(rooms)
    taken.rows += [row for _, row in found]
    counts = Counter(index for index, _ in found)
    for index, (origin, _) in enumerate(asked):
        origin.room -= counts[index]
        left[origin] -= counts[index]
    return [origin for index, (origin, room) in enumerate(asked) if counts[index] < room]


def _seconds_until(moment: int | None, now: int) -> float | None:
    return None if moment is None else max(0.0, (moment - now) / 1000)


def _claimed(tx: Transaction, row: Row) -> ClaimedDelivery:
    return ClaimedDelivery(
        id=row.id,
        job_id=row.job_id,
        event_type=row.event_type,
        endpoint_id=row.endpoint_id,
        endpoint_deleted=row.endpoint_id != row.its_endpoint,
        destination=row.destination,
        tenant_id=row.tenant_id,
        conversation_id=row.conversation_id,
        url=row.url,
        origin=row.origin,
        body=row.body,
        epoch=row.lease_epoch,
        attempt=row.attempt,
        claimed_at=tx.now,
        at=tx.wall,
        due_at=row.run_at,
        deadline_at=row.deadline_at,
        created_at=row.created_at,
        traceparent=row.traceparent,
    )
