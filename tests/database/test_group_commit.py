"""Operations that have queued share a transaction, and nothing else."""

import asyncio
import sqlite3
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from answerback.database.operation import MAX_GROUP, MAX_GROUP_BYTES, Operation, Transaction
from answerback.database.sqlite import connector
from answerback.database.sqlite.group_commit import GroupCommit
from answerback.database.statement import Statement
from answerback.kernel.errors import Conflict, StorageUnavailable
from builders import accept, rows
from stores import Stores

PUT = Statement("INSERT INTO kept (n) VALUES (:n)")
BROKEN = Statement("INSERT INTO kept (n) VALUES (NULL)")


class FixedClock:
    """Implements `TransactionClock`."""

    def now(self) -> int:
        return 5

    def wall(self) -> int:
        return 7

    def before_commit(self, connection: sqlite3.Connection, now: int) -> None:
        """Nothing to remember."""


class Writer:
    """A group commit on a table of its own, whose thread can be held while operations queue."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.transactions: list[str] = []
        self.committed: list[Transaction] = []
        self.group = GroupCommit("writer", self._connect, "BEGIN IMMEDIATE", FixedClock(), self.committed.append)

    def _connect(self) -> sqlite3.Connection:
        connection = connector(self.path)()
        connection.execute("CREATE TABLE IF NOT EXISTS kept (n INTEGER NOT NULL)")
        connection.set_trace_callback(self._trace)
        return connection

    def _trace(self, statement: str) -> None:
        if statement in ("BEGIN IMMEDIATE", "COMMIT", "ROLLBACK"):
            self.transactions.append(statement)

    @asynccontextmanager
    async def held(self) -> AsyncIterator[None]:
        """While it lasts, the thread is busy and operations queue."""
        loop, busy, release = asyncio.get_running_loop(), asyncio.Event(), threading.Event()

        def wait(_: Transaction) -> Operation[None]:
            loop.call_soon_threadsafe(busy.set)
            release.wait(20)
            yield from ()

        holding = asyncio.ensure_future(self.group.run(wait))
        await busy.wait()
        yield
        release.set()
        await holding

    async def put(self, n: int) -> int:
        return await self.group.run(lambda _: put(n))

    @property
    def kept(self) -> list[int]:
        return [n for (n,) in rows(self.path, "SELECT n FROM kept ORDER BY rowid")]


def put(n: int) -> Operation[int]:
    yield PUT(n=n)
    return n


def breaks(n: int) -> Operation[None]:
    yield PUT(n=n)
    yield BROKEN()


def refuses() -> Operation[None]:
    yield from ()
    raise Conflict("no")


@pytest.fixture
async def writer(path: Path) -> AsyncIterator[Writer]:
    made = Writer(path)
    yield made
    await made.group.close()


async def queue(writer: Writer, *operations: Callable[[], Operation[object]]) -> list[object]:
    """Queues the operations while the thread is busy, and returns what came of each."""
    async with writer.held():
        waiting = [asyncio.ensure_future(writer.group.run(lambda _, each=each: each())) for each in operations]
        await asyncio.sleep(0)
    return list(await asyncio.gather(*waiting, return_exceptions=True))


async def test_a_lone_operation_commits_at_once(writer: Writer) -> None:
    assert await writer.put(1) == 1

    assert writer.kept == [1]
    assert writer.transactions == ["BEGIN IMMEDIATE", "COMMIT"]


async def test_operations_that_have_queued_share_one_commit(writer: Writer) -> None:
    results = await queue(writer, *(lambda n=n: put(n) for n in range(100)))

    assert results == list(range(100))
    assert writer.kept == results
    assert writer.transactions.count("COMMIT") == 2


async def test_what_two_turns_of_the_event_loop_ask_for_shares_one_commit(writer: Writer) -> None:
    first = asyncio.ensure_future(writer.put(1))
    await asyncio.sleep(0)
    second = asyncio.ensure_future(writer.put(2))

    assert await asyncio.gather(first, second) == [1, 2]
    assert writer.transactions == ["BEGIN IMMEDIATE", "COMMIT"]


async def test_who_comes_while_a_lock_is_waited_for_does_not_wait_for_it_anew(path: Path) -> None:
    # Given a writer that waits for another process's lock
    loop, waits, gave_up = asyncio.get_running_loop(), asyncio.Event(), threading.Event()
    begun: list[str] = []

    class Locked(sqlite3.Connection):
        def execute(self, sql: str, /, *values: Any) -> sqlite3.Cursor:
            if sql == "BEGIN IMMEDIATE":
                begun.append(sql)
                loop.call_soon_threadsafe(waits.set)
                gave_up.wait(20)
                raise sqlite3.OperationalError("database is locked")
            return super().execute(sql, *values)

    group = GroupCommit("locked", lambda: Locked(path), "BEGIN IMMEDIATE", FixedClock())
    first = asyncio.ensure_future(group.run(lambda _: put(1)))
    await waits.wait()

    # When others come, and it gives up
    others = [asyncio.ensure_future(group.run(lambda _: put(2))) for _ in range(MAX_GROUP + 1)]
    for _ in range(3):
        await asyncio.sleep(0)
    gave_up.set()
    outcomes = await asyncio.gather(first, *others, return_exceptions=True)

    # Then all are refused after this one wait
    assert {type(each) for each in outcomes} == {StorageUnavailable}
    assert begun == ["BEGIN IMMEDIATE"]
    await group.close()


async def test_a_group_is_bounded(writer: Writer) -> None:
    await queue(writer, *(lambda n=n: put(n) for n in range(MAX_GROUP + 1)))

    assert writer.transactions.count("COMMIT") == 3
    assert len(writer.kept) == MAX_GROUP + 1


async def test_the_payload_of_a_group_is_bounded(writer: Writer) -> None:
    async with writer.held():
        half = MAX_GROUP_BYTES // 2
        waiting = [asyncio.ensure_future(writer.group.run(lambda _, n=n: put(n), payload_bytes=half)) for n in range(6)]
        await asyncio.sleep(0)
    await asyncio.gather(*waiting)

    assert writer.transactions.count("COMMIT") == 1 + 3
    assert writer.kept == [*range(6)]


async def test_a_broken_operation_leaves_nothing_and_does_not_harm_its_neighbours(writer: Writer) -> None:
    before, broken, after = await queue(writer, lambda: put(1), lambda: breaks(99), lambda: put(2))

    assert isinstance(broken, sqlite3.IntegrityError)
    assert (before, after) == (1, 2)
    assert writer.kept == [1, 2]


async def test_a_refusal_does_not_roll_its_neighbours_back(writer: Writer) -> None:
    before, refused, after = await queue(writer, lambda: put(1), refuses, lambda: put(2))

    assert isinstance(refused, Conflict)
    assert (before, after) == (1, 2)
    assert writer.kept == [1, 2]
    assert "ROLLBACK" not in writer.transactions
    assert writer.transactions.count("COMMIT") == 2


async def test_what_did_not_commit_is_not_reported_as_committed(writer: Writer) -> None:
    def opens(tx: Transaction) -> Operation[None]:
        tx.opened["default"] += 1
        yield BROKEN()

    with pytest.raises(sqlite3.IntegrityError):
        await writer.group.run(opens)

    assert writer.committed == []


async def test_a_cancelled_caller_does_not_stop_the_thread(writer: Writer) -> None:
    async with writer.held():
        gone = asyncio.ensure_future(writer.put(1))
        await asyncio.sleep(0)
        gone.cancel()

    assert await writer.put(2) == 2


async def test_closing_finishes_what_has_queued_and_refuses_the_rest(writer: Writer) -> None:
    async with writer.held():
        waiting = [asyncio.ensure_future(writer.put(n)) for n in range(10)]
        await asyncio.sleep(0)
        closing = asyncio.ensure_future(writer.group.close())
        await asyncio.sleep(0)
    await closing

    assert await asyncio.gather(*waiting) == list(range(10))
    with pytest.raises(StorageUnavailable):
        await writer.put(11)


async def test_a_busy_store_commits_far_less_often_than_it_accepts(stores: Stores) -> None:
    commits = 0
    committed = stores.database.write.runner._committed

    def counting(transaction: Transaction) -> None:
        nonlocal commits
        commits += 1
        committed(transaction)

    stores.database.write.runner._committed = counting

    await asyncio.gather(*(accept(stores, session=None) for _ in range(500)))

    assert await stores.jobs.count_open() == 500
    assert commits < 100
