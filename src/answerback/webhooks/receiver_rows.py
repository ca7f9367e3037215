"""What is looked at of a tenant's deliveries, to say how their receivers answer.

How one answers, its newest attempt says that one of these rows remembers: of each sort, the one that was claimed last;
of those being sent, the one whose last attempt ended last.
"""

import json
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from sqlalchemy import BigInteger, Select, Text, any_, bindparam, cast, column, func, literal_column, or_, select, true
from sqlalchemy.dialects.postgresql import JSONB, array

from answerback.database.operation import Operation, Row, Rows, Statement
from answerback.database.sql import Either, aliased, among, as_text, at_most, bound, in_state
from answerback.database.tables import deliveries
from answerback.webhooks.endpoints import ENDPOINT_DELETED
from answerback.webhooks.model import DeliveryState, OriginKey

COUNTED = 100_000
"""How many deliveries that wait for an attempt are counted."""
NEWEST = 1_000
"""How many of each other sort are looked at: the newest."""
ENDS = 8
"""How many of an origin's pending deliveries are looked at: of those due first, due last, and not reached the
oldest."""


_LOOKED_AT = (
    *(deliveries.c.id, deliveries.c.tenant_id, deliveries.c.origin, deliveries.c.url, deliveries.c.state),
    deliveries.c.claimed_at,
)
_NO_TEXT: Any = literal_column("''")
_tenant: Any = bound(deliveries.c.tenant_id)
_of_tenant: Any = deliveries.c.tenant_id == _tenant
# Of an array PostgreSQL does not know that it has one element, so that it keeps to the index that has this order.
_of_one_tenant = Either(_of_tenant, deliveries.c.tenant_id == any_(array([_tenant])))

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


def _newest_by(column: Any, rows: Select[Any]) -> Statement:
    rows = rows.where(_of_one_tenant).order_by(deliveries.c.tenant_id.desc(), column.desc())
    return Statement(rows.limit(at_most(NEWEST)))


def _newest_listed(state: DeliveryState) -> Statement:
    """Those to the callback URLs of requests, whose index has them by job."""
    listed: tuple[Any, ...] = (
        in_state(deliveries, state),
        deliveries.c.endpoint_id.is_(None),
        literal_column("deliveries.state <> 'sending'"),
        deliveries.c.job_id > _NO_TEXT,
    )
    return _newest_by(deliveries.c.job_id, select(*_LOOKED_AT).where(*listed))


HELD = _newest_listed(DeliveryState.HELD)
DELIVERED = _newest_listed(DeliveryState.DELIVERED)


def _newest(*where: Any, more: Sequence[Any] = ()) -> Statement:
    """Those for which there is an index by id."""
    return _newest_by(deliveries.c.id, select(*_LOOKED_AT, *more).where(*where, deliveries.c.id > _NO_TEXT))


_unsendable = or_(func.length(deliveries.c.body) == literal_column("0"), ENDPOINT_DELETED).label("unsendable")
DEAD = _newest(in_state(deliveries, DeliveryState.DEAD), more=(_unsendable,))
TO_ENDPOINTS = _newest(deliveries.c.endpoint_id.is_not(None), deliveries.c.state != DeliveryState.SENDING)


_last_ended = Either(
    func.json_extract(deliveries.c.attempts, as_text("$[#-1].finished_at")),
    cast(deliveries.c.attempts, JSONB).op("->")(literal_column("-1")).op("->>")(as_text("finished_at")),
)
SENDING = Statement(
    # In the place of their `claimed_at`, which is that of the attempt under way.
    select(*_LOOKED_AT[:-1], cast(_last_ended, BigInteger).label("claimed_at"))
    .where(in_state(deliveries, DeliveryState.SENDING), _of_tenant)
    .order_by(deliveries.c.lease_expires_at.desc())
    .limit(at_most(NEWEST))
)

_keys = bindparam("keys", type_=Text)
_listed = func.json_each(_keys).table_valued("value").alias("origins")
_elements = func.jsonb_array_elements(cast(_keys, JSONB)).table_valued(column("value", JSONB)).alias("origins")


def _end(order: Callable[[Any], Any], *where: Callable[[Any], Any]) -> Statement:
    """Of each origin of `keys`, a JSON array of arrays of a tenant and an origin."""
    near = aliased(deliveries, "near")

    def of(tenant_id: Any, origin: Any, *columns: Any) -> Any:
        here = (in_state(near, DeliveryState.PENDING), near.c.tenant_id == tenant_id, near.c.origin == origin)
        rows = select(*columns).where(*here, *(each(near) for each in where))
        return rows.order_by(order(near)).limit(at_most(ENDS))

    value = _listed.c.value
    of_key = func.json_extract(value, as_text("$[0]")), func.json_extract(value, as_text("$[1]"))
    rowids: Any = of(*of_key, literal_column("near.rowid")).correlate(_listed)
    is_end = literal_column("deliveries.rowid").in_(rowids)
    found = select(*_LOOKED_AT).select_from(_listed.join(deliveries, is_end))
    value = _elements.c.value
    columns = (*(near.c[looked.name] for looked in _LOOKED_AT), near.c.run_at, near.c.created_at)
    ends = of(value.op("->>")(literal_column("0")), value.op("->>")(literal_column("1")), *columns).lateral("ends")
    each = select(*(ends.c[looked.name] for looked in _LOOKED_AT)).select_from(_elements.join(ends, true()))
    return Statement(found.order_by(order(deliveries)), postgresql=each.order_by(order(ends)))


DUE_FIRST = _end(lambda rows: rows.c.run_at)
DUE_LAST = _end(lambda rows: rows.c.run_at.desc())
UNREACHED_FIRST = _end(lambda rows: rows.c.created_at, lambda rows: rows.c.unreached_at.is_not(None))
"""Those that are tried before their turn."""
SHOWN = Statement(
    select(
        *(deliveries.c.id, deliveries.c.tenant_id, deliveries.c.origin, deliveries.c.url, deliveries.c.attempts),
        deliveries.c.delivered_at,
    ).where(among(deliveries.c.id))
)
ENDS_OF_PENDING = (UNREACHED_FIRST, DUE_FIRST, DUE_LAST)


def key_of(row: Row) -> OriginKey:
    return OriginKey(row.tenant_id, row.origin)


def ends(keys: Sequence[OriginKey], which: Sequence[Statement] = ENDS_OF_PENDING) -> Operation[list[Rows]]:
    """Of the pending deliveries of each origin, in order."""
    found = []
    for end in which if keys else ():
        found.append((yield end(keys=json.dumps(keys))))
    return found


def newest_of_each(newest: Iterable[Rows], of_pending: Iterable[Rows]) -> set[str]:
    """The ids of those that say how each origin answers."""
    ids: set[str] = set()
    for rows in of_pending:
        # The first of an origin, whose attempts may go back furthest.
        ids |= set({key_of(row): row.id for row in reversed(rows)}.values())
    for rows in (*newest, *of_pending):
        # Of several rows of an origin the last stays.
        ids |= set({key_of(row): row.id for row in sorted(rows, key=claimed)}.values())
    return ids


def claimed(row: Row) -> tuple[int, str]:
    return (row.claimed_at or 0, row.id)


def with_attempts(ids: Iterable[str]) -> Operation[Rows]:
    return (yield SHOWN(ids=json.dumps(sorted(ids))))
