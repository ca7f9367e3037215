"""Leases: claiming rows, keeping them, giving them back. Every claim raises the row's epoch."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    BindParameter,
    ColumnElement,
    Select,
    Table,
    and_,
    bindparam,
    case,
    insert,
    literal_column,
    select,
    update,
)

from answerback.database.operation import Operation, Statement, Transaction
from answerback.database.sql import as_text, bound, in_state, is_one_of, still_in_state
from answerback.kernel.values import quickly_made


@quickly_made
@dataclass(frozen=True, slots=True)
class Offer:
    """A place in a worker pool for the row that a transaction is about to insert (`birth.py`). `owner` becomes its
    `lease_owner`, and names this offer alone; the lease lasts `lease_seconds`."""

    owner: str
    lease_seconds: float


HELD_LEASE: dict[str, Any] = {"lease_owner": None, "lease_expires_at": None}
"""The columns of a lease, for a statement that ends it."""


def fenced(table: Table, leased: str) -> Any:
    """Whether the row is still its claim's. Checks state and epoch, not expiry: expiry only permits a takeover, which
    changes one of them. Until then a late report of the holder is still the one answer."""
    return and_(
        table.c.id == bindparam("row_id"), table.c.lease_epoch == bindparam("epoch"), still_in_state(table, leased)
    )


def lost(table: Table, leased: str) -> Any:
    """Whether the lease of this epoch has expired, and the row is still its claim's."""
    return and_(fenced(table, leased), table.c.lease_expires_at <= bindparam("now"))


def claiming(table: Table, ids: Select[Any], leased: str, returning: Sequence[Any], **values: Any) -> Statement:
    """Leases the rows that the subquery `ids` locks."""
    return Statement(
        update(table)
        .where(is_one_of(table.c.id, ids))
        .values(
            state=leased,
            attempt=table.c.attempt + 1,
            lease_epoch=table.c.lease_epoch + 1,
            lease_owner=bindparam("owner"),
            lease_expires_at=bindparam("expires_at"),
            claimed_at=bindparam("wall"),
            **values,
        )
        .returning(*returning)
    )


def bearing(
    table: Table,
    leased: str,
    given: Mapping[str, Any],
    computed: Select[Any],
    *,
    postgresql: Select[Any],
    returned: Sequence[ColumnElement[Any]],
    by: tuple[str, ...] = (),
    key: tuple[str, ...] = (),
) -> Statement:
    """Inserts a row of `given` values and those that `computed` selects, its `state` among them: where that is
    `leased`, the row is born claimed. `postgresql` selects them there, which returns `returned`: on SQLite all that
    `computed` selects. Both return the row's id, too."""
    lease = {
        "lease_owner": bound(table.c.lease_owner, "owner"),
        "lease_expires_at": bound(table.c.lease_expires_at, "expires_at"),
        "claimed_at": bound(table.c.claimed_at, "wall"),
    }

    def values(known: Mapping[str, Any]) -> dict[str, Any]:
        is_born = known["state"] == as_text(leased)
        number = case((is_born, literal_column("1")), else_=literal_column("0"))
        if_born = {name: case((is_born, known[name])) for name in lease}
        return {**given, **known, **if_born, "attempt": number, "lease_epoch": number}

    names = [each.name for each in computed.selected_columns if each.name in table.c]
    # All parameters stand in one table expression, so that many rows may come at once.
    parameters = {name: value for name, value in given.items() if isinstance(value, BindParameter)} | lease
    labelled = (value.label(name) for name, value in parameters.items())
    birth = postgresql.add_columns(*labelled).cte("birth").prefix_with("MATERIALIZED")
    inserted = values({name: birth.c[name] for name in (*names, *parameters)})
    return Statement(
        insert(table).values(values({**{name: bound(table.c[name]) for name in names}, **lease})),
        postgresql=insert(table)
        .from_select(list(inserted), select(*inserted.values()))
        .returning(*returned, table.c.id),
        computed=computed.add_columns(given["id"].label("id")),
        by=by,
        key=key,
    )


def offered(table: Table) -> Any:
    """Whether there is an offer for the row of `bearing`."""
    return bound(table.c.lease_owner, "owner").is_not(None)


def offer_values(tx: Transaction, offer: Offer | None) -> dict[str, object]:
    """The parameters that `bearing` and `offered` bind, but for `wall`."""
    if offer is None:
        return {"owner": None, "expires_at": None}
    return {"owner": offer.owner, "expires_at": tx.now + int(offer.lease_seconds * 1000)}


def releasing_unconfirmed(table: Table, leased: str, ready: str) -> Statement:
    """Undoes a claim whose commit was not answered, found by the claim's name, its `lease_owner`; the attempt does not
    count."""
    return Statement(
        update(table)
        .where(in_state(table, leased), table.c.lease_owner == bindparam("owner"))
        .values(state=ready, attempt=table.c.attempt - 1, **HELD_LEASE)
    )


def extending(table: Table, leased: str) -> Statement:
    return Statement(
        update(table)
        .where(fenced(table, leased))
        .values(lease_expires_at=bindparam("expires_at"))
        .returning(table.c.id),
        by=("row_id",),
    )


def extend(
    tx: Transaction, statement: Statement, held: Sequence[tuple[str, int]], lease_seconds: float
) -> Operation[set[str]]:
    """The ids of `(id, epoch)` that the caller still holds. A lease that ran out is renewed if nobody took the row:
    after an outage of the database that keeps it from being counted as lost."""
    expires_at = tx.now + int(lease_seconds * 1000)
    # In the order in which every transaction locks rows.
    wanted = [{"row_id": row_id, "epoch": epoch, "expires_at": expires_at} for row_id, epoch in sorted(held)]
    return {row.id for _, row in (yield statement.each(wanted))}
