"""Sending an operation's statements to SQLite: each made into SQL once."""

import sqlite3
from collections.abc import Sequence
from typing import TypeVar

from answerback.database.dialect import Dialect
from answerback.database.operation import Operation
from answerback.database.prepared import Prepared
from answerback.database.statement import Parameters, Query, Rows, Statement

T = TypeVar("T")


class Driver:
    """Runs operations on a connection that is in a transaction."""

    def __init__(self) -> None:
        self._prepared: dict[Statement, _SqliteStatement] = {}

    def run(self, connection: sqlite3.Connection, operation: Operation[T]) -> T:
        try:
            query = next(operation)
            while True:
                query = operation.send(self._execute(connection, query))
        except StopIteration as stop:
            return stop.value  # type: ignore[no-any-return]

    def _execute(self, connection: sqlite3.Connection, query: Query) -> Rows:
        statement, parameters = query.statement, query.parameters
        if statement.only_locks:
            return ()
        if (prepared := self._prepared.get(statement)) is None:
            prepared = self._prepared[statement] = _SqliteStatement(statement)
        if isinstance(parameters, dict):
            return prepared.run(connection, parameters)
        if query.numbered:
            runs = ((index, prepared.run(connection, each)) for index, each in enumerate(parameters))  # type: ignore[arg-type]
            return [(index, row) for index, rows in runs for row in rows]
        prepared.run_many(connection, parameters)  # type: ignore[arg-type]
        return ()


def texts(statement: Statement) -> tuple[str, str | None, str | None]:
    """What SQLite executes: the clause, what is computed before it, and what is read back after it."""
    clause = statement.clause(Dialect.SQLITE)
    return clause if isinstance(clause, str) else clause.on_sqlite(), statement.computed, statement.read_back


class _SqliteStatement:
    """A statement as SQLite takes it."""

    def __init__(self, statement: Statement) -> None:
        clause, computed, read_back = texts(statement)
        self._clause = _by_position(clause)
        self._computed = None if computed is None else _by_position(computed)
        self._read_back = None if read_back is None else _by_position(read_back)

    def run(self, connection: sqlite3.Connection, parameters: Parameters) -> Rows:
        clause = self._clause
        if (computed := self._computed) is not None:
            cursor = connection.execute(computed.text, computed.arguments(parameters))
            rows = _named(computed, cursor)
            connection.execute(clause.text, clause.arguments({**parameters, **rows[0]._asdict()}))
            return rows
        cursor = connection.execute(clause.text, clause.arguments(parameters))
        if cursor.description is not None:
            return _named(clause, cursor)
        if (reading := self._read_back) is None:
            return ((),) * cursor.rowcount
        if not cursor.rowcount:
            return ()
        return _named(reading, connection.execute(reading.text, reading.arguments(parameters)))

    def run_many(self, connection: sqlite3.Connection, sets: Sequence[Parameters]) -> None:
        connection.executemany(self._clause.text, [self._clause.arguments(each) for each in sets])


def _by_position(text: str) -> Prepared:
    """The driver binds parameters by name in twice the time."""
    return Prepared(text, lambda _: "?", repeated=True)


def _named(prepared: Prepared, cursor: sqlite3.Cursor) -> Rows:
    return prepared.named((each[0] for each in cursor.description), cursor.fetchall())
