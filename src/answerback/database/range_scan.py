"""A range scan: the newest rows of a key, along an index, however many rows there are of that and of other keys."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Table, bindparam, literal_column, select, tuple_

from answerback.database.operation import Statement


def newest(table: Table, keys: Sequence[str], last: str, *where: Any, compared: str) -> Statement:
    """The distinct values of the text column `last` below the bound `before`, the greatest first, of the rows whose
    `keys` equal their bound parameters. An index over `keys` and `last` serves it, whatever `where` it has. `compared`
    is the text column that PostgreSQL's index asks for, see `answerback.database.tables`."""
    columns = [table.c[name] for name in (*keys, last)]
    binds = [bindparam(name, type_=table.c[name].type) for name in keys]
    before = bindparam("before", type_=table.c[last].type)
    same = [column == bind for column, bind in zip(columns, binds, strict=False)]
    plain = select(table.c[last]).where(*where, *same, table.c[last] < before)
    plain = plain.distinct().order_by(table.c[last].desc()).limit(bindparam("limit"))
    # By equal keys PostgreSQL would know that an index of `last` alone has the same order, and where it hopes for many
    # matches it would read that, past all other keys.
    ranged = select(*columns).where(
        *where,
        table.c[compared] > literal_column("''"),
        tuple_(*columns) < tuple_(*binds, before),
        tuple_(*columns) > tuple_(*binds, literal_column("''")),
    )
    ranged = ranged.distinct().order_by(*(column.desc() for column in columns)).limit(bindparam("limit"))
    return Statement(plain, postgresql=select(ranged.subquery("ranged").c[last]))
