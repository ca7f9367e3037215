"""Sending an operation's statements to SQLite: each compiled once."""

import sqlite3
from collections.abc import Sequence
from typing import TypeVar

from sqlalchemy.dialects import sqlite

from answerback.database.compiled import Compiled
from answerback.database.operation import Operation, Parameters, Query, Rows, Statement

T = TypeVar("T")

DIALECT = sqlite.dialect(paramstyle="qmark")
"""Parameters by position: the driver binds those by name in twice the time."""


class Driver:
    """Runs operations on a connection that is in a transaction."""

    def __init__(self) -> None:
        self._prepared: dict[Statement, _Prepared] = {}

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
            prepared = self._prepared[statement] = _Prepared(statement)
        if isinstance(parameters, dict):
            return prepared.run(connection, parameters)
        if query.numbered:
            runs = ((index, prepared.run(connection, each)) for index, each in enumerate(parameters))  # type: ignore[arg-type]
            return [(index, row) for index, rows in runs for row in rows]
        prepared.run_many(connection, parameters)  # type: ignore[arg-type]
        return ()


class _Prepared:
    """A statement as SQLite takes it."""

    def __init__(self, statement: Statement) -> None:
        self._statement = statement
        self._clause = Compiled(statement.clause, DIALECT)
        self._computed = None if statement.computed is None else Compiled(statement.computed, DIALECT)
        self._read_back = None if statement.read_back is None else Compiled(statement.read_back, DIALECT)

    def run(self, connection: sqlite3.Connection, parameters: Parameters) -> Rows:
        clause = self._clause
        if (computed := self._computed) is not None:
            row = connection.execute(computed.text, computed.arguments(parameters)).fetchone()
            values = zip(self._statement.columns, row, strict=True)
            connection.execute(clause.text, clause.arguments({**parameters, **dict(values)}))
            return self._statement.named((row,))
        cursor = connection.execute(clause.text, clause.arguments(parameters))
        if cursor.description is None:
            if (reading := self._read_back) is None:
                return ((),) * cursor.rowcount if self._statement.columns else ()
            if not cursor.rowcount:
                return ()
            cursor = connection.execute(reading.text, reading.arguments(parameters))
        return self._statement.named(cursor.fetchall())

    def run_many(self, connection: sqlite3.Connection, sets: Sequence[Parameters]) -> None:
        connection.executemany(self._clause.text, [self._clause.arguments(each) for each in sets])
