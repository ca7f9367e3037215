"""Bringing a PostgreSQL database to the current schema.

Each migration is a transaction of its own, which waits only briefly for a lock, so that no queue forms behind it.
Processes that start together migrate one at a time.
"""

import asyncio
import time
from typing import Any

import asyncpg

from answerback.database import revision
from answerback.database.dialect import Dialect
from answerback.database.postgres.connections import CONNECT_SECONDS, connected
from answerback.kernel.errors import StorageUnavailable

MIGRATION_LOCK = 0x616E73776572
"""The number of an advisory lock ("answer" in ASCII)."""
MIGRATION_LOCK_SECONDS = 60.0
POLL_SECONDS = 0.1
LOCK_SECONDS = 3
TRIES = 10
"""How often a migration that does not get its lock is begun."""
RETRY_SECONDS = 1.0
"""The pause before the next try, in which transactions that the migration held up go on."""


async def require_current(connection: Any, dsn: str) -> None:
    """Makes the schema of an empty database. Raises StorageUnavailable where it is another version's: a process that
    serves begins no migration on its own."""
    encoding = await connection.fetchval("SHOW server_encoding", timeout=CONNECT_SECONDS)
    if encoding != "UTF8":
        raise StorageUnavailable(f"the database's encoding is {encoding}; make one with ENCODING 'UTF8'")
    found = await _revision(connection)
    if found is None:
        await migrate(dsn)
    elif _missing(found):
        raise StorageUnavailable(
            f"the database has the schema {found}, and this version needs {revision.HEAD}: run 'answerback migrate'"
        )


async def migrate(dsn: str) -> None:
    """Applies the migrations that are missing; a current database is not written to. Safe while other processes serve,
    and to be run again after any failure. Raises StorageUnavailable."""
    async with connected(dsn) as holder, connected(dsn) as connection:
        give_up_at = time.monotonic() + MIGRATION_LOCK_SECONDS
        while not await _locked(holder):
            if time.monotonic() > give_up_at:
                raise StorageUnavailable("another process has been migrating the database for long; try again later")
            await asyncio.sleep(POLL_SECONDS)
        await _apply_with_retries(connection)
        await holder.execute("COMMIT")


async def _locked(holder: Any) -> bool:
    """Begins a transaction that holds the migration lock, unless another process holds it.

    The lock is a transaction's and not a session's, since behind a pooler sessions are shared. Nor does the transaction
    wait for it: that would keep one of the pooler's connections, which the process that migrates may need.
    """
    await holder.execute("BEGIN")
    if await holder.fetchval(f"SELECT pg_try_advisory_xact_lock({MIGRATION_LOCK})"):
        await holder.execute("SET LOCAL idle_in_transaction_session_timeout = 0")
        return True
    await holder.execute("ROLLBACK")
    return False


async def _apply_with_retries(connection: Any) -> None:
    for tries_left in reversed(range(TRIES)):
        try:
            await _apply(connection)
            return
        except asyncpg.LockNotAvailableError:
            await connection.execute("ROLLBACK")
            if not tries_left:
                raise
            await asyncio.sleep(RETRY_SECONDS)


async def _apply(connection: Any) -> None:
    for statements in _missing(await _revision(connection)):
        await connection.execute(f"BEGIN; SET LOCAL lock_timeout = '{LOCK_SECONDS}s'; SET LOCAL statement_timeout = 0")
        for statement in statements:
            await connection.execute(statement)
        await connection.execute("COMMIT")


def _missing(found: str | None) -> list[list[str]]:
    try:
        return revision.migrations_since(found, Dialect.POSTGRESQL)
    except revision.MigrationError as error:
        raise StorageUnavailable(f"cannot use the database: {error}") from error


async def _revision(connection: Any) -> str | None:
    """The schema's revision, None in an empty database."""
    if await connection.fetchval("SELECT to_regclass('alembic_version')", timeout=CONNECT_SECONDS) is None:
        return None
    found: str = await connection.fetchval("SELECT version_num FROM alembic_version", timeout=CONNECT_SECONDS)
    return found
