"""The one reader of SQLite serves tenants in turn, and lets no result wait for a long group's end."""

import asyncio
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from answerback.database.operation import Operation
from answerback.database.sqlite import connector
from answerback.database.sqlite.group_commit import GroupCommit


class FixedClock:
    """Implements `TransactionClock`."""

    def now(self) -> int:
        return 5

    def wall(self) -> int:
        return 7

    def before_commit(self, connection: object, now: int) -> None:
        """Nothing to remember."""


class Reader:
    """Reads that each wait for a step of the test, and the tenants of those that have begun, in order."""

    def __init__(self, path: Path, group_seconds: float) -> None:
        connector(path)().close()
        clock = FixedClock()
        self._group = GroupCommit("reader", connector(path), "BEGIN", clock, group_seconds=group_seconds)
        self._steps = threading.Semaphore(0)
        self._loop = asyncio.get_running_loop()
        self._changed = asyncio.Event()
        self.began: list[str] = []
        self.ended: list[str] = []

    async def read(self, *tenants: str) -> list[asyncio.Task[None]]:
        async def one(tenant_id: str) -> None:
            await self._group.run(lambda _: self._operation(tenant_id), tenant_id=tenant_id)
            self.ended.append(tenant_id)
            self._changed.set()

        tasks = [asyncio.ensure_future(one(tenant_id)) for tenant_id in tenants]
        # They ask in one turn of the loop, and are handed over in the next but one.
        for _ in range(3):
            await asyncio.sleep(0)
        return tasks

    def step(self, n: int = 1) -> None:
        self._steps.release(n)

    async def until(self, began: int = 0, ended: int = 0) -> None:
        async with asyncio.timeout(10):
            while len(self.began) < began or len(self.ended) < ended:
                self._changed.clear()
                await self._changed.wait()

    async def close(self) -> None:
        self.step(1000)
        await self._group.close()

    def _operation(self, tenant_id: str) -> Operation[None]:
        self._loop.call_soon_threadsafe(self._begin, tenant_id)
        self._steps.acquire()
        yield from ()

    def _begin(self, tenant_id: str) -> None:
        self.began.append(tenant_id)
        self._changed.set()


@pytest.fixture
async def reader(path: Path) -> AsyncIterator[Reader]:
    made = Reader(path, group_seconds=0.0)
    yield made
    await made.close()


async def test_reads_take_turns_between_tenants(reader: Reader) -> None:
    reading = await reader.read("a")
    await reader.until(began=1)
    reading += await reader.read("a", "a", "a", "b", "b", "", "a")

    reader.step(8)

    await asyncio.gather(*reading)
    assert reader.began == ["a", "a", "b", "", "a", "b", "a", "a"]


async def test_a_newcomers_read_is_next_and_its_result_waits_for_no_other(reader: Reader) -> None:
    await reader.read(*["a"] * 50)
    reader.step(2)
    await reader.until(began=3)

    (late,) = await reader.read("b")
    reader.step(2)
    await late

    assert reader.began[:4] == ["a", "a", "a", "b"]
    assert reader.ended == ["a", "a", "a", "b"]


async def test_quick_reads_share_a_group(path: Path) -> None:
    reader = Reader(path, group_seconds=3600.0)
    reading = await reader.read("a")
    await reader.until(began=1)
    reading += await reader.read(*"aab")
    reader.step(3)
    await reader.until(began=4, ended=1)

    assert reader.ended == ["a"]

    reader.step()
    await asyncio.gather(*reading)
    await reader.close()
