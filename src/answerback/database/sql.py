"""Pieces of statements that several rooms share."""

from functools import cache
from typing import Any, Self

from sqlalchemy import (
    BigInteger,
    Column,
    ColumnElement,
    FromClause,
    FunctionElement,
    Integer,
    Select,
    Table,
    Text,
    any_,
    bindparam,
    cast,
    func,
    literal_column,
    select,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, insert
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.selectable import NamedFromClause

ARRAY_OF_IDS = ARRAY(BigInteger)

upsert = insert
"""An INSERT that may have ON CONFLICT, which SQLite took over from PostgreSQL as it is."""


class Either(FunctionElement[Any]):
    """An expression that the two databases write differently, of one type."""

    inherit_cache = True

    def __init__(self, sqlite: ColumnElement[Any], postgresql: ColumnElement[Any]) -> None:
        super().__init__(sqlite, postgresql)
        self.type = sqlite.type

    def self_group(self, against: Any = None) -> Self:  # noqa: ARG002
        """It has parentheses. For SQLite a condition would also be compared with 1, and no index would serve it."""
        return self


@compiles(Either)
def _for_postgresql(either: Either, compiler: SQLCompiler, **how: Any) -> str:
    _, postgresql = either.clauses
    return f"({compiler.process(postgresql, **how)})"


@compiles(Either, "sqlite")
def _for_sqlite(either: Either, compiler: SQLCompiler, **how: Any) -> str:
    sqlite, _ = either.clauses
    return f"({compiler.process(sqlite, **how)})"


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


def parameters(table: Table, *but: str) -> dict[str, Any]:
    """One for each column, named like it: the values of an INSERT."""
    return {column.name: bindparam(column.name) for column in table.c if column.name not in but}


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


def larger(one: ColumnElement[int], other: ColumnElement[int]) -> ColumnElement[int]:
    return Either(func.max(one, other), func.greatest(one, other))


def is_one_of(column: ColumnElement[Any], ids: Select[Any]) -> ColumnElement[bool]:
    """Whether a subquery, which may lock rows, finds the column. For PostgreSQL it is an array: made once, and short to
    the planner. A plain subquery may run again and lock other rows, or look so long that the planner reads the whole
    table."""
    return Either(column.in_(ids), column == any_(func.array(ids.scalar_subquery())))


def among(column: ColumnElement[Any]) -> ColumnElement[bool]:
    """Whether the column is one of `ids`, a parameter that holds a JSON array of texts."""
    ids = bindparam("ids", type_=Text)
    listed = func.json_each(ids).table_valued("value")
    elements = select(func.jsonb_array_elements_text(cast(ids, JSONB)))
    return Either(column.in_(select(listed.c.value)), column == any_(func.array(elements.scalar_subquery())))
