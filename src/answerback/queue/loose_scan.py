"""A loose index scan: the first row of each key, with one index probe a key, however many rows each has."""

from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy import Table, bindparam, literal_column, select, true, tuple_

from answerback.database.operation import Statement
from answerback.database.sql import aliased, at_most, in_state

_END: Any = literal_column(str(2**62))
_NO_TEXT: Any = literal_column("''")


def loose_scan(
    table: Table, state: str, keys: Sequence[str], order: str, columns: Sequence[str], length: int, same: str = ""
) -> Statement:
    """Of each combination of the text columns `keys` among rows in `state`, the row that is first by the number column
    `order`: those behind the bound `keys`, at most `length`. `same` names a column that equals its bound parameter. An
    index over (`same`, `keys`, `order`) where `state` serves it."""

    def first_behind(behind: Sequence[Any], *chosen: str, lateral: bool = False) -> Any:
        ahead = aliased(table, "ahead")
        names = (*keys, order)
        found = select(*(ahead.c[name] for name in chosen)).where(in_state(ahead, state))
        if same:
            found = found.where(ahead.c[same] == bindparam(same))
        # The next key comes after this key's last row. All columns of the index are compared: by the keys alone SQLite
        # would seek to this key's first row, and read the rest of them.
        found = found.where(tuple_(*(ahead.c[name] for name in names)) > tuple_(*behind, _END))
        if lateral:
            # Says what the tuples say already, in a way by which PostgreSQL knows that the index serves.
            found = found.where(ahead.c[keys[0]] >= behind[0])
        return found.order_by(*(ahead.c[name] for name in names)).limit(at_most(1))

    def joined(stops: Any) -> Any:
        step = aliased(table, "step")
        # Expressions, since SQLite compares two columns without their index's affinity, and seeks by the first only.
        following = first_behind([stops.c[name].op("||")(_NO_TEXT) for name in keys], "id")
        chosen = (*(step.c[name] for name in columns), stops.c.number + literal_column("1"))
        return select(*chosen).select_from(stops).join(step, step.c.id == following.correlate(stops).scalar_subquery())

    def laterally(stops: Any) -> Any:
        # With a join, and statistics from when the table was nearly empty, PostgreSQL would read it whole each step.
        step = first_behind([stops.c[name] for name in keys], *columns, lateral=True).correlate(stops).lateral("step")
        return select(*step.c, stops.c.number + literal_column("1")).select_from(stops).join(step, true())

    def walk(following: Callable[[Any], Any]) -> Any:
        lateral = following is laterally
        first = first_behind([bindparam(name) for name in keys], *columns, lateral=lateral).subquery()
        stops = select(*first.c, literal_column("1").label("number")).cte("stops", recursive=True)
        stops = stops.union_all(following(stops).where(stops.c.number < at_most(length)))
        return select(*(stops.c[name] for name in columns))

    return Statement(walk(joined), postgresql=walk(laterally))
