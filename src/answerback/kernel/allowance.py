"""Work that a peer causes, kept to a rate: otherwise what comes as fast as it is done would take all the time."""

from dataclasses import dataclass


@dataclass(slots=True)
class Allowance:
    """`burst` pieces of work at once, and `rate` a second."""

    rate: float
    burst: float
    _owed: float = 0.0
    _at: float = 0.0

    def rest_after(self, pieces: float, now: float) -> float:
        """Seconds for which nothing more should be taken on, once as many pieces were done. `now` is of a clock that
        never steps back."""
        self._owed = max(0.0, self._owed - (now - self._at) * self.rate) + pieces
        self._at = now
        return max(0.0, self._owed - self.burst) / self.rate
