"""Sending an operation's statements to PostgreSQL: each compiled once, a batch in one round trip."""

from collections.abc import Mapping
from typing import Any, TypeVar

from sqlalchemy import Integer, Select, bindparam
from sqlalchemy.dialects.postgresql import asyncpg
from sqlalchemy.sql import ClauseElement
from sqlalchemy.sql.dml import UpdateBase

from answerback.database.compiled import Compiled
from answerback.database.operation import Operation, Query, Rows, Statement

T = TypeVar("T")

DIALECT = asyncpg.dialect()  # type: ignore[no-untyped-call]
ORDINAL = "ordinal"


class Driver:
    """Runs operations on a connection that is in a transaction."""

    def __init__(self) -> None:
        self._plain: dict[Statement, Compiled] = {}
        self._numbered: dict[Statement, Compiled | None] = {}

    async def run(self, connection: Any, operation: Operation[T]) -> T:
        try:
            query = next(operation)
            while True:
                query = operation.send(await self._execute(connection, query))
        except StopIteration as stop:
            return stop.value  # type: ignore[no-any-return]

    async def _execute(self, connection: Any, query: Query) -> Rows:
        statement, parameters = query.statement, query.parameters
        if isinstance(parameters, Mapping):
            sql = self._sql(statement)
            rows = await connection.fetch(sql.text, *sql.arguments(parameters))
            return statement.named(rows)
        numbered = self._numbered_sql(statement) if query.numbered else None
        if numbered is None:
            sql = self._sql(statement)
            await connection.executemany(sql.text, [sql.arguments(each) for each in parameters])
            return ()
        sets = [numbered.arguments({**each, ORDINAL: index}) for index, each in enumerate(parameters)]
        found = await connection.fetchmany(numbered.text, sets)
        # The ordinal is the last column.
        return [(row[-1], *statement.named((row[:-1],))) for row in found]

    def _sql(self, statement: Statement) -> Compiled:
        if (known := self._plain.get(statement)) is None:
            known = self._plain[statement] = Compiled(statement.postgresql, DIALECT)
        return known

    def _numbered_sql(self, statement: Statement) -> Compiled | None:
        """The statement with one more column, the index of the parameters that a row belongs to. None if it returns
        nothing."""
        if statement not in self._numbered:
            numbered = None if statement.only_locks else _with_ordinal(statement.postgresql)
            self._numbered[statement] = None if numbered is None else Compiled(numbered, DIALECT)
        return self._numbered[statement]


def _with_ordinal(clause: ClauseElement) -> ClauseElement | None:
    ordinal = bindparam(ORDINAL, type_=Integer).label(ORDINAL)
    if isinstance(clause, Select):
        return clause.add_columns(ordinal)
    if isinstance(clause, UpdateBase) and clause._returning:
        return clause.returning(ordinal)
    return None
