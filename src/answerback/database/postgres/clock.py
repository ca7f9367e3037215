"""PostgreSQL's scheduling clock: one time for all processes, which no step of the server's clock moves.

It is the server's clock plus a stored offset. Each process compares it, at each transaction, with the time that passes
on its own machine. Where they differ the server's clock was set, and before anything runs at the wrong time the process
that notices first changes the offset by as much. Every two seconds the time is stored: so a process that starts knows
whether the clock was set back while none ran, and one whose own machine stood still finds that others did not.
"""

import asyncio
from typing import Any

from answerback.database.operation import Transaction
from answerback.database.postgres.connections import Connections
from answerback.database.postgres.session import SERVER_TIME, WRITE
from answerback.kernel.clock import Clock
from answerback.kernel.instruments import Instruments

TOLERATED_MS = 5_000
"""A smaller step is none."""
SEEN_EVERY_MS = 2_000
"""How far behind the stored time is at most while processes serve; less than what is tolerated."""

OF_ROW = "FROM clock WHERE boot_id = 'server'"
FIND = f"SELECT {SERVER_TIME}, coalesce((SELECT offset_ms {OF_ROW}), 0), coalesce((SELECT seen_at {OF_ROW}), 0)"
INSERT = "INSERT INTO clock (boot_id, offset_ms, seen_at) VALUES ('server', $1, $2) ON CONFLICT (boot_id) DO UPDATE"
SET = f"{INSERT} SET offset_ms = $1, seen_at = greatest(clock.seen_at, $2) WHERE clock.offset_ms = $3 RETURNING 1"
SEE = f"""{INSERT} SET seen_at = CASE clock.offset_ms WHEN $1 THEN greatest(clock.seen_at, $2) ELSE clock.seen_at END
    RETURNING offset_ms"""


class ClockStepped(Exception):
    """The time of a transaction is not known to be right: `PostgresClock.follow` mends that."""


class PostgresClock:
    """Times are epoch milliseconds. `server` stands for the server's clock in tests."""

    def __init__(self, instruments: Instruments, server: Clock | None = None) -> None:
        self._local = instruments.clock.since_boot
        self._log = instruments.log
        self._server = server
        self._offset = self._seen = 0
        self._ahead: tuple[int, int] | None = None
        self._following = asyncio.Lock()

    def began(self) -> int:
        """To be given to `transaction`, from before the server is asked for its time."""
        return self._local()

    def transaction(self, began: int, there: int) -> Transaction:
        """Of the server's time `there`. Raises ClockStepped."""
        wall = there if self._server is None else self._server.now()
        now = wall + self._offset
        ahead = now - self._local(), now - began
        if self._ahead is None or self._step(ahead):
            raise ClockStepped
        self._ahead = ahead
        return Transaction(now, wall)

    async def follow(self, connections: Connections) -> None:
        """At the start and after a step: the clock that all processes share goes on as it went. Raises
        StorageUnavailable."""
        ahead = self._ahead
        async with self._following:
            # Another transaction of this process may have done so since.
            if self._ahead is ahead and (found := await connections.transaction(WRITE, self._found)) is not None:
                # Not before the commit: an offset that was not stored is no other process's.
                self._offset, self._seen, self._ahead = found

    def must_be_seen(self, transaction: Transaction) -> bool:
        """Whether `see` is to store a transaction's time."""
        if transaction.now - self._seen < SEEN_EVERY_MS:
            return False
        self._seen = transaction.now
        return True

    async def see(self, connections: Connections) -> None:
        """Looks, too, whether the offset is still this one: a process that starts just after a step cannot know of it
        before others do. Raises StorageUnavailable."""
        await connections.transaction(WRITE, self._see)

    async def _see(self, connection: Any) -> None:
        if await connection.fetchval(SEE, self._offset, self._seen) != self._offset:
            self._ahead = None

    async def _found(self, connection: Any) -> tuple[int, int, tuple[int, int]] | None:
        """The offset, the time, and how far ahead it is. None where another process was faster."""
        began = self.began()
        there, offset, seen_at = await connection.fetchrow(FIND)
        there = there if self._server is None else self._server.now()
        now = there + offset
        step = self._step((now - self._local(), now - began))
        expected = now - step
        # Where others have seen so much time pass it was this machine that stood still.
        passed = step > 0 and seen_at > expected + TOLERATED_MS
        if not passed and (step or now < seen_at - TOLERATED_MS):
            right = max(expected, seen_at)
            if not await connection.fetch(SET, right - there, right, offset):
                # The next transaction looks again.
                return None
            self._log.warning("database_clock_stepped", seconds=(now - right) / 1000)
            now = right
        return now - there, now, (now - self._local(), now - began)

    def _step(self, ahead: tuple[int, int]) -> int:
        """By how much the time is ahead of what it should be, negative if behind; 0 if that is tolerated. The server
        read its clock at some moment between the two."""
        if self._ahead is None:
            return 0
        least, most = ahead[0] - self._ahead[1], ahead[1] - self._ahead[0]
        if least > TOLERATED_MS:
            return least
        return most if most < -TOLERATED_MS else 0
