"""Sending an operation's statements to PostgreSQL: each compiled once, a batch in one round trip."""

from collections.abc import Mapping, Sequence
from operator import attrgetter, itemgetter
from typing import Any, TypeVar

from sqlalchemy import Integer, Select, Update, bindparam
from sqlalchemy.dialects.postgresql import asyncpg
from sqlalchemy.sql import ClauseElement
from sqlalchemy.sql.dml import UpdateBase

from answerback.database.compiled import Compiled
from answerback.database.operation import Operation, Parameters, Query, Rows, Statement
from answerback.database.postgres.at_once import ORDINAL, at_once

T = TypeVar("T")

DIALECT = asyncpg.dialect()  # type: ignore[no-untyped-call]


class Driver:
    """Runs operations on a connection that is in a transaction."""

    def __init__(self) -> None:
        self._plain: dict[Statement, Compiled] = {}
        self._numbered: dict[Statement, Compiled | None] = {}
        self._at_once: dict[Statement, Compiled] = {}

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
        if statement.key and len(parameters) > 1 and _differ(parameters, statement.key):
            return await self._execute_at_once(connection, statement, parameters)
        numbered = self._numbered_sql(statement) if query.numbered else None
        if numbered is None:
            sql = self._sql(statement)
            await connection.executemany(sql.text, [sql.arguments(each) for each in parameters])
            return ()
        sets = [numbered.arguments({**each, ORDINAL: index}) for index, each in enumerate(parameters)]
        return _by_ordinal(statement, await connection.fetchmany(numbered.text, sets))

    async def _execute_at_once(self, connection: Any, statement: Statement, parameters: Sequence[Parameters]) -> Rows:
        sql = self._at_once_sql(statement)
        arrays: dict[str, Any] = {name: [each[name] for each in parameters] for name in parameters[0]}
        arrays[ORDINAL] = range(len(parameters))
        found = await connection.fetch(sql.text, *sql.arguments(arrays))
        if isinstance(statement.postgresql, Update):
            return _by_ordinal(statement, found)
        return _by_names(statement, parameters, found)

    def _at_once_sql(self, statement: Statement) -> Compiled:
        if (known := self._at_once.get(statement)) is None:
            known = self._at_once[statement] = Compiled(at_once(statement.postgresql, DIALECT), DIALECT)
        return known

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


def _differ(parameters: Sequence[Parameters], key: tuple[str, ...]) -> bool:
    """Whether no two are alike in the key. As in a unique index, None is like nothing."""
    keys = [each for each in ([given[name] for name in key] for given in parameters) if None not in each]
    return len(set(map(tuple, keys))) == len(keys)


def _by_ordinal(statement: Statement, found: Sequence[Any]) -> Rows:
    """The ordinal is the last column."""
    return list(zip([row[-1] for row in found], statement.named([row[:-1] for row in found]), strict=True))


def _by_names(statement: Statement, parameters: Sequence[Parameters], found: Sequence[Any]) -> Rows:
    """Of an INSERT, whose rows show for which parameters each is."""
    names = ("id",) if "id" in parameters[0] else statement.key
    ordinals = {given: index for index, given in enumerate(map(itemgetter(*names), parameters))}
    shown = attrgetter(*names)
    return [(ordinals[shown(row)], row) for row in statement.named(found)]


def _with_ordinal(clause: ClauseElement) -> ClauseElement | None:
    ordinal = bindparam(ORDINAL, type_=Integer).label(ORDINAL)
    if isinstance(clause, Select):
        return clause.add_columns(ordinal)
    if isinstance(clause, UpdateBase) and clause._returning:
        return clause.returning(ordinal)
    return None
