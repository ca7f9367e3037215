"""The receivers of a tenant's deliveries, by origin: how each answers, and what it is owed.

What is counted is bounded, however many deliveries there are: all that wait for an attempt, the newest of those that
are held, dead, being sent, were delivered, or go to endpoints. How a receiver answers, its newest attempt says that
one of these rows remembers: of each sort, the one that was claimed last; of those being sent, the one whose last
attempt ended last.
"""

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import Any

from sqlalchemy import BigInteger, any_, cast, func, literal_column, select
from sqlalchemy.dialects.postgresql import JSONB, array

from answerback.database.operation import Operation, Row, Rows, Statement, Transaction
from answerback.database.sql import among, as_text, at_most, bound, in_state
from answerback.database.tables import deliveries
from answerback.queue.attempts import Attempt, attempts_of
from answerback.webhooks.breaker import FAILURES_TO_OPEN, pause_after
from answerback.webhooks.model import DeliveryState

MAX_RECEIVERS = 100
COUNTED = 100_000
"""How many deliveries that wait for an attempt are counted."""
NEWEST = 1_000
"""How many of each other sort are looked at: the newest."""
ENDS = 20
"""How many of an origin's pending deliveries are looked at: of those due first, due last, and not reached the
oldest."""


@dataclass(frozen=True, slots=True)
class Receiver:
    """One origin. `url` is where the newest delivery went that was read; `healthy` is None before the first attempt.
    `next_attempt_at` is the schedule's, or that of a probe where it comes first. Times are epoch milliseconds of the
    wall clock."""

    origin: str
    url: str
    healthy: bool | None
    waiting: int
    held: int
    dead: int
    last_error: str | None
    last_attempt_at: int | None
    next_attempt_at: int | None
    delivered_at: int | None


_LOOKED_AT = (deliveries.c.id, deliveries.c.origin, deliveries.c.claimed_at)
_NO_TEXT: Any = literal_column("''")
_tenant: Any = bound(deliveries.c.tenant_id)
_of_tenant: Any = deliveries.c.tenant_id == _tenant
# Of an array PostgreSQL does not know that it has one element, so that it keeps to the index that has this order.
_of_one_tenant: Any = deliveries.c.tenant_id == any_(array([_tenant]))

_waiting = (
    select(deliveries.c.origin, deliveries.c.run_at)
    .where(in_state(deliveries, DeliveryState.PENDING), _of_tenant)
    .order_by(deliveries.c.tenant_id, deliveries.c.origin, deliveries.c.run_at)
    .limit(at_most(COUNTED))
    .subquery()
)
WAITING = Statement(
    select(_waiting.c.origin, func.count().label("rows"), func.min(_waiting.c.run_at).label("run_at")).group_by(
        _waiting.c.origin
    )
)


def _newest_listed(state: DeliveryState) -> Statement:
    """Those to the callback URLs of requests, whose index has them by job."""
    listed: tuple[Any, ...] = (
        in_state(deliveries, state),
        deliveries.c.endpoint_id.is_(None),
        literal_column("deliveries.state <> 'sending'"),
        deliveries.c.job_id > _NO_TEXT,
    )
    rows = select(*_LOOKED_AT).where(*listed).limit(at_most(NEWEST))
    by_job = deliveries.c.job_id.desc()
    return Statement(
        rows.where(_of_tenant).order_by(by_job),
        postgresql=rows.where(_of_one_tenant).order_by(deliveries.c.tenant_id.desc(), by_job),
    )


HELD = _newest_listed(DeliveryState.HELD)
DELIVERED = _newest_listed(DeliveryState.DELIVERED)


def _newest(*where: Any) -> Statement:
    """Those for which there is an index by id."""
    rows = select(*_LOOKED_AT).where(*where, deliveries.c.id > _NO_TEXT).limit(at_most(NEWEST))
    by_id = deliveries.c.id.desc()
    return Statement(
        rows.where(_of_tenant).order_by(by_id),
        postgresql=rows.where(_of_one_tenant).order_by(deliveries.c.tenant_id.desc(), by_id),
    )


DEAD = _newest(in_state(deliveries, DeliveryState.DEAD))
TO_ENDPOINTS = _newest(deliveries.c.endpoint_id.is_not(None), deliveries.c.state != DeliveryState.SENDING)


def _sending(last: Any) -> Any:
    """`last` is when the last attempt ended: their `claimed_at` is that of the attempt under way."""
    ended = cast(last, BigInteger).label("claimed_at")
    sending = in_state(deliveries, DeliveryState.SENDING)
    rows = select(deliveries.c.id, deliveries.c.origin, ended).where(sending, _of_tenant)
    return rows.order_by(deliveries.c.lease_expires_at.desc()).limit(at_most(NEWEST))


SENDING = Statement(
    _sending(func.json_extract(deliveries.c.attempts, as_text("$[#-1].finished_at"))),
    postgresql=_sending(
        cast(deliveries.c.attempts, JSONB).op("->")(literal_column("-1")).op("->>")(as_text("finished_at"))
    ),
)

_here = (
    in_state(deliveries, DeliveryState.PENDING),
    _of_tenant,
    deliveries.c.origin == bound(deliveries.c.origin),
)
_end = select(*_LOOKED_AT).where(*_here).limit(at_most(ENDS))
DUE_FIRST = Statement(_end.order_by(deliveries.c.run_at))
DUE_LAST = Statement(_end.order_by(deliveries.c.run_at.desc()))
UNREACHED_FIRST = Statement(_end.where(deliveries.c.unreached_at.is_not(None)).order_by(deliveries.c.created_at))
"""Those that are tried before their turn."""
_found = among(deliveries.c.id)
_shown = select(
    *(deliveries.c.id, deliveries.c.origin, deliveries.c.url, deliveries.c.attempts, deliveries.c.delivered_at)
)
SHOWN = Statement(_shown.where(_found.sqlite), postgresql=_shown.where(_found.postgresql))


def receivers(tx: Transaction, tenant_id: str) -> Operation[Sequence[Receiver]]:
    """Those that are owed most first."""
    waiting = {row.origin: row for row in (yield WAITING(tenant_id=tenant_id))}
    held = yield HELD(tenant_id=tenant_id)
    dead = yield DEAD(tenant_id=tenant_id)
    delivered = yield DELIVERED(tenant_id=tenant_id)
    to_endpoints = yield TO_ENDPOINTS(tenant_id=tenant_id)
    sending = yield SENDING(tenant_id=tenant_id)
    owed = Counter({origin: row.rows for origin, row in waiting.items()})
    owed.update(row.origin for row in (*held, *dead))
    origins = [origin for origin, _ in owed.most_common(MAX_RECEIVERS)]
    others = dict.fromkeys(row.origin for row in (*sending, *delivered, *to_endpoints) if row.origin not in owed)
    origins += list(others)[: MAX_RECEIVERS - len(origins)]
    rows = yield from _rows(tenant_id, waiting, origins, (held, dead, delivered, to_endpoints, sending))
    due = {origin: row.run_at + tx.wall_ahead for origin, row in waiting.items()}
    counted = {"held": Counter(row.origin for row in held), "dead": Counter(row.origin for row in dead)}
    return [
        _receiver(
            origin,
            [row for row in rows if row.origin == origin],
            waiting=waiting[origin].rows if origin in waiting else 0,
            held=counted["held"][origin],
            dead=counted["dead"][origin],
            due=due.get(origin),
            now=tx.wall,
        )
        for origin in origins
    ]


def _rows(
    tenant_id: str, waiting: Iterable[str], origins: Sequence[str], newest: Iterable[Rows]
) -> Operation[Sequence[Row]]:
    """The rows that say how the origins answer."""
    pending = set(waiting)
    keys = [{"tenant_id": tenant_id, "origin": origin} for origin in origins if origin in pending]
    sorts = list(newest)
    ids = set()
    for end in (DUE_FIRST, DUE_LAST, UNREACHED_FIRST) if keys else ():
        found = [row for _, row in (yield end.each(keys))]
        # The first of an origin, whose attempts may go back furthest.
        ids |= set({row.origin: row.id for row in reversed(found)}.values())
        sorts.append(found)
    for rows in sorts:
        # Of several rows of an origin the last stays.
        ids |= set({row.origin: row.id for row in sorted(rows, key=_claimed)}.values())
    return (yield SHOWN(ids=json.dumps(sorted(ids))))


def _claimed(row: Row) -> tuple[int, str]:
    return (row.claimed_at or 0, row.id)


def _receiver(
    origin: str, rows: Sequence[Row], *, waiting: int, held: int, dead: int, due: int | None, now: int
) -> Receiver:
    attempts = sorted((each for row in rows for each in attempts_of(row.attempts)), key=_finished)
    last = attempts[-1] if attempts else None
    healthy = None if last is None else last.status == DeliveryState.DELIVERED
    return Receiver(
        origin=origin,
        url=max(rows, key=lambda row: row.id).url if rows else origin,
        healthy=healthy,
        waiting=waiting,
        held=held,
        dead=dead,
        last_error=last.error if last is not None else None,
        last_attempt_at=last.finished_at if last is not None else None,
        next_attempt_at=None if due is None else _next_attempt(due, attempts, now),
        delivered_at=max((row.delivered_at for row in rows if row.delivered_at is not None), default=None),
    )


def _next_attempt(due: int, attempts: Sequence[Attempt], now: int) -> int:
    """When the delivery `due` first, or a probe, is tried, as far as these attempts at the origin say, oldest first."""
    failing = list(takewhile(lambda attempt: attempt.http_status is None, reversed(attempts)))
    if not failing:
        return due
    last, first = failing[0], failing[-1]
    outage, took = last.finished_at - first.started_at, last.finished_at - last.started_at
    probed = last.finished_at + int(1000 * pause_after(outage / 1000, took / 1000))
    # What is due and was not tried waits for the probe, like all others while the breaker is open.
    return probed if due <= now or len(failing) >= FAILURES_TO_OPEN else min(due, probed)


def _finished(attempt: Attempt) -> int:
    return attempt.finished_at
