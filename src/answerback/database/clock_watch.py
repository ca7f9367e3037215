"""Noticing that more time passed for the database than for this process, whose machine slept or was stopped."""

from answerback.database.operation import Database, Operation, Transaction
from answerback.kernel.clock import Clock
from answerback.kernel.errors import StorageUnavailable


def _time(tx: Transaction) -> Operation[int]:
    yield from ()
    return tx.now


class ClockWatch:
    """Compares the time of the database with the time that passes here."""

    def __init__(self, database: Database, clock: Clock, tolerance: float) -> None:
        """Leaps of up to `tolerance` seconds are none."""
        self._database = database
        self._clock = clock
        self._tolerance = tolerance
        self._ahead: float | None = None

    async def leapt(self) -> float:
        """By how many seconds the database's time ran ahead of this process's since the last look; 0.0 if it did not,
        or the database does not answer."""
        asked = self._clock.monotonic()
        try:
            there = await self._database.read.run(_time) / 1000
        except StorageUnavailable:
            return 0.0
        # The database read its clock at some moment in between: at the last look as early as may be, now as late.
        before, self._ahead = self._ahead, there - asked
        leapt = 0.0 if before is None else there - self._clock.monotonic() - before
        return leapt if leapt > self._tolerance else 0.0
