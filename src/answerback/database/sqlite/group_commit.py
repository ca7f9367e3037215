"""Group commit for SQLite: one thread owns the connection, and the operations that have queued share its transaction.

The thread never waits for more operations to come: a lone one commits at once, and a hundred that have queued pay for
one `fdatasync` together. What two turns of the event loop ask for comes together. Tenants take turns.
"""

import asyncio
import contextlib
import math
import queue
import sqlite3
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from answerback.database.operation import (
    MAX_GROUP,
    MAX_GROUP_BYTES,
    SERVICE,
    BatchPlan,
    Begin,
    Committed,
    Transaction,
)
from answerback.database.sqlite.driver import Driver
from answerback.kernel.errors import Refusal, StorageUnavailable
from answerback.kernel.round_robin import RoundRobin
from answerback.kernel.telemetry import UNMEASURED, Fallback, Metrics

T = TypeVar("T")

Connect = Callable[[], sqlite3.Connection]


class TransactionClock(Protocol):
    """The times of a transaction, in epoch milliseconds. `before_commit` runs inside one that has written."""

    def now(self) -> int: ...

    def wall(self) -> int: ...

    def before_commit(self, connection: sqlite3.Connection, now: int) -> None: ...


@dataclass(slots=True, eq=False)
class _Entry:
    tenant_id: str
    begin: Begin[Any]
    future: "asyncio.Future[Any]"
    loop: asyncio.AbstractEventLoop
    plan: BatchPlan | None
    payload_bytes: int
    result: Any = None
    error: BaseException | None = None

    def settle(self) -> None:
        if self.future.done():
            return
        if self.error is not None:
            self.future.set_exception(self.error)
        else:
            self.future.set_result(self.result)


class GroupCommit:
    """Implements `Runner` on one SQLite connection, in a thread of its own.

    `begin_statement` is `BEGIN IMMEDIATE` for a writer, `BEGIN` for a reader. `committed` is called in the thread. No
    operation joins a group that has taken `group_seconds`: the results of a group wait for its end.
    """

    def __init__(
        self,
        name: str,
        connect: Connect,
        begin_statement: str,
        clock: TransactionClock,
        committed: Committed | None = None,
        metrics: Metrics = UNMEASURED,
        group_seconds: float = math.inf,
    ) -> None:
        self._connect = connect
        self._begin_statement = begin_statement
        self._clock = clock
        self._committed = committed
        self._metrics = metrics
        self._group_seconds = group_seconds
        self._driver = Driver()
        self._gathered: dict[asyncio.AbstractEventLoop, list[_Entry]] = {}
        self._arrivals: queue.SimpleQueue[list[_Entry] | None] = queue.SimpleQueue()
        self._receiving = True
        self._waiting: RoundRobin[_Entry] = RoundRobin()
        self._thread = threading.Thread(target=self._work, name=name, daemon=True)
        self._closed = False
        self._thread.start()

    async def run(
        self, begin: Begin[T], plan: BatchPlan | None = None, payload_bytes: int = 0, tenant_id: str = SERVICE
    ) -> T:
        """As `Runner.run`. Operations share a transaction whatever their plans, and run one after the other."""
        if self._closed:
            raise StorageUnavailable("the database is closed")
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        gathered = self._gathered.get(loop)
        if gathered is None:
            gathered = self._gathered[loop] = []
            loop.call_soon(loop.call_soon, self._hand_over, loop)
        gathered.append(_Entry(tenant_id, begin, future, loop, plan, payload_bytes))
        return await future

    def _hand_over(self, loop: asyncio.AbstractEventLoop) -> None:
        """At the end of the loop's next turn: one by one, operations would wake the thread for a transaction each. A
        loop that has nothing else to do takes that turn at once; the busier it is, the more come with it."""
        if gathered := self._gathered.pop(loop, None):
            self._arrivals.put(gathered)

    async def close(self) -> None:
        """Finishes the operations that have queued, then closes the connection."""
        if not self._closed:
            self._closed = True
            for loop in list(self._gathered):
                self._hand_over(loop)
            self._arrivals.put(None)
        await asyncio.to_thread(self._thread.join)

    def _work(self) -> None:
        connection: sqlite3.Connection | None = None
        # Before each group begins: what its operations read must not be older than what came before them.
        while self._receive(wait=True):
            entries: list[_Entry] = []
            try:
                connection = connection or self._connect()
            except sqlite3.Error as error:
                self._refuse_waiting(error)
            else:
                self._serve(connection, self._group(), entries)
            _settle(entries)
        if connection is not None:
            connection.close()

    def _receive(self, *, wait: bool) -> bool:
        """Takes in the operations that have come, and may wait for one if there are none. False once the runner is
        closed and has served them all."""
        try:
            while self._receiving:
                if (entries := self._arrivals.get(block=wait and not self._waiting)) is None:
                    self._receiving = False
                for entry in entries or ():
                    self._waiting.add(entry.tenant_id, entry)
        except queue.Empty:
            pass
        return bool(self._waiting)

    def _group(self) -> Iterator[_Entry]:
        """The operations of the next transaction, in turn between tenants."""
        ends_at = time.monotonic() + self._group_seconds
        size = payload_bytes = 0
        while (turn := self._waiting.take()) is not None:
            _, entry = turn
            yield entry
            size += 1
            payload_bytes += entry.payload_bytes
            if size == MAX_GROUP or payload_bytes >= MAX_GROUP_BYTES or time.monotonic() >= ends_at:
                return

    def _refuse_waiting(self, error: sqlite3.Error) -> None:
        """Of a transaction that could not begin. Those that came while it waited for a lock have found it held for as
        long: another wait would be of no more use, and they would be refused late."""
        self._receive(wait=False)
        entries: list[_Entry] = []
        while (turn := self._waiting.take()) is not None:
            entries.append(turn[1])
        _fail(entries, error)
        _settle(entries)

    def _serve(self, connection: sqlite3.Connection, group: Iterable[_Entry], entries: list[_Entry]) -> None:
        """Runs the operations of a group, and adds them to `entries` as they begin."""
        try:
            self._transact(connection, group, entries)
        except Exception as error:  # noqa: BLE001 - it belongs to an operation's caller, not to this thread
            _roll_back(connection)
            if not entries:
                # The transaction itself did not begin.
                entries.extend(group)
                if isinstance(error, sqlite3.OperationalError):
                    self._refuse_waiting(error)
            self._after_failure(connection, entries, error)

    def _after_failure(self, connection: sqlite3.Connection, entries: Sequence[_Entry], error: Exception) -> None:
        if isinstance(error, sqlite3.OperationalError):
            if getattr(error, "sqlite_errorcode", 0) == sqlite3.SQLITE_FULL:
                _empty_wal(connection)
            _fail(entries, error)
            return
        if len(entries) == 1:
            entries[0].error = error
            return
        # One operation failed, and all were rolled back: now each gets a transaction of its own.
        for name in {entry.plan.name for entry in entries if entry.plan is not None}:
            self._metrics.fell_back(name, Fallback.ALONE)
        for entry in entries:
            self._serve(connection, [entry], [])

    def _transact(self, connection: sqlite3.Connection, group: Iterable[_Entry], entries: list[_Entry]) -> None:
        connection.execute(self._begin_statement)
        changes = connection.total_changes
        transaction = Transaction(self._clock.now(), self._clock.wall())
        for entry in group:
            entries.append(entry)
            entry.error = None
            try:
                entry.result = self._driver.run(connection, entry.begin(transaction))
            except Refusal as refusal:
                # Operations refuse before they write anything, so the others' transaction goes on.
                entry.error = refusal
        if connection.total_changes != changes:
            self._clock.before_commit(connection, transaction.now)
        connection.execute("COMMIT")
        if self._committed is not None:
            self._committed(transaction)


def _empty_wal(connection: sqlite3.Connection) -> None:
    """Moves what the WAL holds into the database, if that may grow as far: the next transaction then begins the WAL
    anew, and needs no space on the full disk."""
    with contextlib.suppress(sqlite3.Error):
        connection.execute("PRAGMA wal_checkpoint(PASSIVE)")


def _roll_back(connection: sqlite3.Connection) -> None:
    if connection.in_transaction:
        connection.execute("ROLLBACK")


def _fail(entries: Sequence[_Entry], error: sqlite3.Error) -> None:
    for entry in entries:
        entry.error = StorageUnavailable(str(error))
        entry.error.__cause__ = error


def _settle(entries: Sequence[_Entry]) -> None:
    """Wakes each event loop one time, however many of its operations are done."""
    by_loop: dict[asyncio.AbstractEventLoop, list[_Entry]] = {}
    for entry in entries:
        by_loop.setdefault(entry.loop, []).append(entry)
    for loop, done in by_loop.items():
        try:
            loop.call_soon_threadsafe(_settle_all, done)
        except RuntimeError:
            # The loop is closed, and with it every task that could have waited.
            continue


def _settle_all(entries: Sequence[_Entry]) -> None:
    for entry in entries:
        entry.settle()
