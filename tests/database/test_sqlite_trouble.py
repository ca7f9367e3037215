"""A database that is locked, full or read-only refuses cleanly, keeps what it has, and recovers."""

import asyncio
import contextlib
import shutil
import sqlite3
import threading
from collections.abc import Callable
from itertools import count
from pathlib import Path

import pytest

from answerback.database import sqlite
from answerback.database.operation import Operation, Transaction
from answerback.database.probe import look, probe
from answerback.database.statement import Statement
from answerback.jobs.kind import JobState
from answerback.kernel.errors import StorageUnavailable
from answerback.testing.clock import FakeClock
from builders import TENANT, accept, claim_job, dump, ended_job, finish, raw, roomy, rows
from databases import Database, SqliteDatabase
from stores import Stores


@pytest.fixture
def database(path: Path) -> Database:
    """SQLite only."""
    return SqliteDatabase(path)


@pytest.fixture
def short_timeout(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite, "BUSY_SECONDS", 0.05)


def patch_connections(monkeypatch: pytest.MonkeyPatch, prepare: Callable[[sqlite3.Connection], None]) -> None:
    """Has every connection of a store opened from now on prepared."""
    connector = sqlite.connector

    def prepared(path: Path, *, read_only: bool = False) -> Callable[[], sqlite3.Connection]:
        connect = connector(path, read_only=read_only)

        def opened() -> sqlite3.Connection:
            connection = connect()
            prepare(connection)
            return connection

        return opened

    monkeypatch.setattr(sqlite, "connector", prepared)


@pytest.mark.usefixtures("short_timeout")
async def test_a_locked_database_refuses_writes_and_recovers(path: Path, clock: FakeClock) -> None:
    stores = await SqliteDatabase(path).open(clock)
    kept = (await accept(stores)).job_id
    with raw(path) as other:
        other.execute("BEGIN IMMEDIATE")
        run = stores.database.write.run
        for attempt in (accept(stores), stores.jobs.claim("w", 1, 60, roomy()), run(probe), run(look)):
            with pytest.raises(StorageUnavailable, match="locked"):
                await attempt
        assert (await stores.jobs.get(TENANT, kept)).state == JobState.QUEUED
        other.execute("ROLLBACK")

    assert (await accept(stores)).position == 2
    assert await stores.jobs.count_open() == 2
    await stores.close()


@pytest.mark.usefixtures("short_timeout")
async def test_a_lock_refuses_the_whole_group_and_stores_none_of_it(path: Path, clock: FakeClock) -> None:
    stores = await SqliteDatabase(path).open(clock)
    before = dump(path)
    with raw(path) as other:
        other.execute("BEGIN IMMEDIATE")
        outcomes = await asyncio.gather(*(accept(stores) for _ in range(20)), return_exceptions=True)
        other.execute("ROLLBACK")

    assert {type(each) for each in outcomes} == {StorageUnavailable}
    assert dump(path) == before
    await stores.close()


async def test_a_short_lock_is_waited_for(path: Path, clock: FakeClock) -> None:
    stores = await SqliteDatabase(path).open(clock)
    with raw(path) as other:
        other.execute("BEGIN IMMEDIATE")
        waiting = asyncio.ensure_future(accept(stores))
        await asyncio.sleep(0)
        other.execute("ROLLBACK")

    assert (await waiting).position == 1
    await stores.close()


async def test_a_full_disk_refuses_keeps_what_was_stored_and_recovers(
    path: Path, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    connections: list[sqlite3.Connection] = []

    def limited(connection: sqlite3.Connection) -> None:
        connection.execute("PRAGMA max_page_count = 120")
        connections.append(connection)

    patch_connections(monkeypatch, limited)
    stores = await SqliteDatabase(path).open(clock)
    stored: list[str] = []

    async def fill() -> None:
        for _ in range(100):
            stored.append((await accept(stores, "x" * 5_000)).job_id)

    with pytest.raises(StorageUnavailable, match="full"):
        await fill()

    assert stored
    assert [job for (job,) in rows(path, "SELECT id FROM jobs ORDER BY position")] == stored
    assert rows(path, "SELECT last_position FROM conversations") == [(len(stored),)]
    assert await stores.jobs.count_open() == len(stored)
    assert rows(path, "PRAGMA integrity_check") == [("ok",)]

    await stores.close()
    monkeypatch.undo()
    roomy = await SqliteDatabase(path).open(clock)
    assert (await accept(roomy, "x" * 5_000)).position == len(stored) + 1
    assert await finish(roomy, await claim_job(roomy))
    await roomy.close()


async def test_on_a_full_disk_the_wal_is_moved_into_the_database_and_begun_anew(
    path: Path, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    patch_connections(monkeypatch, lambda connection: connection.execute("PRAGMA max_page_count = 120"))
    stores = await SqliteDatabase(path).open(clock)
    stored: list[str] = []

    async def fill() -> None:
        while True:
            stored.append((await accept(stores, "x" * 5_000)).job_id)

    with pytest.raises(StorageUnavailable, match="full"):
        await fill()

    moved = path.with_name("moved.db")
    shutil.copy(path, moved)

    assert rows(moved, "SELECT count(*) FROM jobs") == [(len(stored),)]
    await stores.close()


async def test_a_database_that_turns_read_only_refuses_writes_and_serves_reads(stores: Stores) -> None:
    job_id = await ended_job(stores)

    def turn(_: Transaction) -> Operation[None]:
        yield Statement("PRAGMA query_only = ON")()

    await stores.database.write.run(turn)

    for attempt in (accept(stores), stores.database.write.run(probe)):
        with pytest.raises(StorageUnavailable, match="readonly"):
            await attempt
    assert (await stores.jobs.get(TENANT, job_id)).state == JobState.COMPLETED


async def test_a_database_that_cannot_be_written_is_refused_at_the_start(
    path: Path, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    await (await SqliteDatabase(path).open(clock)).close()

    def read_only(connection: sqlite3.Connection) -> None:
        connection.execute("PRAGMA query_only = ON")

    patch_connections(monkeypatch, read_only)

    with pytest.raises(StorageUnavailable, match="readonly"):
        await SqliteDatabase(path).open(clock)


@pytest.fixture
def no_database(path: Path) -> None:
    path.write_bytes(b"this is not a database at all" * 100)


@pytest.mark.usefixtures("no_database")
async def test_a_file_that_is_no_database_is_refused_with_its_name(path: Path, clock: FakeClock) -> None:
    with pytest.raises(StorageUnavailable, match=r"answerback\.db"):
        await SqliteDatabase(path).open(clock)


async def test_a_folder_that_does_not_exist_is_refused_with_its_name(tmp_path: Path, clock: FakeClock) -> None:
    with pytest.raises(StorageUnavailable, match="nowhere"):
        await SqliteDatabase(tmp_path / "nowhere" / "answerback.db").open(clock)


@pytest.mark.parametrize("usable", [0, 1], ids=["the first connection", "the writer's"])
async def test_a_store_that_cannot_open_leaves_no_thread_running(
    path: Path, clock: FakeClock, monkeypatch: pytest.MonkeyPatch, usable: int
) -> None:
    connections = count()

    def break_later(_: sqlite3.Connection) -> None:
        if next(connections) >= usable:
            raise sqlite3.OperationalError("disk I/O error")

    patch_connections(monkeypatch, break_later)

    with pytest.raises(StorageUnavailable, match="I/O"):
        await SqliteDatabase(path).open(clock)
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("sqlite-")]


async def test_a_closed_store_says_so(path: Path, clock: FakeClock) -> None:
    stores = await SqliteDatabase(path).open(clock)
    await stores.close()
    await stores.close()

    with pytest.raises(StorageUnavailable, match="closed"):
        await accept(stores)


async def test_every_commit_reaches_the_disk(path: Path) -> None:
    connection = sqlite.connector(path)()

    assert connection.execute("PRAGMA synchronous").fetchone() == (2,)
    assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    connection.close()


def test_the_wal_shrinks_once_a_long_reader_is_gone(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite, "MAX_IDLE_WAL_BYTES", 1_000_000)
    monkeypatch.setattr(sqlite, "CHECKPOINT_PAGES", 100)
    wal = path.with_name(path.name + "-wal")
    connect = sqlite.connector(path)
    with contextlib.closing(connect()) as writer, contextlib.closing(connect()) as reader:
        writer.execute("CREATE TABLE texts (text)")
        reader.execute("BEGIN")
        reader.execute("SELECT * FROM texts").fetchall()
        for _ in range(100):
            writer.execute("INSERT INTO texts VALUES (?)", ("x" * 100_000,))
        assert wal.stat().st_size > 10_000_000

        reader.execute("COMMIT")
        for _ in range(2):
            # The first one's checkpoint empties the WAL, the second one begins it anew.
            writer.execute("INSERT INTO texts VALUES ('y')")

        assert wal.stat().st_size <= 1_000_000
