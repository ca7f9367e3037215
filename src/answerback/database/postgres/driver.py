"""Sending an operation's statements to PostgreSQL: each made into SQL once, a batch in one round trip."""

from collections.abc import Mapping, Sequence
from operator import attrgetter, itemgetter
from typing import Any, TypeVar

from answerback.database.operation import Operation
from answerback.database.postgres.texts import ORDINAL, numbered, of_group, plain
from answerback.database.prepared import Prepared
from answerback.database.statement import Parameters, Query, Rows, Statement

T = TypeVar("T")


class Driver:
    """Runs operations on a connection that is in a transaction."""

    def __init__(self) -> None:
        self._plain: dict[Statement, Prepared] = {}
        self._numbered: dict[Statement, Prepared | None] = {}
        self._of_group: dict[Statement, Prepared] = {}

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
            sql = self._plain_sql(statement)
            return _named(sql, await connection.fetch(sql.text, *sql.arguments(parameters)))
        if statement.key and len(parameters) > 1 and _differ(parameters, statement.key):
            return await self._execute_group(connection, statement, parameters)
        each = self._numbered_sql(statement) if query.numbered else None
        if each is None:
            sql = self._plain_sql(statement)
            await connection.executemany(sql.text, [sql.arguments(given) for given in parameters])
            return ()
        sets = [each.arguments({**given, ORDINAL: index}) for index, given in enumerate(parameters)]
        return _by_ordinal(each, await connection.fetchmany(each.text, sets))

    async def _execute_group(self, connection: Any, statement: Statement, parameters: Sequence[Parameters]) -> Rows:
        if (sql := self._of_group.get(statement)) is None:
            sql = self._of_group[statement] = of_group(statement)
        arrays: dict[str, Any] = {name: [each[name] for each in parameters] for name in statement.given}
        arrays[ORDINAL] = range(len(parameters))
        found = await connection.fetch(sql.text, *sql.arguments(arrays))
        if not found:
            return ()
        *_, last = found[0].keys()
        return _by_ordinal(sql, found) if last == ORDINAL else _by_names(statement, parameters, _named(sql, found))

    def _plain_sql(self, statement: Statement) -> Prepared:
        if (sql := self._plain.get(statement)) is None:
            sql = self._plain[statement] = plain(statement)
        return sql

    def _numbered_sql(self, statement: Statement) -> Prepared | None:
        if statement not in self._numbered:
            self._numbered[statement] = numbered(statement)
        return self._numbered[statement]


def _differ(parameters: Sequence[Parameters], key: tuple[str, ...]) -> bool:
    """Whether no two are alike in the key. As in a unique index, None is like nothing."""
    keys = [each for each in ([given[name] for name in key] for given in parameters) if None not in each]
    return len(set(map(tuple, keys))) == len(keys)


def _named(sql: Prepared, found: Sequence[Any]) -> Rows:
    return sql.named(found[0].keys(), found) if found else ()


def _by_ordinal(sql: Prepared, found: Sequence[Any]) -> Rows:
    """The ordinal is the last column."""
    if not found:
        return ()
    rows = sql.named(list(found[0].keys())[:-1], [row[:-1] for row in found])
    return list(zip([row[-1] for row in found], rows, strict=True))


def _by_names(statement: Statement, parameters: Sequence[Parameters], rows: Rows) -> Rows:
    """Of an INSERT, whose rows show for which parameters each is."""
    names = ("id",) if "id" in parameters[0] else statement.key
    ordinals = {given: index for index, given in enumerate(map(itemgetter(*names), parameters))}
    shown = attrgetter(*names)
    return [(ordinals[shown(row)], row) for row in rows]
