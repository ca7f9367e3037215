"""Leases: claiming rows, keeping them, giving them back. Every claim raises the row's epoch."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from answerback.database.dialect import Dialect
from answerback.database.operation import Operation, Transaction
from answerback.database.sql import still_in_state
from answerback.database.statement import Insert, Statement
from answerback.kernel.values import quickly_made


@quickly_made
@dataclass(frozen=True, slots=True)
class Offer:
    """A place in a worker pool for the row that a transaction is about to insert (`birth.py`). `owner` becomes its
    `lease_owner`, and names this offer alone; the lease lasts `lease_seconds`."""

    owner: str
    lease_seconds: float


NO_LEASE = {"lease_owner": "NULL", "lease_expires_at": "NULL"}
"""The columns of a lease, as a statement that ends it sets them."""


def fenced(table: str, leased: str) -> str:
    """Whether the row is still its claim's. Checks state and epoch, not expiry: expiry only permits a takeover, which
    changes one of them. Until then a late report of the holder is still the one answer."""
    return f"{table}.id = :row_id AND {table}.lease_epoch = :epoch AND {still_in_state(table, leased)}"


def lost(table: str, leased: str) -> str:
    """Whether the lease of this epoch has expired, and the row is still its claim's."""
    return f"{fenced(table, leased)} AND {table}.lease_expires_at <= :now"


def claiming(table: str, ids: Callable[[Dialect], str], leased: str, returning: str) -> Statement:
    """Leases the rows that the subquery `ids` locks."""
    return Statement(
        lambda dialect: (
            f"""
        UPDATE {table} SET
            state = '{leased}', attempt = {table}.attempt + 1, lease_epoch = {table}.lease_epoch + 1,
            lease_owner = :owner, lease_expires_at = :expires_at, claimed_at = :wall
        WHERE {dialect.is_one_of(f"{table}.id", ids(dialect))}
        RETURNING {returning}"""
        )
    )


def bearing(
    table: str,
    leased: str,
    given: str,
    values: Mapping[str, str],
    computed: Callable[[Dialect], Mapping[str, str]],
    *,
    returning: str,
    on_sqlite: Mapping[str, str] | None = None,
    by: tuple[str, ...] = (),
    key: tuple[str, ...],
) -> Statement:
    """Inserts a row of `values` and of those that are `computed`, its `state` among them: where that is `leased`, the
    row is born claimed. `given` are the parameters with their types (`Statement`), without those of `offer_values` and
    `wall`. Returns the id and `returning`: on SQLite all that is computed, `on_sqlite` included."""
    is_born = f":state = '{leased}'"
    number = f"CASE WHEN {is_born} THEN 1 ELSE 0 END"
    lease = {"lease_owner": ":owner", "lease_expires_at": ":expires_at", "claimed_at": ":wall"}
    all_values = {
        **values,
        **{name: f":{name}" for name in computed(Dialect.POSTGRESQL)},
        **{name: f"CASE WHEN {is_born} THEN {value} END" for name, value in lease.items()},
        "attempt": number,
        "lease_epoch": number,
    }
    first = {**computed(Dialect.SQLITE), **(on_sqlite or {}), "id": ":id"}
    return Statement(
        lambda dialect: Insert(table, all_values, computed(dialect), returning=f"{returning}, {table}.id"),
        computed="SELECT " + ", ".join(f"{value} AS {name}" for name, value in first.items()),
        given=f"{given}, owner text, expires_at bigint, wall bigint",
        by=by,
        key=key,
    )


OFFERED = ":owner IS NOT NULL"
"""Whether there is an offer for the row of `bearing`."""


def offer_values(tx: Transaction, offer: Offer | None) -> dict[str, object]:
    """The parameters that `bearing` binds for an offer, but for `wall`."""
    if offer is None:
        return {"owner": None, "expires_at": None}
    return {"owner": offer.owner, "expires_at": tx.now + int(offer.lease_seconds * 1000)}


def releasing_unconfirmed(table: str, leased: str, ready: str) -> Statement:
    """Undoes a claim whose commit was not answered, found by the claim's name, its `lease_owner`; the attempt does not
    count."""
    return Statement(
        f"""
        UPDATE {table} SET
            state = '{ready}', attempt = {table}.attempt - 1, lease_owner = NULL, lease_expires_at = NULL
        WHERE {table}.state = '{leased}' AND {table}.lease_owner = :owner"""
    )


def extending(table: str, leased: str) -> Statement:
    return Statement(
        f"UPDATE {table} SET lease_expires_at = :expires_at WHERE {fenced(table, leased)} RETURNING id",
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
