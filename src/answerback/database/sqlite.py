"""SQLite: one writer that groups, one reader that never waits for it (WAL), every commit on disk (FULL)."""

import asyncio
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path

from answerback.database import schema
from answerback.database.group_commit import GroupCommit
from answerback.database.operation import Database
from answerback.jobs.backlog import Backlog
from answerback.jobs.ports import Render
from answerback.jobs.store import SqlStore
from answerback.kernel.clock import Clock
from answerback.kernel.errors import StorageUnavailable

BUSY_SECONDS = 5.0
"""How long a write waits for another process's lock before it is refused."""


async def open_sqlite(path: Path, clock: Clock, render: Render) -> SqlStore:
    """A store on the file at `path`, made and migrated as needed. Raises StorageUnavailable."""
    try:
        await asyncio.to_thread(schema.upgrade_sqlite, path)
    except (sqlite3.Error, OSError, schema.MigrationError) as error:
        raise StorageUnavailable(f"cannot open the database {str(path)!r}: {error}") from error
    backlog = Backlog()
    write = GroupCommit("sqlite-writer", connector(path), "BEGIN IMMEDIATE", clock.now, clock.now, backlog.committed)
    read = GroupCommit("sqlite-reader", connector(path, read_only=True), "BEGIN", clock.now, clock.now)
    store = SqlStore(Database(write, read), backlog, render)
    try:
        await store.count_open()
    except BaseException:
        await store.close()
        raise
    return store


def connector(path: Path, *, read_only: bool = False) -> Callable[[], sqlite3.Connection]:
    """Makes connections in autocommit mode: transactions are begun and ended by hand."""

    def connect() -> sqlite3.Connection:
        connection = sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None, cached_statements=256)
        _use_wal(connection)
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA cache_size = -65536")
        if read_only:
            connection.execute("PRAGMA query_only = ON")
        return connection

    return connect


def _use_wal(connection: sqlite3.Connection) -> None:
    """Changing the mode is the one thing that does not wait for a lock by itself: processes that open a fresh file
    together meet there."""
    patient_until = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() >= patient_until:
                connection.close()
                raise
            time.sleep(0.01)
        else:
            return
