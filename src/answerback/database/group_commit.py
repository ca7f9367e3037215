"""Group commit: one thread owns the connection, and whatever operations have queued share its next transaction.

The thread never waits for company: it takes what is there, so a lone operation commits at once and a crowd pays for
one `fdatasync` together.
"""

import asyncio
import queue
import sqlite3
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from sqlalchemy.dialects import sqlite

from answerback.database.operation import (
    MAX_GROUP,
    MAX_GROUP_BYTES,
    BatchPlan,
    Begin,
    Operation,
    Query,
    Rows,
    Statement,
    Transaction,
)
from answerback.kernel.errors import Refusal, StorageUnavailable

T = TypeVar("T")

DIALECT = sqlite.dialect(paramstyle="named")


@dataclass(slots=True)
class _Entry:
    begin: Begin[Any]
    future: "asyncio.Future[Any]"
    loop: asyncio.AbstractEventLoop
    carries: int
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
    """Runs operations on one SQLite connection in a thread of its own.

    `begin_statement` is `BEGIN IMMEDIATE` for a writer, `BEGIN` for a reader. `committed` is called in the thread
    with each transaction that committed.
    """

    def __init__(
        self,
        name: str,
        connect: Callable[[], sqlite3.Connection],
        begin_statement: str,
        now: Callable[[], int],
        wall: Callable[[], int],
        committed: Callable[[Transaction], None] | None = None,
    ) -> None:
        self._connect = connect
        self._begin_statement = begin_statement
        self._now = now
        self._wall = wall
        self._committed = committed
        self._compiled: dict[Statement, tuple[str, dict[str, Any]]] = {}
        self._queue: queue.SimpleQueue[_Entry | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, name=name, daemon=True)
        self._closed = False
        self._thread.start()

    async def run(
        self,
        begin: Begin[T],
        together: BatchPlan | None = None,  # noqa: ARG002 - all share, in turn
        carries: int = 0,
    ) -> T:
        """The operation's result, after its transaction has committed.

        Raises what the operation raised, and StorageUnavailable when the database cannot serve it now.
        """
        if self._closed:
            raise StorageUnavailable("the database is closed")
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        self._queue.put(_Entry(begin, future, loop, carries))
        return await future

    async def close(self) -> None:
        """Finishes what has queued, then closes the connection."""
        if not self._closed:
            self._closed = True
            self._queue.put(None)
        await asyncio.to_thread(self._thread.join)

    def _work(self) -> None:
        connection: sqlite3.Connection | None = None
        closing = False
        while not closing:
            entries, closing = self._take()
            try:
                connection = connection or self._connect()
            except sqlite3.Error as error:
                _fail(entries, error)
            else:
                self._serve(connection, entries)
            _settle(entries)
        if connection is not None:
            connection.close()

    def _take(self) -> tuple[list[_Entry], bool]:
        entry = self._queue.get()
        entries: list[_Entry] = []
        carried = 0
        while entry is not None:
            entries.append(entry)
            carried += entry.carries
            if len(entries) == MAX_GROUP or carried >= MAX_GROUP_BYTES:
                return entries, False
            try:
                entry = self._queue.get_nowait()
            except queue.Empty:
                return entries, False
        return entries, True

    def _serve(self, connection: sqlite3.Connection, entries: Sequence[_Entry]) -> None:
        try:
            self._transact(connection, entries)
        except sqlite3.OperationalError as error:
            _roll_back(connection)
            _fail(entries, error)
        except Exception as error:  # noqa: BLE001 - it belongs to the operation's caller, not to this thread
            # One operation broke: its neighbours must not suffer, so each gets a transaction of its own.
            _roll_back(connection)
            if len(entries) == 1:
                entries[0].error = error
            else:
                for entry in entries:
                    self._serve(connection, [entry])

    def _transact(self, connection: sqlite3.Connection, entries: Sequence[_Entry]) -> None:
        if not entries:
            return
        connection.execute(self._begin_statement)
        transaction = Transaction(self._now(), self._wall())
        for entry in entries:
            entry.error = None
            try:
                entry.result = self._drive(connection, entry.begin(transaction))
            except Refusal as refusal:
                # Operations refuse before they write anything, so the others' transaction goes on.
                entry.error = refusal
        connection.execute("COMMIT")
        if self._committed is not None:
            self._committed(transaction)

    def _drive(self, connection: sqlite3.Connection, operation: Operation[T]) -> T:
        try:
            query = next(operation)
            while True:
                parameters = query.parameters
                if query.statement.only_locks:
                    rows: Rows = ()
                elif isinstance(parameters, dict):
                    sql, constants = self._compile(query.statement)
                    rows = query.statement.named(connection.execute(sql, constants | parameters).fetchall())
                else:
                    rows = self._execute_each(connection, query)
                query = operation.send(rows)
        except StopIteration as stop:
            return stop.value  # type: ignore[no-any-return]

    def _execute_each(self, connection: sqlite3.Connection, query: Query) -> Rows:
        sql, constants = self._compile(query.statement)
        sets = [constants | dict(each) for each in query.parameters]  # type: ignore[arg-type]
        if not query.numbered:
            connection.executemany(sql, sets)
            return []
        named = query.statement.named
        return [(index, row) for index, each in enumerate(sets) for row in named(connection.execute(sql, each))]

    def _compile(self, statement: Statement) -> tuple[str, dict[str, Any]]:
        known = self._compiled.get(statement)
        if known is None:
            compiled = statement.clause.compile(dialect=DIALECT)
            binds = compiled.bind_names  # type: ignore[attr-defined]
            constants = {name: bind.value for bind, name in binds.items() if not bind.required}
            known = self._compiled[statement] = (str(compiled), constants)
        return known


def _roll_back(connection: sqlite3.Connection) -> None:
    if connection.in_transaction:
        connection.execute("ROLLBACK")


def _fail(entries: Sequence[_Entry], error: sqlite3.Error) -> None:
    for entry in entries:
        entry.error = StorageUnavailable(str(error))
        entry.error.__cause__ = error


def _settle(entries: Sequence[_Entry]) -> None:
    """Wakes each waiting loop once, however many of its operations are done."""
    by_loop: dict[asyncio.AbstractEventLoop, list[_Entry]] = {}
    for entry in entries:
        by_loop.setdefault(entry.loop, []).append(entry)
    for loop, done in by_loop.items():
        try:
            loop.call_soon_threadsafe(_settle_all, done)
        except RuntimeError:
            # The loop is gone, and with it everyone who could have waited.
            continue


def _settle_all(entries: Sequence[_Entry]) -> None:
    for entry in entries:
        entry.settle()
