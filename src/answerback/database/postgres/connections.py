"""Connections to PostgreSQL: pooled, replaced when they break, given up when they fall silent.

They keep nothing from one transaction to the next but prepared statements, and not even those behind a pooler that
hands each transaction another server process: PgBouncer in transaction mode serves as well as the server itself.
"""

import asyncio
import contextlib
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, TypeVar
from urllib.parse import parse_qs, urlsplit

import asyncpg

from answerback.kernel.errors import OutcomeUnknown, StorageUnavailable

T = TypeVar("T")

POOL_SIZE = 10
"""Each is a process of the server. One works for every kind of grouped operation at a time, the rest for what runs by
itself; ten workers of this size fit a server's usual limit of 100."""
CONNECT_SECONDS = 5.0
SLOT_SECONDS = 10.0
"""How long a transaction waits until one of the others ends."""
IDLE_SECONDS = 300.0
"""Firewalls forget connections that nobody uses, and do not say so."""
TRANSACTION_SECONDS = 15.0
"""After which a transaction that has not ended is given up, and its connection with it: packets to a host that is gone
are lost without a word."""
ALIVE_SECONDS = 2.0
"""How long a connection that was idle may take to say that it still leads to a server."""
CLOSE_SECONDS = 1.0
"""How long closing waits for a sign of life from the server; supervisors soon kill."""

UNAVAILABLE = (
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,
    asyncpg.InsufficientResourcesError,
    asyncpg.PostgresSystemError,
    asyncpg.ReadOnlySQLTransactionError,
    asyncpg.IdleInTransactionSessionTimeoutError,
    asyncpg.InvalidAuthorizationSpecificationError,
    asyncpg.InvalidCatalogNameError,
    asyncpg.InternalClientError,
    asyncpg.ClientConfigurationError,
)


class Locked(StorageUnavailable):
    """Another transaction holds what this one needs, and keeps it."""


BROKEN = (OSError, asyncpg.InterfaceError, asyncpg.InternalClientError, asyncpg.PostgresError)
"""What a connection raises that is of no more use."""


class Connections:
    """The connections of one process to one database."""

    def __init__(self, dsn: str, *, pooled: bool) -> None:
        """`pooled`: somebody between us and the server hands each transaction another connection."""
        self._dsn = dsn
        self._statement_cache_size = 0 if pooled else 100
        self._slots = asyncio.Semaphore(POOL_SIZE)
        self._idle: list[tuple[Any, float]] = []

    async def transaction(self, begin: str, work: Callable[[Any], Awaitable[T]]) -> T:
        """Begins, works, commits.

        Raises StorageUnavailable, of which OutcomeUnknown when the answer to the commit did not come; and what `work`
        raises, rolled back.
        """
        async with self._slot():
            connection = await self._begun(begin)
            watchdog = asyncio.get_running_loop().call_later(TRANSACTION_SECONDS, connection.terminate)
            committing = False
            try:
                result = await work(connection)
                committing = True
                await connection.execute("COMMIT")
            except BaseException as error:
                trouble = unavailable(error, self._dsn, closed=connection.is_closed())
                await self._roll_back(connection, error)
                if trouble is None:
                    raise
                raise OutcomeUnknown(str(trouble)) if committing else trouble from error
            finally:
                watchdog.cancel()
                if not connection.is_closed():
                    self._idle.append((connection, time.monotonic()))
            return result

    async def close(self) -> None:
        """Ends those that are idle: of the others, those who use them have been waited for."""
        idle, self._idle = self._idle, []
        # Each breaks itself off where the server does not answer, and there is nobody left to tell.
        closing = (connection.close(timeout=CLOSE_SECONDS) for connection, _ in idle)
        await asyncio.gather(*closing, return_exceptions=True)

    @asynccontextmanager
    async def _slot(self) -> AsyncIterator[None]:
        try:
            async with asyncio.timeout(SLOT_SECONDS):
                await self._slots.acquire()
        except TimeoutError:
            raise StorageUnavailable("PostgreSQL: every connection is busy") from None
        try:
            yield
        finally:
            self._slots.release()

    async def _begun(self, begin: str) -> Any:
        """In a transaction: the connection used last, so that those of a busier hour fall out of use, or a new one."""
        while (idle := self._youngest()) is not None:
            # Nothing is lost with one that broke; the others most likely lead to the same dead or silent server.
            with contextlib.suppress(*BROKEN):
                await _begin(idle, begin, ALIVE_SECONDS)
                return idle
            self._end_idle()
        try:
            connection = await connect(self._dsn, self._statement_cache_size)
            await _begin(connection, begin, TRANSACTION_SECONDS)
        except Exception as error:
            raise unavailable(error, self._dsn, closed=True) or error from error
        return connection

    def _youngest(self) -> Any | None:
        while self._idle:
            connection, since = self._idle.pop()
            if not connection.is_closed() and time.monotonic() - since < IDLE_SECONDS:
                return connection
            connection.terminate()
        return None

    async def _roll_back(self, connection: Any, error: BaseException) -> None:
        # A server that takes no writes may be a standby, and a new connection may lead to another.
        leave = isinstance(error, asyncpg.ReadOnlySQLTransactionError)
        if isinstance(error, Exception) and not leave and not connection.is_closed():
            # Whatever else goes wrong: a connection that cannot even roll back is of no more use.
            with contextlib.suppress(Exception):
                await connection.execute("ROLLBACK")
                return
        connection.terminate()
        self._end_idle()

    def _end_idle(self) -> None:
        for idle, _ in self._idle:
            idle.terminate()
        self._idle.clear()


async def _begin(connection: Any, begin: str, seconds: float) -> None:
    """Raises one of `BROKEN`, and ends the connection, when it does not begin in time."""
    try:
        async with asyncio.timeout(seconds):
            await connection.execute(begin)
    except BaseException:
        connection.terminate()
        raise


def is_conflict(error: BaseException) -> bool:
    """Whether trying again by itself may well succeed: somebody else was faster, or the schema has just changed."""
    return isinstance(
        error,
        asyncpg.UniqueViolationError
        | asyncpg.TransactionRollbackError
        | asyncpg.InvalidCachedStatementError
        | asyncpg.OutdatedSchemaCacheError,
    )


def unavailable(error: BaseException, dsn: str, *, closed: bool) -> StorageUnavailable | None:
    """What to raise for an error that is the connection's or the server's, None for any other. `closed`: there is no
    connection, or none any more."""
    if isinstance(error, asyncpg.OutdatedSchemaCacheError):
        return None
    if isinstance(error, asyncpg.LockNotAvailableError):
        return Locked(
            f"PostgreSQL at {_place(dsn)}: another transaction holds a lock that this one needs; try again soon"
        )
    if isinstance(error, UNAVAILABLE) or (closed and isinstance(error, BROKEN)):
        return StorageUnavailable(f"PostgreSQL at {_place(dsn)}: {_said(error)}")
    return None


def _place(dsn: str) -> str:
    """Which server it is, without whatever else stands there: some of it is secret."""
    parts = urlsplit(dsn)
    asked = parse_qs(parts.query)
    host = parts.netloc.rpartition("@")[2] or asked.get("host", ["localhost"])[-1]
    return host if parts.port or host.startswith("/") else f"{host}:{asked.get('port', ['5432'])[-1]}"


def _said(error: BaseException) -> str:
    if isinstance(error, OSError) and error.errno is not None and error.errno > 0:
        # Event loops word it differently, some with the address.
        return os.strerror(error.errno)
    return str(error).strip().partition("\n")[0] or type(error).__name__


async def connect(dsn: str, statement_cache_size: int = 0) -> Any:
    return await asyncpg.connect(dsn, timeout=CONNECT_SECONDS, statement_cache_size=statement_cache_size)


@asynccontextmanager
async def connected(dsn: str) -> AsyncIterator[Any]:
    """A connection of its own, which prepares nothing. Raises StorageUnavailable, also for what breaks it."""
    try:
        connection = await connect(dsn)
    except Exception as error:
        raise unavailable(error, dsn, closed=True) or error from error
    try:
        yield connection
    except Exception as error:
        raise unavailable(error, dsn, closed=connection.is_closed()) or error from error
    finally:
        connection.terminate()


async def behind_a_pooler(connection: Any) -> bool:
    """Whether the server process that answers is another than the one that said hello."""
    answering = await connection.fetchval("SELECT pg_backend_pid()", timeout=CONNECT_SECONDS)
    return bool(answering != connection.get_server_pid())
