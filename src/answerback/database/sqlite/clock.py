"""SQLite's scheduling clock: one time for all processes of a machine, which no step of the wall clock moves.

It is a stored offset plus the machine's time since its boot. The first process of a boot stores the offset, such that
the clock starts at the wall clock's time, or at the latest time of an earlier boot where that is later; every other
process of the boot reads it, unless that would set the time back, as after a return to a snapshot of the machine. So
`now` never goes back, within a boot or across one, and setting the wall clock while jobs wait makes none of them due
earlier or later.
"""

import sqlite3

from answerback.kernel.clock import Clock

RESERVED_MS = 1000
"""How far ahead of `now` a boot's latest time is stored, so that it is written once a second and not each time."""

FIND = "SELECT offset_ms FROM clock WHERE boot_id = ? AND offset_ms + ? >= seen_at - ?"
LATEST = "SELECT coalesce(max(seen_at), 0) FROM clock"
FORGET_EARLIER_BOOTS = "DELETE FROM clock"
START = "INSERT INTO clock (boot_id, offset_ms, seen_at) VALUES (?, ?, ?)"
RESERVE = "UPDATE clock SET seen_at = ? WHERE boot_id = ? AND seen_at < ?"


class SqliteClock:
    """Implements `TransactionClock`. Times are epoch milliseconds."""

    def __init__(self, clock: Clock, connection: sqlite3.Connection) -> None:
        """Joins the boot's clock, or starts it. Raises sqlite3.Error."""
        self._clock = clock
        self._offset = _offset(clock, connection)

    def now(self) -> int:
        return self._offset + self._clock.since_boot()

    def wall(self) -> int:
        return self._clock.now()

    def before_commit(self, connection: sqlite3.Connection, now: int) -> None:
        """Keeps `seen_at` at or after `now`, in the same commit."""
        connection.execute(RESERVE, (now + RESERVED_MS, self._clock.boot_id, now))


def _offset(clock: Clock, connection: sqlite3.Connection) -> int:
    boot = clock.boot_id, clock.since_boot(), RESERVED_MS
    if stored := connection.execute(FIND, boot).fetchone():
        return int(stored[0])
    connection.execute("BEGIN IMMEDIATE")
    # Another process may have started the clock since.
    if stored := connection.execute(FIND, boot).fetchone():
        connection.execute("ROLLBACK")
        return int(stored[0])
    now = max(clock.now(), connection.execute(LATEST).fetchone()[0])
    offset = now - clock.since_boot()
    connection.execute(FORGET_EARLIER_BOOTS)
    connection.execute(START, (clock.boot_id, offset, now))
    connection.execute("COMMIT")
    return int(offset)
