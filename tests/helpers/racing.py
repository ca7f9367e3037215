"""Two processes on one PostgreSQL, one of them stopped right before its commit."""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import asyncpg

from answerback.database.operation import Operation
from databases import PostgresDatabase
from stores import Stores

T = TypeVar("T")


class Held:
    """A transaction that has done everything but commit."""

    def __init__(self, task: "asyncio.Task[Any]", go: asyncio.Event) -> None:
        self._task = task
        self._go = go

    async def commit(self) -> Any:
        """Lets it go on; what it returned."""
        self._go.set()
        return await self._task


@asynccontextmanager
async def held(stores: Stores, work: Coroutine[Any, Any, Any]) -> AsyncIterator[Held]:
    """Runs `work` of this store up to its commit."""
    driver, failpoint, go = stores.database.write.runner._driver, asyncio.Event(), asyncio.Event()
    run = driver.run

    async def run_and_wait(connection: Any, operation: Operation[T]) -> T:
        result = await run(connection, operation)
        failpoint.set()
        await go.wait()
        return result

    driver.run = run_and_wait
    task = asyncio.create_task(work)
    try:
        async with asyncio.timeout(20):
            await failpoint.wait()
        yield Held(task, go)
    finally:
        go.set()
        await asyncio.gather(task, return_exceptions=True)
        driver.run = run


async def blocked(database: PostgresDatabase, work: Coroutine[Any, Any, T]) -> "asyncio.Task[T]":
    """Starts `work` and returns when some transaction of the database waits for another's lock."""
    task = asyncio.create_task(work)
    connection = await asyncpg.connect(database.url)
    try:
        async with asyncio.timeout(20):
            while not task.done() and not await connection.fetchval(
                "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
            ):
                pass
    finally:
        await connection.close()
    assert not task.done(), "it did not have to wait"
    return task
