"""Noticing that the clock which schedules was set: PostgreSQL's time is its server's wall clock, which may jump."""

from answerback.database.operation import Database, Operation, Transaction
from answerback.kernel.clock import Clock
from answerback.kernel.errors import StorageUnavailable


def _time(tx: Transaction) -> Operation[int]:
    yield from ()
    return tx.now


class ClockWatch:
    """Compares the time of the database with the time that passes here."""

    def __init__(self, database: Database, clock: Clock, tolerance: float) -> None:
        """Steps of up to `tolerance` seconds are none. A machine that slept looks as if the clock was set forward."""
        self._database = database
        self._clock = clock
        self._tolerance = tolerance
        self._ahead: tuple[float, float] | None = None

    async def step(self) -> float:
        """By how many seconds the clock was set since the last look, negative for back; 0.0 if it was not, or the
        database does not answer."""
        asked = self._clock.monotonic()
        try:
            there = await self._database.read.run(_time) / 1000
        except StorageUnavailable:
            return 0.0
        answered = self._clock.monotonic()
        # The database read its clock at some moment in between.
        before, self._ahead = self._ahead, (there - answered, there - asked)
        if before is None:
            return 0.0
        least, most = self._ahead[0] - before[1], self._ahead[1] - before[0]
        if least > self._tolerance:
            return least
        return most if most < -self._tolerance else 0.0
