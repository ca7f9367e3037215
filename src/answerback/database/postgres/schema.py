"""Bringing a PostgreSQL database to the current schema: Alembic writes the SQL, asyncpg runs it.

Each migration is a transaction of its own that waits at most a moment for a lock, so that nobody queues behind it;
indexes on tables that exist are built outside of it, CONCURRENTLY. Processes that start together take turns.
"""

import asyncio
import time
from typing import Any

import asyncpg

from answerback.database import schema
from answerback.database.postgres.connections import CONNECT_SECONDS, connected
from answerback.kernel.errors import StorageUnavailable

TURN = 0x616E73776572
"""Names the advisory lock ("answer" in ASCII)."""
TURN_SECONDS = 60.0
PAUSE = 0.1
LOCK_SECONDS = 3
TRIES = 10
"""How often a migration is begun again that did not get its lock."""
AGAIN_SECONDS = 1.0
"""Until then, those whom its wait has held up go on."""


async def require_current(connection: Any, dsn: str) -> None:
    """Makes the schema of an empty database. Raises StorageUnavailable, also when it is another version's: whoever
    serves is not to be surprised by a migration that a process begins on its own."""
    encoding = await connection.fetchval("SHOW server_encoding", timeout=CONNECT_SECONDS)
    if encoding != "UTF8":
        raise StorageUnavailable(f"the database's encoding is {encoding}; make one with ENCODING 'UTF8'")
    found, head = await _revision(connection), schema.head()
    if found is None:
        await migrate(dsn)
    elif found != head:
        _require_known(found)
        raise StorageUnavailable(
            f"the database has the schema {found}, and this version needs {head}: run 'answerback migrate'"
        )


async def migrate(dsn: str) -> None:
    """Applies what is missing; a database that is current is only looked at. Safe while others serve, and to be run
    again after any failure. Raises StorageUnavailable."""
    async with connected(dsn) as holder, connected(dsn) as connection:
        ends = time.monotonic() + TURN_SECONDS
        while not await _takes_its_turn(holder):
            if time.monotonic() > ends:
                raise StorageUnavailable("another process has been migrating the database for long; try again later")
            await asyncio.sleep(PAUSE)
        await _apply_patiently(connection)
        await holder.execute("COMMIT")


async def _takes_its_turn(holder: Any) -> bool:
    """Begins the transaction that is its turn, unless it is somebody else's.

    A transaction's lock and not a session's, since behind a pooler a session is anybody's. Nor does it wait in there:
    it would keep the pooler's connection, which the one whose turn it is may need.
    """
    await holder.execute("BEGIN")
    if await holder.fetchval(f"SELECT pg_try_advisory_xact_lock({TURN})"):
        # A plain statement after the prepared one also lets go of its snapshot, which CONCURRENTLY would wait for.
        await holder.execute("SET LOCAL idle_in_transaction_session_timeout = 0")
        return True
    await holder.execute("ROLLBACK")
    return False


async def _apply_patiently(connection: Any) -> None:
    for tries_left in reversed(range(TRIES)):
        try:
            await _apply(connection)
            return
        except asyncpg.LockNotAvailableError:
            await connection.execute("ROLLBACK")
            if not tries_left:
                raise
            await asyncio.sleep(AGAIN_SECONDS)


async def _apply(connection: Any) -> None:
    found = await _revision(connection)
    if found == schema.head():
        return
    if found is not None:
        _require_known(found)
    for statement in await asyncio.to_thread(schema.postgres_since, found):
        if statement == "BEGIN;":
            statement = f"BEGIN; SET LOCAL lock_timeout = '{LOCK_SECONDS}s'; SET LOCAL statement_timeout = 0"
        await connection.execute(statement)


async def _revision(connection: Any) -> str | None:
    """The schema's revision, None in an empty database."""
    if await connection.fetchval("SELECT to_regclass('alembic_version')", timeout=CONNECT_SECONDS) is None:
        return None
    found: str | None = await connection.fetchval("SELECT version_num FROM alembic_version", timeout=CONNECT_SECONDS)
    return found


def _require_known(revision: str) -> None:
    try:
        schema.require_known(revision)
    except schema.MigrationError as error:
        raise StorageUnavailable(f"cannot use the database: {error}") from error
