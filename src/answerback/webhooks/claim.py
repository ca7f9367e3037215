"""Claiming deliveries that are due: a walk from origin to origin that takes at most what each has room for.

The walk is a loose index scan over (tenant, origin, run_at): one probe an origin, however many deliveries wait there.
Those of a closed origin are neither read nor written, but for the first.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from sqlalchemy import any_, bindparam, func, literal_column, select, tuple_, update

from answerback.database.operation import Operation, Row, Rows, Statement, Transaction
from answerback.database.tables import deliveries, webhook_endpoints
from answerback.webhooks.model import LATE_MS, ClaimedDelivery, DeliveryClaims, DeliveryState, OriginKey, OriginRoom
from answerback.webhooks.report import RELEASE_UNCONFIRMED
from answerback.webhooks.rows import at_most, in_state

WALK_LENGTH = 256
"""How many origins one claim looks at; the next claim goes on behind them."""
START = OriginKey("", "")

Look: TypeAlias = Callable[[OriginKey, bool], OriginRoom]
"""How much room an origin has. The flag: what is due there is late. Called within the transaction, on any thread."""


# With the index's third column: SQLite would read every row that equals the first two.
_END_OF_TIME: Any = literal_column(str(2**62))
_NO_TEXT: Any = literal_column("''")


def _first_behind(tenant_id: Any, origin: Any) -> Any:
    """The id of the pending delivery due first at the first origin behind the given one."""
    ahead = deliveries.alias("ahead")
    return (
        select(ahead.c.id)
        .where(
            ahead.c.state == literal_column(f"'{DeliveryState.PENDING}'"),
            tuple_(ahead.c.tenant_id, ahead.c.origin, ahead.c.run_at) > tuple_(tenant_id, origin, _END_OF_TIME),
        )
        .order_by(ahead.c.tenant_id, ahead.c.origin, ahead.c.run_at)
        .limit(at_most(1))
    )


def _walk() -> Any:
    step = deliveries.alias("step")
    columns = (step.c.tenant_id, step.c.origin, step.c.run_at, step.c.created_at)
    after = _first_behind(bindparam("tenant_id"), bindparam("origin")).scalar_subquery()
    stops = select(*columns, literal_column("1").label("number")).where(step.c.id == after).cte("stops", recursive=True)
    # SQLite compares a row with more than an index's first column only where the other side is no column itself.
    following = _first_behind(stops.c.tenant_id.op("||")(_NO_TEXT), stops.c.origin.op("||")(_NO_TEXT))
    stops = stops.union_all(
        select(*columns, stops.c.number + literal_column("1"))
        .select_from(stops)
        .join(step, step.c.id == following.correlate(stops).scalar_subquery())
        .where(stops.c.number < at_most(WALK_LENGTH))
    )
    return select(stops.c.tenant_id, stops.c.origin, stops.c.run_at, stops.c.created_at)


WALK = Statement(_walk())

_here = (
    in_state(DeliveryState.PENDING),
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
    chosen = chosen.with_for_update(skip_locked=True)
    claimed = (
        update(deliveries)
        .values(
            state=DeliveryState.SENDING,
            attempt=deliveries.c.attempt + 1,
            lease_epoch=deliveries.c.lease_epoch + 1,
            lease_owner=bindparam("owner"),
            lease_expires_at=bindparam("expires_at"),
            claimed_at=bindparam("wall"),
        )
        .returning(*_CLAIMED)
    )
    # PostgreSQL evaluates the array once; a subquery may run again, and lock other rows.
    array = func.array(chosen.scalar_subquery())
    return Statement(
        claimed.where(deliveries.c.id.in_(chosen)), postgresql=claimed.where(deliveries.c.id == any_(array))
    )


CLAIM_DUE = _claim_here(deliveries.c.run_at <= bindparam("now"), deliveries.c.run_at)
CLAIM_UNREACHED = _claim_here(
    deliveries.c.unreached_at.is_not(None) & (deliveries.c.unreached_at < bindparam("recovered_at")),
    deliveries.c.created_at,
)
NEXT_HERE = Statement(select(deliveries.c.run_at).where(*_here).order_by(deliveries.c.run_at).limit(at_most(1)))


@dataclass(slots=True)
class _Turn:
    """An origin at which something is due, and how much more it takes. `recovered_at` as for `OriginRoom`, on the
    scheduling clock."""

    key: OriginKey
    room: int
    recovered_at: int | None
    drained: bool = False
    exhausted: bool = False


def claim(
    tx: Transaction,
    owner: str,
    limit: int,
    lease_seconds: float,
    unconfirmed: Sequence[str],
    look: Look,
    after: OriginKey | None,
) -> Operation[DeliveryClaims]:
    """`unconfirmed` are the owners of claims whose commit was not answered: their deliveries are given back first.

    Every origin gets an equal share of the limit; what one leaves the others get.
    """
    for name in unconfirmed:
        yield RELEASE_UNCONFIRMED(owner=name, due_at=tx.now)
    stops, whole = yield from _stops(after or START)
    turns: list[_Turn] = []
    moments: list[int] = []
    for stop in stops:
        key = OriginKey(stop.tenant_id, stop.origin)
        room = look(key, tx.wall - stop.created_at > LATE_MS)
        if room.opens_in is not None:
            moments.append(max(stop.run_at, tx.now + int(room.opens_in * 1000)))
        elif room.free and (stop.run_at <= tx.now or room.recovered_for is not None):
            since = None if room.recovered_for is None else tx.now - int(room.recovered_for * 1000)
            turns.append(_Turn(key, room.free, since))
        elif room.free:
            moments.append(stop.run_at)
    lease = {"now": tx.now, "wall": tx.wall, "owner": owner, "expires_at": tx.now + int(lease_seconds * 1000)}
    recovered = [turn for turn in turns if turn.recovered_at is not None]
    rows = yield from _take(CLAIM_UNREACHED, recovered, limit, lease)
    for turn in recovered:
        turn.drained, turn.exhausted = turn.exhausted, False
    rows += yield from _take(CLAIM_DUE, turns, limit - len(rows), lease)
    full = len(rows) == limit
    if not full and (over := [turn for turn in turns if turn.exhausted]):
        following = yield NEXT_HERE.each([turn.key._asdict() for turn in over])
        moments += [row.run_at for _, row in following]
    return DeliveryClaims(
        deliveries=sorted((_claimed(tx, row) for row in rows), key=lambda claim: claim.id),
        next_in=0.0 if full or not whole else _seconds_until(moments, tx.now),
        drained=[turn.key for turn in recovered if turn.drained],
        walked_to=_walked_to(rows, stops, full=full, whole=whole),
    )


def _stops(after: OriginKey) -> Operation[tuple[list[Row], bool]]:
    """The origins with something pending, from behind `after` on and round; whether those are all."""
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


def _take(statement: Statement, turns: Sequence[_Turn], limit: int, lease: dict[str, Any]) -> Operation[list[Row]]:
    """Claims up to `limit` in rounds, in each of which every origin gets as much as any other."""
    taken: list[Row] = []
    while (left := limit - len(taken)) and (active := [turn for turn in turns if turn.room and not turn.exhausted]):
        active = active[:left]
        share = left // len(active)
        wanted = [min(turn.room, share) for turn in active]
        found: Rows = yield statement.each(
            [
                {**lease, **turn.key._asdict(), "recovered_at": turn.recovered_at, "room": room}
                for turn, room in zip(active, wanted, strict=True)
            ]
        )
        counts = [0] * len(active)
        for index, row in found:
            counts[index] += 1
            taken.append(row)
        for turn, room, count in zip(active, wanted, counts, strict=True):
            turn.room -= count
            turn.exhausted = count < room
    return taken


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
