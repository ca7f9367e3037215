"""How soon the full rate is back after a fault."""

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass

from chaos.figures import seconds

WINDOW_SECONDS = 2.0
FULL = 0.9
"""The share of what is offered that counts as the full rate: a window may begin or end between two callbacks."""


@dataclass(frozen=True, slots=True)
class Pace:
    """An offered rate, messages a second."""

    rate: float

    def back_after(self, times: Sequence[float], since: float, until: float) -> float | None:
        """Seconds from `since` to the first window of two seconds in which callbacks came as fast as messages were
        offered; None when that did not happen before `until`. `times` are the callbacks', in order."""
        wanted = int(self.rate * WINDOW_SECONDS * FULL)
        starts = (since, *times[bisect_left(times, since) :])
        for start in starts:
            if start + WINDOW_SECONDS > until:
                return None
            if bisect_left(times, start + WINDOW_SECONDS) - bisect_left(times, start) >= wanted:
                return start - since
        return None


@dataclass(frozen=True, slots=True)
class Recovery:
    """Seconds without the full rate after each fault; None: to the end. More than `within` breaks the promise."""

    took: Sequence[float | None]
    within: float

    @property
    def broken(self) -> list[str]:
        late = [seconds(took) for took in self.took if took is None or took > self.within]
        return [f"full rate not back within {self.within:g} s: {', '.join(late)}"] if late else []

    @property
    def said(self) -> str:
        longest = max((took for took in self.took if took is not None), default=None)
        return f"full rate again at most {seconds(longest)} after"
