"""Loose index scans: the first row of each key, with an index probe or two a key, however many rows each has."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from answerback.database.dialect import Dialect
from answerback.database.operation import Operation
from answerback.database.sql import columns_of
from answerback.database.statement import Row, Statement

_END = 2**62
_Here: TypeAlias = Callable[[str], str]
"""A column's value at the row where a scan stands."""


def loose_scan(
    table: str, state: str, keys: Sequence[str], order: str, columns: Sequence[str], length: int, same: str = ""
) -> Statement:
    """Of each combination of the text columns `keys` among rows in `state`, the row that is first by the number column
    `order`: those behind the bound `keys`, at most `length`. `same` names a column that equals its bound parameter. An
    index over (`same`, `keys`, `order`) where `state` serves it."""

    def walk(dialect: Dialect) -> str:
        scan = _Scan(dialect, table, state, (*keys, order), columns, length)

        def next_key(here: _Here, chosen: Sequence[str]) -> str:
            equal = [f"ahead.{same} = :{same}"] if same else []
            return scan.first(chosen, *equal, *scan.behind((*keys, order), here))

        return f"""
        WITH RECURSIVE {scan.steps("stops", f"({next_key(_bound, columns)})", next_key)}
        SELECT {columns_of("stops", columns)} FROM stops"""

    return Statement(walk)


def in_turn(table: str, state: str, owner: str, key: str, order: str, columns: Sequence[str], length: int) -> Statement:
    """As `loose_scan` of the text columns `owner` and `key`, but in turn: the first key of each owner behind the bound
    one, then the second of each, and so on, at most `length` in all. So an owner with very many keys hides no
    other's."""

    def walk(dialect: Dialect) -> str:
        scan = _Scan(dialect, table, state, (owner, key, order), columns, length)

        def next_owner(here: _Here, chosen: Sequence[str]) -> str:
            return scan.first(chosen, f"ahead.{owner} > {here(owner)}")

        def next_key(here: _Here, chosen: Sequence[str]) -> str:
            return scan.first(chosen, f"ahead.{owner} = {here(owner)}", *scan.behind((key, order), here))

        # Both databases take a step from each row in the order in which the rows were found.
        return f"""
        WITH RECURSIVE {scan.steps("owners", f"({next_owner(_bound, columns)})", next_owner)},
        {scan.steps("stops", "owners", next_key)}
        SELECT {columns_of("stops", columns)} FROM stops LIMIT {length}"""

    return Statement(walk)


def around(scan: Statement, after: str, length: int, **same: Any) -> Operation[tuple[list[Row], str]]:
    """A loose scan by tenants that begins behind the tenant `after`, and goes on from the last tenant to the first: at
    most `length`. And behind which tenant the next one begins, so that each is found as often as any other: "" where
    there are no others."""
    stops = list((yield scan(tenant_id=after, **same)))
    if after and len(stops) < length:
        seen = {stop.tenant_id for stop in stops}
        stops += [stop for stop in (yield scan(tenant_id="", **same)) if stop.tenant_id not in seen]
        del stops[length:]
    return stops, stops[-1].tenant_id if len(stops) == length else ""


@dataclass(frozen=True, slots=True)
class _Scan:
    """Along the index of `order` of the table's rows in `state`: `columns` of `length` rows at most."""

    dialect: Dialect
    table: str
    state: str
    order: Sequence[str]
    columns: Sequence[str]
    length: int

    def first(self, chosen: Sequence[str], *where: str) -> str:
        matching = " AND ".join((f"ahead.state = '{self.state}'", *where))
        return (
            f"SELECT {columns_of('ahead', chosen)} FROM {self.table} AS ahead WHERE {matching} "
            f"ORDER BY {columns_of('ahead', self.order)} LIMIT 1"
        )

    def behind(self, names: Sequence[str], here: _Here) -> list[str]:
        """Whether a row comes behind the last one of a key: the text columns but for the last of `names`, a number."""
        *keys, _ = names
        # All columns of the index are compared: by the keys alone SQLite would seek to this key's first row, and read
        # the rest of them.
        where = [f"({columns_of('ahead', names)}) > ({', '.join(map(here, keys))}, {_END})"]
        if self.dialect is Dialect.POSTGRESQL:
            # Says what the tuples say already, in a way by which PostgreSQL knows that the index serves.
            where.append(f"ahead.{keys[0]} >= {here(keys[0])}")
        return where

    def steps(self, name: str, start: str, following: Callable[[_Here, Sequence[str]], str]) -> str:
        """A table expression: the rows of `start`, and from each on the one that is `following`, as often as it has
        one."""
        if self.dialect is Dialect.POSTGRESQL:
            # With a join, and statistics from when the table was nearly empty, it would read it whole each step.
            found = following(lambda column: f"{name}.{column}", self.columns)
            step = f"JOIN LATERAL ({found}) AS step ON true"
        else:
            # Expressions, since SQLite compares two columns without their index's affinity, and seeks by the first
            # only.
            found = following(lambda column: f"{name}.{column} || ''", ("id",))
            step = f"JOIN {self.table} AS step ON step.id = ({found})"
        return f"""{name}({", ".join(self.columns)}, number) AS (
            SELECT {columns_of("beginning", self.columns)}, 1 FROM {start} AS beginning
            UNION ALL
            SELECT {columns_of("step", self.columns)}, {name}.number + 1 FROM {name} {step}
            WHERE {name}.number < {self.length}
        )"""


def _bound(column: str) -> str:
    return f":{column}"
