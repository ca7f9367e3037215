"""A range scan: the newest rows of a key, along an index, however many rows there are of that and of other keys."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Table, any_, bindparam, literal_column, select
from sqlalchemy.dialects.postgresql import array

from answerback.database.operation import Statement
from answerback.database.sql import bound


def newest(table: Table, keys: Sequence[str], last: str, *where: Any, compared: str) -> Statement:
    """The distinct values of the text column `last` below the bound `before`, the greatest first, of the rows whose
    `keys` equal their bound parameters. An index over `keys` and `last` serves it, whatever `where` it has. `compared`
    is the text column that PostgreSQL's index asks for, see `answerback.database.tables`."""
    first, *others = (table.c[name] for name in keys)
    column = table.c[last]
    same = [other == bound(other) for other in others]
    below = (*where, *same, column < bound(column, "before"))
    plain = (
        select(column).where(first == bound(first), *below).distinct().order_by(column.desc()).limit(bindparam("limit"))
    )
    # By equal keys alone PostgreSQL would know that an index of `last` has the same order, and where it hopes for many
    # matches it would read that, past all other keys. Of an array it does not know that it has one element.
    ordered = select(first, column).where(
        first == any_(array([bound(first)])), *below, table.c[compared] > literal_column("''")
    )
    ordered = ordered.distinct().order_by(first.desc(), column.desc()).limit(bindparam("limit"))
    return Statement(plain, postgresql=select(ordered.subquery("ordered").c[last]))
