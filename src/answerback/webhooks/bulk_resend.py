"""Resending all deliveries of a tenant that match, or counting them: page by page along an index, each by one update.

A page takes no account of the filter, so that neither its read nor its update is long, however few match.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, TypeAlias

from answerback.database.dialect import Dialect
from answerback.database.operation import Operation, Transaction
from answerback.database.statement import Statement
from answerback.webhooks.endpoints.operations import ENDPOINT_DELETED
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
    columns, bound = ", ".join(order), ", ".join(f":{name}" for name in order)
    return Statement(
        lambda dialect: (
            f"""
        SELECT origin, run_at, id FROM deliveries
        WHERE state = '{state}' AND ({columns}) > ({bound}) AND {dialect.equals("tenant_id")}
            {dialect.either("", "AND id > ''")}
        ORDER BY tenant_id, {columns} LIMIT {PAGE}"""
        )
    )


DEAD_PAGE = page_of(DeliveryState.DEAD, ("id",))
PENDING_PAGE = page_of(DeliveryState.PENDING, ("origin", "run_at", "id"))


def _matching(dialect: Dialect) -> str:
    # The deadline: not what became owed, or was resent, after the request came. Each delivery is resent once.
    return f"""
        {dialect.among("id")} AND tenant_id = :tenant_id AND state = :in_state
        AND substr(url, 1, length(:prefix)) = :prefix AND created_at >= :since AND deadline_at < :until
        AND length(body) > 0 AND NOT {ENDPOINT_DELETED}"""


def _resend_page(dialect: Dialect) -> str:
    # A row that another transaction has locked is being claimed, expired or erased: it does not match any more.
    locked = f"SELECT id FROM deliveries WHERE {_matching(dialect)} {dialect.locking('FOR UPDATE SKIP LOCKED')}"
    return f"UPDATE deliveries SET {RESENDING} WHERE {dialect.is_one_of('id', locked)} RETURNING id"


RESEND_PAGE = Statement(_resend_page)
COUNT_PAGE = Statement(lambda dialect: f"SELECT count(*) AS rows FROM deliveries WHERE {_matching(dialect)}")


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
