"""Pieces of statements that several rooms share."""

from functools import cache
from typing import Any, NamedTuple

from sqlalchemy import (
    BigInteger,
    Column,
    ColumnElement,
    FromClause,
    Integer,
    Table,
    Text,
    any_,
    bindparam,
    cast,
    func,
    literal_column,
    select,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.sql.selectable import NamedFromClause

ARRAY_OF_IDS = ARRAY(BigInteger)


def literal(value: Any) -> str:
    """A state as SQL text. Partial indexes serve a query only where its predicate is spelled out, not bound."""
    return f"'{value}'"


@cache
def aliased(table: Table, name: str) -> NamedFromClause[Any]:
    """The same for all statements: each alias has a copy of every column, 50 KiB for that of jobs."""
    return table.alias(name)


def as_text(value: str) -> ColumnElement[str]:
    """A constant as SQL text."""
    return literal_column(literal(value), Text)


def bound(column: Column[Any], name: str | None = None) -> Any:
    """A parameter of the column's type, for a place where PostgreSQL cannot infer it; named like the column by
    default."""
    return bindparam(name or column.name, type_=column.type)


def at_most(rows: int) -> ColumnElement[int]:
    """A limit as SQL text: PostgreSQL's planner, which may not look at bound values, takes a bound limit for a tenth of
    the table."""
    return literal_column(str(rows), Integer)


def in_state(table: FromClause, state: str) -> Any:
    """For statements that look for rows: spelled out, so that a partial index serves them."""
    return table.c.state == literal_column(literal(state))


def still_in_state(table: FromClause, state: str) -> Any:
    """For statements that find their row by its id: bound, so that the primary key serves, not a partial index."""
    return table.c.state == state


def array_of(ids: Any) -> Any:
    """A subquery's ids as a PostgreSQL array: it is made once, and looks short to the planner. A plain subquery may run
    again and lock other rows, or look so long that the planner reads the whole table."""
    return func.array(ids.scalar_subquery())


class Among(NamedTuple):
    """One condition for each database."""

    sqlite: ColumnElement[bool]
    postgresql: ColumnElement[bool]


def among(column: ColumnElement[Any]) -> Among:
    """Whether the column is one of `ids`, a parameter that holds a JSON array of texts."""
    ids = bindparam("ids", type_=Text)
    listed = func.json_each(ids).table_valued("value")
    elements = select(func.jsonb_array_elements_text(cast(ids, JSONB)))
    return Among(column.in_(select(listed.c.value)), column == any_(array_of(elements)))
