"""A congestion window: how many attempts an origin gets at once while it is unknown how many it can take.

After an outage the window is 1. A round is as many attempts as the window admits. It doubles the window if its attempts
take about as long as the first few did, one by one; a slower round halves it, and so does a receiver that asks for less
(429, 503); if it does so again before any answer, the window is 1. So a quick origin reaches its cap within about ten
of its response times, and an origin that serves calls one by one is never sent more than a handful ahead.

From half of what a receiver refused the window grows slowly: each refusal costs a callback an attempt.
"""

from dataclasses import dataclass

FIRST = 5
"""How many attempts, one by one, measure how quick an origin is."""
SLOWER = 1.25
"""The factor by which a round may take longer than those and still count as quick."""
SLACK = 0.03
"""Seconds that this process, when busy, may add to an attempt."""
SLOW_ROUNDS = 5
"""Near what was refused, the window grows by one after so many rounds."""
FORGETS_IN = 20.0
"""How fast `alone` adapts: after this many seconds one by one, a slower pace counts as normal."""


@dataclass(slots=True)
class CongestionWindow:
    """Arithmetic over the ends of attempts; times are seconds of one monotonic clock."""

    cap: int
    began: float
    """When this round began; an attempt from before does not count."""
    size: int = 1
    alone: float | None = None
    """How long attempts take one by one, None until that is known."""
    _ended: int = 0
    _took: float = 0.0
    _used_up: bool = False
    _refused: bool = False
    """No answer has come since the receiver asked for less."""
    _quick_below: int = 1_000_000
    """Half of what it refused; until then nothing bounds how quickly the window grows."""

    @property
    def wide(self) -> bool:
        """Whether the window is at its cap."""
        return self.size >= self.cap

    @property
    def untried(self) -> bool:
        """Made at full width, never measured."""
        return self.wide and self.alone is None

    def began_one(self, in_flight: int) -> None:
        """An attempt began beside `in_flight` others. Only a window that was used up has been tested, and grows."""
        self._used_up = self._used_up or in_flight + 1 >= self.size

    def answered(self, seconds: float, now: float) -> None:
        """A response came after this time."""
        self._refused = False
        if self.wide or self._is_old(seconds, now):
            return
        self._ended += 1
        self._took += seconds
        if self._ended >= self._round:
            self._turn(self._next(self._took / self._ended, now), now)

    def busy(self, seconds: float, now: float) -> bool:
        """The receiver asked for less. Whether that says something of this window: the attempt began within it."""
        if self._is_old(seconds, now):
            return False
        half = (self.size + 1) // 2
        if self._refused:
            half = 1
        else:
            self._refused, self._quick_below = True, half
        self._turn(half, now)
        return True

    def unreached(self, seconds: float, now: float) -> None:
        """No response came."""
        if not self.wide and not self._is_old(seconds, now):
            self._turn(1, now)

    @property
    def _round(self) -> int:
        """How many attempts must have ended before the window changes."""
        if self.alone is None:
            return FIRST
        return self.size if self.size < self._quick_below else self.size * SLOW_ROUNDS

    def _is_old(self, seconds: float, now: float) -> bool:
        return now - seconds < self.began

    def _next(self, took: float, now: float) -> int:
        """The size that a round with attempts of this length leads to."""
        if self.alone is None:
            self.alone = took
        elif self.size == 1:
            self.alone += min(1.0, (now - self.began) / FORGETS_IN) * (took - self.alone)
        if took > self.alone * SLOWER + SLACK:
            return max(1, self.size // 2)
        if not self._used_up:
            return self.size
        quickly = self.size < self._quick_below
        return min(self.cap, min(self.size * 2, self._quick_below) if quickly else self.size + 1)

    def _turn(self, size: int, now: float) -> None:
        self.size, self.began = size, now
        self._ended, self._took, self._used_up = 0, 0.0, False
