"""Claiming deliveries, in three steps.

Walk: which origins have pending deliveries, and from when on. One index probe for each, however many wait there.
Look: how many more each origin takes, by its circuit breaker and congestion window. While the breaker is open, only the
origin's first delivery is read, and nothing is written.
Take: one update for each origin leases at most that many; origins share the claim's limit equally. Of an origin that
has recovered come those that could not be reached, oldest first, and those that are due, in equal parts; where it may
have recovered, or takes one at a time, its paths take turns: one that hangs must not keep what waits for the others.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from sqlalchemy import bindparam, func, literal_column, select, union

from answerback.database.operation import Operation, Row, Rows, Statement, Transaction
from answerback.database.sql import at_most, in_state
from answerback.database.tables import deliveries, webhook_endpoints
from answerback.kernel.shares import Shares
from answerback.queue.leases import claiming
from answerback.queue.loose_scan import loose_scan
from answerback.webhooks.model import LATE_MS, ClaimedDelivery, DeliveryClaims, DeliveryState, OriginKey, OriginRoom
from answerback.webhooks.report import RELEASE_UNCONFIRMED

WALK_LENGTH = 256
"""How many origins one claim looks at; the next claim goes on after them."""
ENDS = 20
"""How many of each sort are looked at for a probe."""
START = OriginKey("", "")

Look: TypeAlias = Callable[[OriginKey, bool, bool], OriginRoom]
"""How much room an origin has; the flags say that its first delivery is late, and that it could not be reached. Called
within the transaction, on any thread."""


def walking() -> Statement:
    """Where each origin's delivery due first stands."""
    columns = ("tenant_id", "origin", "run_at", "created_at", "unreached_at")
    return loose_scan(deliveries, DeliveryState.PENDING, ("tenant_id", "origin"), "run_at", columns, WALK_LENGTH)


WALK = walking()

_here = (
    in_state(deliveries, DeliveryState.PENDING),
    deliveries.c.tenant_id == bindparam("tenant_id"),
    deliveries.c.origin == bindparam("origin"),
)
_its_endpoint = (
    select(webhook_endpoints.c.id).where(webhook_endpoints.c.id == deliveries.c.endpoint_id).scalar_subquery()
)
_CLAIMED = (
    deliveries.c.id,
    deliveries.c.job_id,
    deliveries.c.event_type,
    deliveries.c.endpoint_id,
    _its_endpoint.label("its_endpoint"),
    deliveries.c.destination,
    deliveries.c.tenant_id,
    deliveries.c.conversation_id,
    deliveries.c.url,
    deliveries.c.origin,
    deliveries.c.body,
    deliveries.c.lease_epoch,
    deliveries.c.attempt,
    deliveries.c.run_at,
    deliveries.c.deadline_at,
    deliveries.c.created_at,
    deliveries.c.traceparent,
)


def _claim_here(which: Any, first: Any) -> Statement:
    """Leases at most `room` deliveries of one origin. Those that another transaction has locked are passed over."""
    chosen = select(deliveries.c.id).where(*_here, which).order_by(first).limit(bindparam("room"))
    return claiming(deliveries, chosen.with_for_update(skip_locked=True), DeliveryState.SENDING, _CLAIMED)


CLAIM_DUE = _claim_here(deliveries.c.run_at <= bindparam("now"), deliveries.c.run_at)
_unreached_before = deliveries.c.unreached_at.is_not(None) & (deliveries.c.unreached_at < bindparam("recovered_at"))
CLAIM_UNREACHED = _claim_here(_unreached_before, deliveries.c.created_at)


def _claim_probe() -> Statement:
    """Leases one to the destination that was tried least lately, of those due first, due last, and of those not reached
    before `recovered_at` the oldest: however many hang at one path, what comes to another shows whether the origin
    answers."""
    columns = (deliveries.c.id, deliveries.c.destination, deliveries.c.claimed_at, deliveries.c.run_at)
    looked_at = (
        (deliveries.c.run_at <= bindparam("now"), deliveries.c.run_at),
        (deliveries.c.run_at <= bindparam("now"), deliveries.c.run_at.desc()),
        (_unreached_before, deliveries.c.created_at),
    )
    some = [select(*columns).where(*_here, which).order_by(first).limit(at_most(ENDS)) for which, first in looked_at]
    found = union(*(select(each.subquery()) for each in some)).subquery()
    tried_at = func.coalesce(found.c.claimed_at, literal_column("0"))
    there = func.max(tried_at).over(partition_by=found.c.destination)
    chosen = select(found.c.id).order_by(there, tried_at, found.c.run_at).limit(at_most(1)).scalar_subquery()
    locked = select(deliveries.c.id).where(deliveries.c.id == chosen, in_state(deliveries, DeliveryState.PENDING))
    return claiming(deliveries, locked.with_for_update(skip_locked=True), DeliveryState.SENDING, _CLAIMED)


CLAIM_PROBE = _claim_probe()
NEXT_HERE = Statement(select(deliveries.c.run_at).where(*_here).order_by(deliveries.c.run_at).limit(at_most(1)))


@dataclass(slots=True)
class _Open:
    """An origin that takes `room` more, and what it did not take before `recovered_at`, on the scheduling clock. `kept`
    are places for those that are due."""

    key: OriginKey
    room: int
    recovered_at: int | None = None
    kept: int = 0


def claim(
    tx: Transaction,
    owner: str,
    limit: int,
    lease_seconds: float,
    unconfirmed: Sequence[str],
    look: Look,
    shares: Shares,
    after: OriginKey | None,
) -> Operation[DeliveryClaims]:
    """`unconfirmed` are names of claims whose commit was not answered: their deliveries are given back first. `after`
    is where the previous claim stopped."""
    for name in unconfirmed:
        yield RELEASE_UNCONFIRMED(owner=name)
    stops, whole = yield from _stops(after or START)
    probed, origins, moments = _look(tx, stops, look)
    lease = {"now": tx.now, "wall": tx.wall, "owner": owner, "expires_at": tx.now + int(lease_seconds * 1000)}
    rows, without = yield from _take(CLAIM_PROBE, probed, limit, lease, shares)
    more, drained, emptied = yield from _take_all(origins, limit - len(rows), lease, shares)
    rows += more
    drained += without
    emptied += without
    full = len(rows) == limit
    if emptied and not full:
        following = yield NEXT_HERE.each([origin.key._asdict() for origin in emptied])
        moments += [row.run_at for _, row in following]
    return DeliveryClaims(
        deliveries=sorted((_claimed(tx, row) for row in rows), key=lambda claim: claim.id),
        next_in=0.0 if full or not whole else _seconds_until(moments, tx.now),
        drained=[origin.key for origin in drained],
        held_back=not full and any(origin.room and not shares.allowance(origin.key.tenant_id) for origin in origins),
        walked_to=_walked_to(rows, stops, full=full, whole=whole),
    )


def _stops(after: OriginKey) -> Operation[tuple[list[Row], bool]]:
    """The origins with pending deliveries, from the one after `after` on, then from the first; and whether that is all
    of them."""
    stops = list((yield WALK(**after._asdict())))
    if after == START or len(stops) == WALK_LENGTH:
        return stops, len(stops) < WALK_LENGTH
    seen = {(stop.tenant_id, stop.origin) for stop in stops}
    for stop in (yield WALK(**START._asdict())):
        if (stop.tenant_id, stop.origin) in seen:
            return stops, True
        stops.append(stop)
        if len(stops) == WALK_LENGTH:
            return stops, False
    return stops, True


def _look(tx: Transaction, stops: Sequence[Row], look: Look) -> tuple[list[_Open], list[_Open], list[int]]:
    """The origins to probe, those to take from, and when to look at others again. A full origin is looked at when an
    attempt ends."""
    probed: list[_Open] = []
    origins: list[_Open] = []
    moments: list[int] = []
    for stop in stops:
        key = OriginKey(stop.tenant_id, stop.origin)
        room = look(key, tx.wall - stop.created_at > LATE_MS, stop.unreached_at is not None)
        if room.opens_in is not None:
            moments.append(max(stop.run_at, tx.now + int(room.opens_in * 1000)))
        elif room.free and room.probes_only:
            probed.append(_Open(key, room.free, tx.now + 1))
        elif room.free and room.recovered_for is not None:
            recovered_at = tx.now - int(room.recovered_for * 1000)
            if room.free == 1:
                probed.append(_Open(key, 1, recovered_at))
            else:
                origins.append(_Open(key, room.free, recovered_at, kept=room.free - room.free // 2))
        elif room.free and stop.run_at <= tx.now:
            origins.append(_Open(key, room.free))
        elif room.free and room.probes:
            probed.append(_Open(key, 1, tx.now + 1))
        elif room.free:
            moments.append(stop.run_at)
    return probed, origins, moments


def _take_all(
    origins: Sequence[_Open], limit: int, lease: dict[str, Any], shares: Shares
) -> Operation[tuple[list[Row], list[_Open], list[_Open]]]:
    """Leases up to `limit`; also the origins that have no more that could not be reached, and those that have no more
    that are due."""
    recovered = [origin for origin in origins if origin.recovered_at is not None]
    rows, drained = yield from _take(CLAIM_UNREACHED, recovered, limit, lease, shares)
    for origin in recovered:
        origin.kept = 0
    due, emptied = yield from _take(CLAIM_DUE, origins, limit - len(rows), lease, shares)
    rows += due
    rest = [origin for origin in recovered if origin not in drained]
    unreached, without = yield from _take(CLAIM_UNREACHED, rest, limit - len(rows), lease, shares)
    return rows + unreached, drained + without, emptied


def _take(
    statement: Statement, origins: Sequence[_Open], limit: int, lease: dict[str, Any], shares: Shares
) -> Operation[tuple[list[Row], list[_Open]]]:
    """Leases up to `limit` in rounds, in each of which every origin gets an equal share; also the origins that had
    fewer than their share."""
    taken: list[Row] = []
    emptied: list[_Open] = []
    waiting = [origin for origin in origins if origin.room > origin.kept]
    while waiting and (left := limit - len(taken)):
        asked, waiting = waiting[:left], waiting[left:]
        share = left // len(asked)
        wanted = []
        for each in asked:
            room = min(each.room - each.kept, share, shares.allowance(each.key.tenant_id))
            shares.take(each.key.tenant_id, room)
            wanted.append({**lease, **each.key._asdict(), "recovered_at": each.recovered_at, "room": room})
        found: Rows = yield statement.each(wanted)
        taken += [row for _, row in found]
        counts = Counter(index for index, _ in found)
        for index, origin in enumerate(asked):
            origin.room -= counts[index]
            room = wanted[index]["room"]
            shares.give(origin.key.tenant_id, room - counts[index])
            if counts[index] < room:
                emptied.append(origin)
            elif origin.room > origin.kept and shares.allowance(origin.key.tenant_id):
                waiting.append(origin)
    return taken, emptied


def _walked_to(rows: Sequence[Row], stops: Sequence[Row], *, full: bool, whole: bool) -> OriginKey | None:
    if full and rows:
        return OriginKey(rows[-1].tenant_id, rows[-1].origin)
    return None if whole else OriginKey(stops[-1].tenant_id, stops[-1].origin)


def _seconds_until(moments: Sequence[int], now: int) -> float | None:
    return max(0.0, (min(moments) - now) / 1000) if moments else None


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
