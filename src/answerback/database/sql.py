"""Pieces of statements that several rooms share."""

from typing import Any

from sqlalchemy import BigInteger, Column, ColumnElement, FromClause, Integer, Text, bindparam, func, literal_column
from sqlalchemy.dialects.postgresql import ARRAY

ARRAY_OF_IDS = ARRAY(BigInteger)


def literal(value: Any) -> str:
    """A state as SQL text. Partial indexes serve a query only where its predicate is spelled out, not bound."""
    return f"'{value}'"


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
