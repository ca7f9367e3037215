"""How PostgreSQL is sent statements: each made into SQL once, for one set of parameters, for several, or for none."""

from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest

from answerback.database.dialect import Dialect
from answerback.database.operation import Operation
from answerback.database.postgres.driver import Driver
from answerback.database.statement import Insert, Query, Rows, Statement, Update
from databases import PostgresDatabase

SHELF = "CREATE TEMPORARY TABLE shelf (id bigint PRIMARY KEY, state text)"
PUT = Statement(
    Insert("shelf", {"id": ":id", "state": ":state"}, returning="id"), key=("id",), given="id bigint, state text"
)
MOVE = Statement(
    Update("shelf", {"state": ":moved"}, "shelf.id = :row_id", "shelf.state"),
    key=("row_id",),
    given="row_id bigint, moved text",
)
COUNTS = Statement("SELECT count(*) AS count, CAST(max(id) AS bigint) AS index FROM shelf WHERE id >= :first")


@pytest.fixture
async def connection(postgres: PostgresDatabase) -> AsyncIterator[Any]:
    opened = await asyncpg.connect(postgres.url)
    await opened.execute(SHELF)
    yield opened
    await opened.close()


async def run(driver: Driver, connection: Any, query: Query) -> Rows:
    def operation() -> Operation[Rows]:
        return (yield query)

    return await driver.run(connection, operation())


async def test_a_statement_is_written_once_however_often_it_runs(connection: Any) -> None:
    written: list[Dialect] = []

    def touching(dialect: Dialect) -> str:
        written.append(dialect)
        return "UPDATE shelf SET state = 'touched' WHERE id = :row_id"

    touch, driver = Statement(touching), Driver()
    sets = [{"row_id": 1}, {"row_id": 2}]
    queries = (touch(row_id=1), touch.many(sets), touch.each(sets))
    for query in queries:
        await run(driver, connection, query)
    at_first = len(written)

    for query in queries:
        await run(driver, connection, query)

    assert len(written) == at_first


@pytest.mark.parametrize("ids", [(), (7,), (7, 8, 9), (7, 8, 8)])
async def test_each_set_of_parameters_gets_its_own_rows(connection: Any, ids: tuple[int, ...]) -> None:
    driver = Driver()
    await run(driver, connection, PUT.many([{"id": each, "state": "put"} for each in (9, 8, 7)]))

    moved = await run(driver, connection, MOVE.each([{"row_id": each, "moved": f"to {each}"} for each in ids]))
    one_missed = await run(driver, connection, MOVE.each([{"row_id": each, "moved": "away"} for each in (6, *ids)]))

    assert sorted(moved) == [(index, (f"to {each}",)) for index, each in enumerate(ids)]
    assert sorted(index for index, _ in one_missed) == [index + 1 for index, _ in enumerate(ids)]


async def test_rows_are_read_by_whatever_name_a_column_has(connection: Any) -> None:
    driver = Driver()
    put = await run(driver, connection, PUT.each([{"id": each, "state": "put"} for each in (3, 5)]))
    none_there = await run(driver, connection, COUNTS(first=6))

    (found,) = await run(driver, connection, COUNTS(first=4))
    numbered = await run(driver, connection, COUNTS.each([{"first": 1}, {"first": 5}]))

    assert sorted((index, row.id) for index, row in put) == [(0, 3), (1, 5)]
    assert (none_there[0].count, none_there[0].index) == (0, None)
    assert (found.count, found.index) == (1, 5)
    assert [(index, row.count) for index, row in numbered] == [(0, 2), (1, 1)]
