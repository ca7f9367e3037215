"""What statements return on SQLite, where RETURNING would make a table each time."""

import sqlite3
from collections.abc import Iterator

import pytest
from sqlalchemy import Column, Integer, MetaData, Table, Text, bindparam, insert, select, update

from answerback.database.operation import Operation, Query, Rows, Statement
from answerback.database.sqlite_driver import Driver

shelf = Table("shelf", MetaData(), Column("id", Integer, primary_key=True), Column("state", Text))
_new = select((bindparam("size", type_=Integer) * 2).label("id"))
PUT = Statement(insert(shelf).values(id=bindparam("id"), state="put"), postgresql=_new, computed=_new)
_moved = update(shelf).values(state=bindparam("moved")).where(shelf.c.id >= bindparam("first"))
MOVE = Statement(_moved, postgresql=_moved.returning(shelf.c.id))
MOVE_AND_READ = Statement(
    _moved,
    postgresql=_moved.returning(shelf.c.id),
    read_back=select(shelf.c.id).where(shelf.c.id >= bindparam("first")),
)


@pytest.fixture
def connection() -> Iterator[sqlite3.Connection]:
    opened = sqlite3.connect(":memory:")
    opened.execute("CREATE TABLE shelf (id INTEGER PRIMARY KEY, state TEXT)")
    yield opened
    opened.close()


def run(connection: sqlite3.Connection, query: Query) -> Rows:
    def operation() -> Operation[Rows]:
        return (yield query)

    return Driver().run(connection, operation())


def test_what_is_computed_before_is_bound_and_returned(connection: sqlite3.Connection) -> None:
    (row,) = run(connection, PUT(size=21))

    assert row.id == 42
    assert connection.execute("SELECT id, state FROM shelf").fetchall() == [(42, "put")]


def test_a_clause_that_returns_nothing_counts_what_it_changed(connection: sqlite3.Connection) -> None:
    run(connection, PUT.each([{"size": 1}, {"size": 2}, {"size": 3}]))

    moved = run(connection, MOVE(moved="away", first=4))
    none_moved = run(connection, MOVE(moved="away", first=7))
    one_by_one = run(connection, MOVE.each([{"moved": "far", "first": 7}, {"moved": "far", "first": 6}]))

    assert len(moved) == 2
    assert not none_moved
    assert [index for index, _ in one_by_one] == [1]


def test_rows_are_read_back_only_where_something_changed(connection: sqlite3.Connection) -> None:
    run(connection, PUT(size=2))

    assert [row.id for row in run(connection, MOVE_AND_READ(moved="away", first=1))] == [4]
    assert not run(connection, MOVE_AND_READ(moved="away", first=5))
