"""Statements that run at once for many sets of parameters: these arrive as arrays, and the statement reads their rows
as a table. Most of what a small statement costs the server is its beginning and end, which it then has only once."""

from typing import Any

from sqlalchemy import ARRAY, BindParameter, Insert, Integer, Update, bindparam, column, func, select
from sqlalchemy.engine import Dialect
from sqlalchemy.sql import ClauseElement
from sqlalchemy.sql.sqltypes import NullType
from sqlalchemy.sql.visitors import replacement_traverse

ORDINAL = "ordinal"


def at_once(clause: ClauseElement, dialect: Dialect) -> Any:
    """The clause with an array for each of its parameters, in the order of `ORDINAL`, which an UPDATE returns as its
    last column."""
    given = _given(clause, dialect)
    if isinstance(clause, Insert) and clause._values is not None:
        clause = Insert(clause.table).from_select(list(clause._values), select(*clause._values.values()))

    def replaced(element: Any, **_: Any) -> Any:
        return given.c[element.key] if isinstance(element, BindParameter) and element.key in given.c else None

    every: Any = replacement_traverse(clause, {}, replaced)
    return every.returning(given.c[ORDINAL]) if isinstance(every, Update) else every


def _given(clause: ClauseElement, dialect: Dialect) -> Any:
    """The parameters' rows. Their types are known where the clause is compiled."""
    binds = clause.compile(dialect=dialect).bind_names  # type: ignore[attr-defined]
    types = {name: bind.type for bind, name in binds.items() if bind.required} | {ORDINAL: Integer()}
    untyped = [name for name, of in types.items() if isinstance(of, NullType)]
    if untyped:
        raise TypeError(f"{untyped} have no type that the database could be given")
    arrays = (bindparam(name, type_=ARRAY(of)) for name, of in types.items())
    columns = (column(name, of) for name, of in types.items())
    return func.unnest(*arrays).table_valued(*columns, name="given").render_derived()
