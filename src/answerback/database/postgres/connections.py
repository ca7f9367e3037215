"""Connections to PostgreSQL: pooled, replaced when they break, given up when they fall silent.

They keep nothing from one transaction to the next but settings and prepared statements, and not even those behind a
pooler that gives each transaction another server process: PgBouncer in transaction mode serves as well as the server.
"""

import asyncio
import contextlib
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any, TypeVar
from urllib.parse import parse_qs, urlsplit

import asyncpg

from answerback.database.postgres.session import IN_TRANSACTION, SETTINGS, with_types
from answerback.kernel.current_request import no_request
from answerback.kernel.errors import OutcomeUnknown, StorageUnavailable
from answerback.kernel.shares import Shares
from answerback.kernel.turns import Turns

T = TypeVar("T")

POOL_SIZE = 10
"""Each is a process of the server. Each batch plan uses two at most, operations without a plan the rest; ten workers of
this size fit a server's usual limit of 100."""
TENANT_PLACES = 5
"""In how many at once operations of single tenants run, such as their lists: the other connections are left to the
groups, which serve all tenants."""
TENANT_FACTOR = 4.0
"""One tenant alone takes all of these places but one, which is free for the next tenant's."""
CONNECT_SECONDS = 5.0
SLOT_SECONDS = 10.0
"""How long a transaction waits for a connection."""
IDLE_SECONDS = 300.0
"""A connection that was idle for longer is closed: firewalls silently forget connections that carry nothing."""
TRANSACTION_SECONDS = 15.0
"""A transaction that takes longer is given up, and its connection with it: packets to a dead host are lost silently."""
ALIVE_SECONDS = 2.0
"""How long a connection that was idle may take to answer again."""
TRIAL_SECONDS = 0.5
"""For so long after a silent server began to be tried again transactions wait for that, before they are refused."""
CLOSE_SECONDS = 1.0
"""How long closing waits for progress; a supervisor kills soon after."""

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
    """Another transaction holds a lock that this one needs."""


BROKEN = (OSError, asyncpg.InterfaceError, asyncpg.InternalClientError, asyncpg.PostgresError)
"""Errors after which a connection is useless."""


class Connections:
    """The connections of one process to one database."""

    def __init__(self, dsn: str, *, pooled: bool) -> None:
        """`pooled`: a pooler between this process and the server gives each transaction another connection."""
        self._dsn = dsn
        self._pooled = pooled
        self._slots = asyncio.Semaphore(POOL_SIZE)
        self.turns = Turns(Shares(TENANT_PLACES, TENANT_FACTOR))
        self._idle: list[tuple[Any, float]] = []
        self._busy: set[Any] = set()
        self._answers = 0
        self._silence: StorageUnavailable | None = None
        self._trial: asyncio.Task[None] | None = None
        self._trial_is_young_until = 0.0

    async def transaction(self, begin: str, work: Callable[[Any], Awaitable[T]]) -> T:
        """Begins, runs `work`, commits.

        Raises StorageUnavailable (its subclass OutcomeUnknown where the commit was not answered), and what `work`
        raises, rolled back. While the server is silent transactions are refused at once.
        """
        async with self._slot():
            connection = await self._begun(begin)
            self._busy.add(connection)
            watchdog = asyncio.get_running_loop().call_later(TRANSACTION_SECONDS, connection.terminate)
            committing = False
            try:
                result = await work(connection)
                committing = True
                await connection.execute("COMMIT")
                self._answers += 1
            except BaseException as error:
                trouble = unavailable(error, self._dsn, closed=connection.is_closed())
                await self._roll_back(connection, error)
                if trouble is None:
                    raise
                raise OutcomeUnknown(str(trouble)) if committing else trouble from error
            finally:
                watchdog.cancel()
                self._busy.discard(connection)
                if not connection.is_closed():
                    self._idle.append((connection, time.monotonic()))
            return result

    async def close(self) -> None:
        """Closes the idle connections; the runner has waited for the transactions in the others."""
        if self._trial is not None:
            self._trial.cancel()
        idle, self._idle = self._idle, []
        # `close` ends the connection even if the server does not answer; the error it then raises no longer matters.
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
        """A connection in a transaction: the one used last, so that surplus ones expire, or a new one."""
        if self._trial is not None and self._silence is not None:
            # If the server has just come back, the trial under way is soon over.
            await asyncio.wait([self._trial], timeout=max(self._trial_is_young_until - time.monotonic(), 0.0))
            if self._silence is not None:
                raise StorageUnavailable(str(self._silence))
        answers = self._answers
        try:
            connection = await self._idle_or_new(begin)
        except Exception as error:
            trouble = unavailable(error, self._dsn, closed=True)
            if trouble is not None and isinstance(error, TimeoutError) and self._answers == answers:
                self._fall_silent(trouble)
            raise trouble or error from error
        self._answers += 1
        return connection

    async def _idle_or_new(self, begin: str) -> Any:
        while (idle := self._youngest()) is not None:
            # Nothing is lost with an idle connection that broke; the others most likely lead to the same dead server.
            with contextlib.suppress(*BROKEN):
                await self._begin(idle, begin, ALIVE_SECONDS)
                return idle
            self._end_idle()
        connection = await self._connect()
        await self._begin(connection, begin, TRANSACTION_SECONDS)
        return connection

    async def _connect(self) -> Any:
        return await (with_types(await connect(self._dsn)) if self._pooled else connect(self._dsn, 100, SETTINGS))

    async def _begin(self, connection: Any, begin: str, seconds: float) -> None:
        """Raises one of `BROKEN`, and ends the connection, when it does not begin in time."""
        try:
            async with _answering_within(seconds):
                await connection.execute(f"{begin}; {IN_TRANSACTION}" if self._pooled else begin)
        except BaseException:
            connection.terminate()
            raise

    def _fall_silent(self, trouble: StorageUnavailable) -> None:
        """Nothing began or was committed for as long as a connection was being made: what other transactions wait for
        will most likely not come either."""
        for connection in self._busy:
            connection.terminate()
        if self._silence is None:
            self._silence = trouble
            self._trial = asyncio.create_task(self._try_again(), context=no_request())

    async def _try_again(self) -> None:
        """Until the server answers, be it with an error."""
        while self._silence is not None:
            self._trial_is_young_until = time.monotonic() + TRIAL_SECONDS
            try:
                connection = await self._connect()
                self._idle.append((connection, time.monotonic()))
            except TimeoutError:
                continue
            except Exception:  # noqa: BLE001, S110 - the next transaction meets it, too
                pass
            self._silence = None

    def _youngest(self) -> Any | None:
        while self._idle:
            connection, since = self._idle.pop()
            if not connection.is_closed() and time.monotonic() - since < IDLE_SECONDS:
                return connection
            connection.terminate()
        return None

    async def _roll_back(self, connection: Any, error: BaseException) -> None:
        # A server that takes no writes may be a standby, and a new connection may lead to another server.
        standby = isinstance(error, asyncpg.ReadOnlySQLTransactionError)
        if isinstance(error, Exception) and not standby and not connection.is_closed():
            # Whatever it raises: a connection that cannot even roll back is useless.
            with contextlib.suppress(Exception):
                await connection.execute("ROLLBACK")
                return
        connection.terminate()
        self._end_idle()

    def _end_idle(self) -> None:
        for idle, _ in self._idle:
            idle.terminate()
        self._idle.clear()


@asynccontextmanager
async def _answering_within(seconds: float) -> AsyncIterator[None]:
    """Raises TimeoutError, which says so."""
    try:
        async with asyncio.timeout(seconds):
            yield
    except TimeoutError as error:
        if error.errno is not None:
            raise
        raise TimeoutError(f"did not answer within {seconds:g} s") from error


def is_conflict(error: BaseException) -> bool:
    """Whether another try may succeed: another transaction was faster, or the schema has just changed."""
    return isinstance(
        error,
        asyncpg.UniqueViolationError
        | asyncpg.TransactionRollbackError
        | asyncpg.InvalidCachedStatementError
        | asyncpg.OutdatedSchemaCacheError,
    )


def unavailable(error: BaseException, dsn: str, *, closed: bool) -> StorageUnavailable | None:
    """The error to raise if `error` came from the connection or the server's state, else None. `closed`: the connection
    was not made, or is closed."""
    if isinstance(error, asyncpg.OutdatedSchemaCacheError):
        return None
    if isinstance(error, asyncpg.LockNotAvailableError):
        return Locked(
            f"PostgreSQL at {_place(dsn)}: another transaction holds a lock that this one needs; try again soon"
        )
    if isinstance(error, UNAVAILABLE) or (closed and isinstance(error, BROKEN)):
        return StorageUnavailable(f"PostgreSQL at {_place(dsn)}: {_reason(error)}")
    return None


def _place(dsn: str) -> str:
    """The server's host and port (or socket folder), without the secrets in the DSN."""
    parts = urlsplit(dsn)
    query = parse_qs(parts.query)
    host = parts.netloc.rpartition("@")[2] or query.get("host", ["localhost"])[-1]
    return host if parts.port or host.startswith("/") else f"{host}:{query.get('port', ['5432'])[-1]}"


def _reason(error: BaseException) -> str:
    if isinstance(error, OSError) and error.errno is not None and error.errno > 0:
        # The system's text: the event loops' texts differ, and some add the address.
        return os.strerror(error.errno)
    return str(error).strip().partition("\n")[0] or type(error).__name__


async def connect(dsn: str, statement_cache_size: int = 0, settings: Mapping[str, str] | None = None) -> Any:
    async with _answering_within(CONNECT_SECONDS):
        return await asyncpg.connect(dsn, statement_cache_size=statement_cache_size, server_settings=settings)


@asynccontextmanager
async def connected(dsn: str) -> AsyncIterator[Any]:
    """A connection outside of the pool, which prepares no statements. Raises StorageUnavailable, also where the
    connection breaks in the block."""
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
    """Whether the server process that answers differs from the one that was named at the connection's start."""
    answering = await connection.fetchval("SELECT pg_backend_pid()", timeout=CONNECT_SECONDS)
    return bool(answering != connection.get_server_pid())
