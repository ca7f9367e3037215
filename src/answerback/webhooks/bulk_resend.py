"""Resending all deliveries of a tenant that match, or counting them: page by page along an index, each by one update.

A page takes no account of the filter, so that neither its read nor its update is long, however few match.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, TypeAlias

from sqlalchemy import Text, and_, any_, bindparam, func, literal_column, not_, select, tuple_, update
from sqlalchemy.dialects.postgresql import array

from answerback.database.operation import Operation, Statement, Transaction
from answerback.database.sql import Either, among, at_most, bound, in_state, is_one_of
from answerback.database.tables import deliveries
from answerback.webhooks.endpoints import ENDPOINT_DELETED
from answerback.webhooks.model import DEADLINE_MS, DeliveryState
from answerback.webhooks.resend import RESENDING

PAGE = 500
"""Rows of one update: some milliseconds of SQLite's one writer."""

Resendable: TypeAlias = Literal[DeliveryState.DEAD, DeliveryState.PENDING]


@dataclass(frozen=True, slots=True)
class ResendFilter:
    """Which deliveries of a tenant: those in a state whose URL begins with `url`, owed since `since` (epoch
    milliseconds of the wall clock)."""

    tenant_id: str
    state: Resendable
    url: str = ""
    since: int = 0


class Position(NamedTuple):
    """Where a page ends."""

    origin: str
    run_at: int
    id: str


BEGINNING = Position("", -1, "")


@dataclass(frozen=True, slots=True)
class Page:
    """Deliveries that may match. `now` is the scheduling clock's at the read."""

    positions: Sequence[Position]
    now: int


def page_of(state: DeliveryState, order: Sequence[str]) -> Statement:
    tenant_id, id_ = deliveries.c.tenant_id, deliveries.c.id
    columns = [deliveries.c[name] for name in order]
    behind = tuple_(*columns) > tuple_(*(bound(column) for column in columns))
    rows = select(deliveries.c.origin, deliveries.c.run_at, id_).where(in_state(deliveries, state), behind)
    # By an equal tenant alone PostgreSQL would know that the index of ids has the same order, and might read that.
    of_tenant = Either(
        tenant_id == bound(tenant_id),
        and_(tenant_id == any_(array([bound(tenant_id)])), id_ > literal_column("''")),
    )
    return Statement(rows.where(of_tenant).order_by(tenant_id, *columns).limit(at_most(PAGE)))


DEAD_PAGE = page_of(DeliveryState.DEAD, ("id",))
PENDING_PAGE = page_of(DeliveryState.PENDING, ("origin", "run_at", "id"))

_prefix: Any = bindparam("prefix", type_=Text)
_matching: tuple[Any, ...] = (
    among(deliveries.c.id),
    deliveries.c.tenant_id == bindparam("tenant_id"),
    deliveries.c.state == bindparam("in_state"),
    func.substr(deliveries.c.url, literal_column("1"), func.length(_prefix)) == _prefix,
    deliveries.c.created_at >= bindparam("since"),
    # Not what became owed, or was resent, after the request came: each delivery is resent once.
    deliveries.c.deadline_at < bindparam("until"),
    deliveries.c.body != b"",
    not_(ENDPOINT_DELETED),
)
# A row that another transaction has locked is being claimed, expired or erased: it does not match any more.
_locked = select(deliveries.c.id).where(*_matching).with_for_update(skip_locked=True)
RESEND_PAGE = Statement(
    update(deliveries).where(is_one_of(deliveries.c.id, _locked)).values(RESENDING).returning(deliveries.c.id)
)
COUNT_PAGE = Statement(select(func.count().label("rows")).where(*_matching))


def find_page(tx: Transaction, wanted: ResendFilter, after: Position) -> Operation[Page]:
    """The deliveries in the wanted state behind a position: dead ones oldest first, pending ones by origin and time."""
    if wanted.state is DeliveryState.DEAD:
        rows = yield DEAD_PAGE(tenant_id=wanted.tenant_id, id=after.id)
    else:
        rows = yield PENDING_PAGE(tenant_id=wanted.tenant_id, **after._asdict())
    return Page([Position(row.origin, row.run_at, row.id) for row in rows], tx.now)


def resend_page(tx: Transaction, wanted: ResendFilter, positions: Sequence[Position], started: int) -> Operation[int]:
    """Starts the schedules anew of those that match still, and did when the request came; returns how many."""
    matching = _matching_values(wanted, positions, started)
    return len((yield RESEND_PAGE(**matching, now=tx.now, new_deadline_at=tx.now + DEADLINE_MS)))


def count_page(wanted: ResendFilter, positions: Sequence[Position], started: int) -> Operation[int]:
    """How many of them `resend_page` would resend."""
    (counted,) = yield COUNT_PAGE(**_matching_values(wanted, positions, started))
    return int(counted.rows)


def _matching_values(wanted: ResendFilter, positions: Sequence[Position], started: int) -> dict[str, object]:
    """The parameters of `_matching`."""
    return {
        "ids": json.dumps([position.id for position in positions]),
        "tenant_id": wanted.tenant_id,
        "in_state": wanted.state,
        "prefix": wanted.url,
        "since": wanted.since,
        "until": started + DEADLINE_MS,
    }
