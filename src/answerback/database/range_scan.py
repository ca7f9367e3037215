"""A range scan: the newest rows of a key, or of many, along an index, however many rows there are of those and of other
keys."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Table, any_, bindparam, literal_column, select
from sqlalchemy.dialects.postgresql import array

from answerback.database.operation import Operation, Statement
from answerback.database.sql import bound

FEW = 50
"""So many keys are read at once; of more first the newest row of each."""


def newest(table: Table, keys: Sequence[str], last: str, *where: Any, compared: str) -> Statement:
    """The distinct values of the text column `last` from the bound `least` on and below the bound `before`, the
    greatest first, of the rows whose `keys` equal their bound parameters; each is `last` of its row. An index over
    `keys` and `last` serves it, whatever `where` it has. `compared` is the text column that PostgreSQL's index asks
    for, see `answerback.database.tables`."""
    first, *others = (table.c[name] for name in keys)
    column = table.c[last]
    same = [other == bound(other) for other in others]
    below = (*where, *same, column < bound(column, "before"), column >= bound(column, "least"))
    plain = (
        select(column.label("last"))
        .where(first == bound(first), *below)
        .distinct()
        .order_by(column.desc())
        .limit(bindparam("limit"))
    )
    # By equal keys alone PostgreSQL would know that an index of `last` has the same order, and where it hopes for many
    # matches it would read that, past all other keys. Of an array it does not know that it has one element.
    ordered = select(first, column.label("last")).where(
        first == any_(array([bound(first)])), *below, table.c[compared] > literal_column("''")
    )
    ordered = ordered.distinct().order_by(first.desc(), column.desc()).limit(bindparam("limit"))
    return Statement(plain, postgresql=select(ordered.subquery("ordered").c["last"]))


def merged(statement: Statement, keys: Sequence[Mapping[str, object]], before: str, limit: int) -> Operation[list[str]]:
    """Of all rows that a statement of `newest` finds under these keys, the newest."""
    least = ""
    if len(keys) > max(limit, FEW):
        heads = yield statement.each([{**key, "least": least, "before": before, "limit": 1} for key in keys])
        foremost = sorted(heads, key=lambda head: str(head[1].last), reverse=True)[:limit]
        # What is older than all of these is not among the newest.
        keys = [keys[place] for place, _ in foremost]
        least = foremost[-1][1].last if len(foremost) == limit else least
    found = yield statement.each([{**key, "least": least, "before": before, "limit": limit} for key in keys])
    return sorted((row.last for _, row in found), reverse=True)[:limit]
