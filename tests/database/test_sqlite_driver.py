"""What statements return on SQLite, where RETURNING would make a table each time."""

import sqlite3
from collections.abc import Iterator

import pytest

from answerback.database.operation import Operation
from answerback.database.sqlite.driver import Driver
from answerback.database.statement import Query, Rows, Statement, Update

PUT = Statement("INSERT INTO shelf (id, state) VALUES (:id, 'put')", computed="SELECT :size * 2 AS id")
MOVED = Update("shelf", {"state": ":moved"}, "shelf.id >= :first", returning="shelf.id")
MOVE = Statement(MOVED)
MOVE_AND_READ = Statement(MOVED, read_back="SELECT id FROM shelf WHERE id >= :first")


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
