"""The two databases that one behaviour suite runs over, each empty at the start of a test."""

import asyncio
import re
import sqlite3
from collections.abc import Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol
from uuid import uuid4

import asyncpg

from answerback.database import sqlite
from answerback.database.dialect import Dialect
from answerback.database.postgres import migrate
from answerback.database.postgres import open_database as open_postgres
from answerback.database.revision import migrations_since
from answerback.jobs.kind import Registry
from answerback.kernel.clock import Clock, SystemClock
from answerback.kernel.instruments import Instruments
from answerback.kernel.log import Log
from answerback.kernel.telemetry import UNMEASURED, Metrics
from answerback.overview.activity import Activity
from answerback.testing.backends.postgres import create_database, drop_database
from builders import Journal, dump, raw, rows
from stores import Commits, Stores, make_stores

REFUSED = (sqlite3.IntegrityError, asyncpg.IntegrityConstraintViolationError)
"""What the databases raise when a constraint does not allow a row."""


class Database(Protocol):
    """A database as anyone who may connect can see it."""

    async def open(self, clock: Clock, metrics: Metrics = UNMEASURED, kinds: Registry | None = None) -> Stores:
        """Stores on it, as another process has them. `kinds` default to the toy kind."""

    async def rows(self, sql: str) -> list[tuple[Any, ...]]: ...

    async def execute(self, sql: str) -> None: ...

    async def dump(self) -> list[str]:
        """All that it holds, on PostgreSQL but for its clock."""


class SqliteDatabase:
    def __init__(self, path: Path) -> None:
        self.path = path

    async def open(self, clock: Clock, metrics: Metrics = UNMEASURED, kinds: Registry | None = None) -> Stores:
        commits = Commits(activity=Activity(clock.now))
        database = await sqlite.open_database(self.path, clock, metrics, commits.committed)
        return await make_stores(database, commits, kinds)

    async def rows(self, sql: str) -> list[tuple[Any, ...]]:
        return rows(self.path, sql)

    async def execute(self, sql: str) -> None:
        with raw(self.path) as connection:
            connection.execute(sql)

    async def dump(self) -> list[str]:
        return dump(self.path)


class PostgresDatabase:
    def __init__(self, url: str) -> None:
        self.url = url

    async def open(
        self,
        clock: Clock | None,
        metrics: Metrics = UNMEASURED,
        kinds: Registry | None = None,
        log: Log | None = None,
    ) -> Stores:
        """The server has this clock; None: its own."""
        commits = Commits(activity=Activity((clock or SystemClock()).now))
        instruments = Instruments(log or Journal(), clock or SystemClock(), metrics)
        database = await open_postgres(self.url, instruments, commits.committed, clock)
        return await make_stores(database, commits, kinds)

    async def rows(self, sql: str) -> list[tuple[Any, ...]]:
        connection = await asyncpg.connect(self.url)
        try:
            return [tuple(row) for row in await connection.fetch(sql)]
        finally:
            await connection.close()

    async def execute(self, sql: str) -> None:
        connection = await asyncpg.connect(self.url)
        try:
            await connection.execute(sql)
        finally:
            await connection.close()

    async def dump(self) -> list[str]:
        connection = await asyncpg.connect(self.url)
        try:
            # What time it is is stored whatever a test does.
            names = [name for name in TABLES if name != "clock"]
            tables = [await connection.fetch(f'SELECT t::text FROM "{name}" t ORDER BY 1') for name in names]
        finally:
            await connection.close()
        return [line for table in tables for (line,) in table]

    def prepare(self) -> None:
        """Makes the schema."""
        with ThreadPoolExecutor(1) as thread:
            thread.submit(asyncio.run, migrate(self.url)).result()


ENDED = (asyncpg.InterfaceError, asyncpg.PostgresConnectionError, asyncpg.AdminShutdownError)
TABLES = {
    statement.split()[2]: statement
    for migration in migrations_since(None, Dialect.POSTGRESQL)
    for statement in migration
    if statement.startswith("CREATE TABLE") and "alembic_version" not in statement
}
DELETE = "; ".join(f'DELETE FROM "{table}"' for table in reversed(TABLES))


def columns_of(table: str) -> list[str]:
    return re.findall(r"^    ([a-z_]+) [A-Z]", TABLES[table], re.MULTILINE)


class Emptying:
    """Empties a database again and again: much faster than a fresh one. Its connection stays, since each new one reads
    the catalogue first; it has a thread and an event loop of its own, for those of tests come and go."""

    def __init__(self, database: PostgresDatabase) -> None:
        self._url = database.url
        self._thread = ThreadPoolExecutor(1)
        self._runner = asyncio.Runner()
        self._connect()

    def empty(self) -> None:
        try:
            self._run(self._connection.execute(DELETE))
        except ENDED:
            # A test has ended all connections.
            self._connect()
            self._run(self._connection.execute(DELETE))

    def close(self) -> None:
        self._connection.terminate()
        self._thread.submit(self._runner.close).result()
        self._thread.shutdown()

    def _connect(self) -> None:
        self._connection = self._run(asyncpg.connect(self._url))

    def _run(self, act: Coroutine[Any, Any, Any]) -> Any:
        return self._thread.submit(self._runner.run, act).result()


@contextmanager
def own_database(server: str) -> Iterator[PostgresDatabase]:
    """With the schema, on the server with this URL, for as long as it is needed."""
    name = f"answerback_{uuid4().hex}"
    database = PostgresDatabase(create_database(server, name))
    database.prepare()
    yield database
    drop_database(server, name)
