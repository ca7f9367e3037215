"""Sending an operation's statements to PostgreSQL: each compiled once, a batch in one round trip."""

from collections.abc import Mapping
from operator import itemgetter
from typing import Any, TypeVar

from sqlalchemy import Integer, Select, bindparam
from sqlalchemy.dialects.postgresql import asyncpg
from sqlalchemy.sql import ClauseElement
from sqlalchemy.sql.dml import UpdateBase

from answerback.database.operation import Operation, Parameters, Query, Rows, Statement

T = TypeVar("T")

DIALECT = asyncpg.dialect()  # type: ignore[no-untyped-call]
ORDINAL = "ordinal"


class _Sql:
    """A clause as SQL with `$n` parameters, and how to put parameters in their order."""

    def __init__(self, clause: ClauseElement) -> None:
        compiled = clause.compile(dialect=DIALECT)
        binds = compiled.bind_names  # type: ignore[attr-defined]
        self.text = str(compiled)
        self._constants = {name: bind.value for bind, name in binds.items() if not bind.required}
        names = tuple(compiled.positiontup or ())  # type: ignore[attr-defined]
        self._pick = itemgetter(*names) if len(names) > 1 else lambda known: tuple(known[name] for name in names)

    def arguments(self, parameters: Parameters) -> tuple[Any, ...]:
        picked: tuple[Any, ...] = self._pick({**self._constants, **parameters})
        return picked


class Driver:
    """Runs operations on a connection that is in a transaction."""

    def __init__(self) -> None:
        self._plain: dict[Statement, _Sql] = {}
        self._numbered: dict[Statement, _Sql | None] = {}

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

    def _sql(self, statement: Statement) -> _Sql:
        if (known := self._plain.get(statement)) is None:
            known = self._plain[statement] = _Sql(statement.postgresql)
        return known

    def _numbered_sql(self, statement: Statement) -> _Sql | None:
        """The statement with one more column, the index of the parameters that a row belongs to. None if it returns
        nothing."""
        if statement not in self._numbered:
            numbered = None if statement.only_locks else _with_ordinal(statement.postgresql)
            self._numbered[statement] = None if numbered is None else _Sql(numbered)
        return self._numbered[statement]


def _with_ordinal(clause: ClauseElement) -> ClauseElement | None:
    ordinal = bindparam(ORDINAL, type_=Integer).label(ORDINAL)
    if isinstance(clause, Select):
        return clause.add_columns(ordinal)
    if isinstance(clause, UpdateBase) and clause._returning:
        return clause.returning(ordinal)
    return None
