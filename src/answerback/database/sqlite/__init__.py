"""SQLite: one writer that commits in groups, one reader that never waits for it (WAL), another one that counts, every
commit on disk (FULL). The reader's operations take turns between tenants."""

import asyncio
import contextlib
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path

from answerback.database.operation import Committed, Database
from answerback.database.revision import MigrationError
from answerback.database.sqlite.clock import SqliteClock
from answerback.database.sqlite.group_commit import GroupCommit
from answerback.database.sqlite.schema import migrate
from answerback.kernel.clock import Clock
from answerback.kernel.errors import StorageUnavailable
from answerback.kernel.telemetry import UNMEASURED, Metrics

BUSY_SECONDS = 5.0
"""How long a write waits for another process's lock before it is refused."""
CHECKPOINT_PAGES = 8_000
"""How many pages of 4 KiB the WAL has when they are moved into the database, each once: the same few pages, the ends of
indexes, are written again and again."""
MAX_IDLE_WAL_BYTES = 64 * 1024 * 1024
"""How large the WAL stays after a long reader or a large write made it larger; checkpoints else keep it at 32 MB."""
READ_SECONDS = 0.005
"""How long a group of reads goes on taking in more. A read waits for one such group, or one slow read, and its turn."""


async def open_database(
    path: Path, clock: Clock, metrics: Metrics = UNMEASURED, committed: Committed | None = None
) -> Database:
    """The database in the file at `path`, made and migrated as needed. Raises StorageUnavailable."""
    connect = connector(path)

    def prepare() -> SqliteClock:
        migrate(path, BUSY_SECONDS)
        with contextlib.closing(connect()) as connection:
            return SqliteClock(clock, connection)

    try:
        times = await asyncio.to_thread(prepare)
    except (sqlite3.Error, OSError, MigrationError) as error:
        raise StorageUnavailable(f"cannot open the database {str(path)!r}: {error}") from error
    write = GroupCommit("sqlite-writer", connect, "BEGIN IMMEDIATE", times, committed, metrics)
    reader = connector(path, read_only=True)
    read = GroupCommit("sqlite-reader", reader, "BEGIN", times, group_seconds=READ_SECONDS)
    return Database(write, read, GroupCommit("sqlite-counter", reader, "BEGIN", times))


def connector(path: Path, *, read_only: bool = False) -> Callable[[], sqlite3.Connection]:
    """Makes connections in autocommit mode: transactions are begun and ended by hand."""

    def connect() -> sqlite3.Connection:
        connection = sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None, cached_statements=256)
        _use_wal(connection)
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA cache_size = -65536")
        connection.execute(f"PRAGMA wal_autocheckpoint = {CHECKPOINT_PAGES}")
        connection.execute(f"PRAGMA journal_size_limit = {MAX_IDLE_WAL_BYTES}")
        if read_only:
            connection.execute("PRAGMA query_only = ON")
        return connection

    return connect


def _use_wal(connection: sqlite3.Connection) -> None:
    """Turns on WAL. SQLite's own timeout does not apply to that, so processes that open a fresh file at the same time
    try again."""
    give_up_at = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() >= give_up_at:
                connection.close()
                raise
            time.sleep(0.01)
        else:
            return
