"""Loose index scans: the first row of each key, with an index probe or two a key, however many rows each has."""

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

from sqlalchemy import Table, bindparam, literal_column, select, true, tuple_

from answerback.database.operation import Operation, Row, Statement
from answerback.database.sql import aliased, at_most, in_state

_END: Any = literal_column(str(2**62))
_NO_TEXT: Any = literal_column("''")
_Here: TypeAlias = Callable[[str], Any]
"""A column's value at the row where a scan stands."""


def loose_scan(
    table: Table, state: str, keys: Sequence[str], order: str, columns: Sequence[str], length: int, same: str = ""
) -> Statement:
    """Of each combination of the text columns `keys` among rows in `state`, the row that is first by the number column
    `order`: those behind the bound `keys`, at most `length`. `same` names a column that equals its bound parameter. An
    index over (`same`, `keys`, `order`) where `state` serves it."""
    ahead = aliased(table, "ahead")

    def walk(lateral: bool) -> Any:
        def next_key(here: _Here, chosen: Sequence[str]) -> Any:
            where = [] if not same else [ahead.c[same] == bindparam(same)]
            where += _behind(ahead, (*keys, order), here, lateral=lateral)
            return _first(ahead, state, (*keys, order), chosen, where)

        start = select(next_key(bindparam, columns).subquery())
        stops = _steps(table, "stops", start, next_key, columns, length, lateral=lateral)
        return select(*(stops.c[name] for name in columns))

    return Statement(walk(lateral=False), postgresql=walk(lateral=True))


def in_turn(
    table: Table, state: str, owner: str, key: str, order: str, columns: Sequence[str], length: int
) -> Statement:
    """As `loose_scan` of the text columns `owner` and `key`, but in turn: the first key of each owner behind the bound
    one, then the second of each, and so on, at most `length` in all. So an owner with very many keys hides no
    other's."""
    ahead = aliased(table, "ahead")

    def walk(lateral: bool) -> Any:
        def next_owner(here: _Here, chosen: Sequence[str]) -> Any:
            return _first(ahead, state, (owner, key, order), chosen, [ahead.c[owner] > here(owner)])

        def next_key(here: _Here, chosen: Sequence[str]) -> Any:
            where = [ahead.c[owner] == here(owner), *_behind(ahead, (key, order), here, lateral=lateral)]
            return _first(ahead, state, (owner, key, order), chosen, where)

        start = select(next_owner(bindparam, columns).subquery())
        owners = _steps(table, "owners", start, next_owner, columns, length, lateral=lateral)
        heads = select(*(owners.c[name] for name in columns))
        # Both databases take a step from each row in the order in which the rows were found.
        stops = _steps(table, "stops", heads, next_key, columns, length, lateral=lateral)
        return select(*(stops.c[name] for name in columns)).limit(at_most(length))

    return Statement(walk(lateral=False), postgresql=walk(lateral=True))


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


def _first(ahead: Any, state: str, order: Sequence[str], chosen: Sequence[str], where: Sequence[Any]) -> Any:
    found = select(*(ahead.c[name] for name in chosen)).where(in_state(ahead, state), *where)
    return found.order_by(*(ahead.c[name] for name in order)).limit(at_most(1))


def _behind(ahead: Any, names: Sequence[str], here: _Here, *, lateral: bool) -> list[Any]:
    """Whether a row comes behind the last one of a key: the text columns but for the last of `names`, a number."""
    *keys, _ = names
    # All columns of the index are compared: by the keys alone SQLite would seek to this key's first row, and read the
    # rest of them.
    where = [tuple_(*(ahead.c[name] for name in names)) > tuple_(*map(here, keys), _END)]
    if lateral:
        # Says what the tuples say already, in a way by which PostgreSQL knows that the index serves.
        where.append(ahead.c[keys[0]] >= here(keys[0]))
    return where


def _steps(
    table: Table,
    name: str,
    start: Any,
    following: Callable[[_Here, Sequence[str]], Any],
    columns: Sequence[str],
    length: int,
    *,
    lateral: bool,
) -> Any:
    """The rows of `start`, and from each on the one that is `following`, as often as it has one."""
    stops = start.add_columns(literal_column("1").label("number")).cte(name, recursive=True)
    number = stops.c.number + literal_column("1")
    if lateral:
        # With a join, and statistics from when the table was nearly empty, PostgreSQL would read it whole each step.
        step = following(lambda column: stops.c[column], columns).correlate(stops).lateral("step")
        steps = select(*step.c, number).select_from(stops).join(step, true())
    else:
        step = aliased(table, "step")
        # Expressions, since SQLite compares two columns without their index's affinity, and seeks by the first only.
        found = following(lambda column: stops.c[column].op("||")(_NO_TEXT), ("id",)).correlate(stops)
        chosen = (*(step.c[column] for column in columns), number)
        steps = select(*chosen).select_from(stops).join(step, step.c.id == found.scalar_subquery())
    return stops.union_all(steps.where(stops.c.number < at_most(length)))
