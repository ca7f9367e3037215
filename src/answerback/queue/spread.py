"""How fast a backlog begins: rows that begin together end together, and the next ones begin together again.

Hundreds of jobs that take ten seconds would keep the event loop busy for one of each ten, and whatever comes then would
wait for each of their steps. So claims bring a few times as many rows a second as end on average, and no more: with a
slow LLM a burst spreads as it is repeated. With a fast one that is more than a process can do.
"""

from collections.abc import Callable

LEAST = 200.0
"""Rows a second, however slow they are: 800 slots are filled in four seconds."""
FACTOR = 2.0
"""Of the slots divided by how long a row takes: where all are taken, so many rows end a second (Little's law)."""
AT_ONCE = 20
TICK_SECONDS = 0.02
"""How long claims wait until a few more rows may begin."""
WEIGHT = 1 / 16
"""Of the newest run in their mean."""


class Spread:
    """For a pool of so many `slots`: how many rows may begin now, from how long they run."""

    def __init__(self, slots: int, monotonic: Callable[[], float]) -> None:
        self._slots = slots
        self._monotonic = monotonic
        self._mean_seconds: float | None = None
        self._room = float(AT_ONCE)
        self._counted_at = monotonic()

    def room(self) -> int:
        """How many rows the next claim may bring; 0: none until a tick has passed."""
        mean = self._mean_seconds
        rate = LEAST if mean is None else max(LEAST, FACTOR * self._slots / max(mean, TICK_SECONDS))
        now = self._monotonic()
        grown = self._room + rate * (now - self._counted_at)
        self._room = min(grown, max(AT_ONCE, rate * TICK_SECONDS))
        self._counted_at = now
        return int(self._room)

    def began(self, rows: int) -> None:
        """A claim brought so many."""
        self._room -= rows

    def ended(self, seconds: float) -> None:
        """A row ran for so long."""
        mean = self._mean_seconds
        self._mean_seconds = seconds if mean is None else mean + WEIGHT * (seconds - mean)
