"""Claiming callbacks that are due, but of no origin more than it takes now.

What else is due there gets its place in the origin's line first, in the same transaction: one write a row, no lease, no
attempt. So the claim passes over a dead receiver's thousands, and brings the callbacks of the living behind them.
"""

import json
from collections import Counter
from collections.abc import Sequence
from typing import Any

from sqlalchemy import JSON, BigInteger, Double, Integer, Text, any_, bindparam, cast, column, func, or_, select, update

from answerback.database.operation import Operation, Rows, Statement, Transaction
from answerback.database.tables import deliveries
from answerback.jobs.ports import Claims
from answerback.jobs.records import CLAIMED_DELIVERY_COLUMNS, at_most, claimed_delivery
from answerback.queue.leases import (
    RELEASE_UNSEEN_DELIVERIES,
    claiming,
    in_state,
    release_unseen,
    seconds_until,
    start_attempts,
    still_in_state,
)
from answerback.webhooks.model import DeliveryState, OriginLine

PLACED_AT_ONCE = 500
"""How many of the rows due longest are looked at for such as must wait in line."""
AHEAD_MS = 1_000
"""How far ahead the next row is looked for past those in line; an engine looks again by then anyway."""

# As `ClaimedDelivery.gate` has it.
_gate = deliveries.c.tenant_id + " " + deliveries.c.origin
_lines: Any = bindparam("lines", type_=Text)
_shut: Any = bindparam("shut", type_=Text)
_shut_sqlite = func.json_each(_shut).table_valued("value")
_shut_postgresql = func.json_array_elements_text(cast(_shut, JSON)).table_valued("value")


def _open(shut: Any) -> Any:
    """Its gate has room, or it would not live to see its place in line: it goes the way of every other, to its end."""
    return or_(_gate.not_in(select(shut.c.value)), deliveries.c.deadline_at <= bindparam("near"))


def _next(*more: Any) -> Any:
    return select(deliveries.c.run_at).where(_ready, *more).order_by(deliveries.c.run_at).limit(at_most(1))


# A callback past its deadline gets one last attempt.
_ready = in_state(deliveries, DeliveryState.PENDING)
_due = (_ready, deliveries.c.run_at <= bindparam("now"))
_soon = deliveries.c.run_at <= bindparam("soon")

CLAIM_DELIVERIES = claiming(deliveries, _ready, DeliveryState.SENDING, CLAIMED_DELIVERY_COLUMNS)
NEXT_DELIVERY = Statement(_next())
CLAIM_OPEN_DELIVERIES = claiming(
    deliveries,
    _ready & _open(_shut_sqlite),
    DeliveryState.SENDING,
    CLAIMED_DELIVERY_COLUMNS,
    postgresql=_ready & _open(_shut_postgresql),
)
NEXT_OPEN_DELIVERY = Statement(_next(_soon, _open(_shut_sqlite)), postgresql=_next(_soon, _open(_shut_postgresql)))

_FIELDS = {"gate": Text, "room": Integer, "places": Integer, "due_at": BigInteger, "spacing": Double}
_each_line = func.json_each(_lines).table_valued("value")
_lines_sqlite = select(*(func.json_extract(_each_line.c.value, f"$.{name}").label(name) for name in _FIELDS)).subquery()
_lines_postgresql = (
    func.json_to_recordset(cast(_lines, JSON))
    .table_valued(*(column(name, kind) for name, kind in _FIELDS.items()))
    .render_derived(with_types=True)
)


def _place(lines: Any, *, with_array: bool) -> Any:
    oldest = (
        select(deliveries.c.id, _gate.label("gate"), deliveries.c.deadline_at)
        .where(*_due)
        .order_by(deliveries.c.run_at)
        .limit(at_most(PLACED_AT_ONCE))
        .subquery()
    )
    waiting = select(oldest.c.id).where(
        oldest.c.gate.in_(select(lines.c.gate)), oldest.c.deadline_at > bindparam("near")
    )
    # Nobody is waited for: what another process claims or places just now is not ours to place.
    locked = (
        select(deliveries.c.id, _gate.label("gate"), deliveries.c.run_at)
        .where(
            deliveries.c.id == any_(func.array(waiting.scalar_subquery()))
            if with_array
            else deliveries.c.id.in_(waiting),
            still_in_state(deliveries, DeliveryState.PENDING),
            deliveries.c.run_at <= bindparam("now"),
        )
        .with_for_update(skip_locked=True)
        .subquery()
    )
    number = func.row_number().over(partition_by=locked.c.gate, order_by=(locked.c.run_at, locked.c.id))
    numbered = select(locked.c.id, locked.c.gate, number.label("number")).subquery()
    place = numbered.c.number - lines.c.room
    placed = (
        select(numbered.c.id, (lines.c.due_at + cast((place - 1) * lines.c.spacing, BigInteger)).label("due_at"))
        .join(lines, lines.c.gate == numbered.c.gate)
        .where(place >= 1, place <= lines.c.places)
        .subquery()
    )
    return update(deliveries).where(deliveries.c.id == placed.c.id).values(run_at=placed.c.due_at).returning(_gate)


PLACE = Statement(_place(_lines_sqlite, with_array=False), postgresql=_place(_lines_postgresql, with_array=True))


def claim(
    tx: Transaction,
    owner: str,
    limit: int,
    lease_seconds: float,
    unconfirmed: Sequence[str],
    lines: Sequence[OriginLine] = (),
) -> Operation[Claims]:
    """`unconfirmed` as for `claim_jobs`."""
    yield from release_unseen(tx, RELEASE_UNSEEN_DELIVERIES, unconfirmed)
    near = tx.now + max((_last_place_ms(line) for line in lines), default=0)
    placed = (yield from _place_all(tx, lines, near)) if lines else ()
    lease = {"now": tx.now, "owner": owner, "limit": limit, "expires_at": tx.now + int(lease_seconds * 1000)}
    shut = [line.gate for line in lines if line.room == 0]
    passed_over = {"shut": json.dumps(shut), "near": near}
    rows = yield (CLAIM_OPEN_DELIVERIES(**lease, **passed_over) if shut else CLAIM_DELIVERIES(**lease))
    claimed = sorted((claimed_delivery(row, tx.now) for row in rows), key=lambda claim: claim.id)
    yield from start_attempts(tx, claimed)
    next_in: float | None
    if len(claimed) == limit or _more_to_place(placed):
        next_in = 0.0
    elif shut:
        soon = tx.now + AHEAD_MS
        next_in = seconds_until((yield NEXT_OPEN_DELIVERY(**passed_over, soon=soon)) or [(soon,)], tx.now)
    else:
        next_in = seconds_until((yield NEXT_DELIVERY()), tx.now)
    return Claims(deliveries=claimed, next_in=next_in, placed=placed)


def _place_all(tx: Transaction, lines: Sequence[OriginLine], near: int) -> Operation[Sequence[tuple[OriginLine, int]]]:
    told = [
        {
            "gate": line.gate,
            "room": line.room,
            "places": line.places,
            "due_at": tx.now + int(line.wait * 1000),
            "spacing": line.spacing * 1000,
        }
        for line in lines
    ]
    rows: Rows = yield PLACE(lines=json.dumps(told), now=tx.now, near=near)
    counts = Counter(gate for (gate,) in rows)
    return [(line, counts[line.gate]) for line in lines if counts[line.gate]]


def _more_to_place(placed: Sequence[tuple[OriginLine, int]]) -> bool:
    """Those behind them are due as well: a lot is looked at at once, and a line has so many places."""
    whole_lot = sum(count + line.room for line, count in placed) >= PLACED_AT_ONCE
    return whole_lot or any(count == line.places for line, count in placed)


def _last_place_ms(line: OriginLine) -> int:
    return int((line.wait + min(line.places, PLACED_AT_ONCE) * line.spacing) * 1000)
