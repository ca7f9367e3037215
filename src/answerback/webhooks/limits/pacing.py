"""Pacing: how far apart attempts begin at an origin that refuses (429, 503) though they come one at a time.

It is a congestion window of less than one attempt. One at a time of each process may be too many for a receiver that
has fewer places than there are processes, and any number of them for one that limits calls by rate. The interval
between attempts doubles with each refusal and shrinks with each answer; a time that the receiver names is waited for.
As in G. Kumar et al.: Swift: Delay is Simple and Effective for Congestion Control in the Datacenter, SIGCOMM 2020.

A path that refuses while another one answers is down, and says nothing of its origin: only a refusal of the path that
answered last does, or of several.
"""

from dataclasses import dataclass

FIRST = 0.02
"""The first interval, in seconds; less than half of it is none."""
GROWTH = 2.0
SHRINKAGE = 0.8
LONGEST = 2.0
"""A receiver that refuses some callbacks for what they hold, at whatever pace, would be called at this interval."""
LONGEST_NAMED = 60.0
"""A receiver that names more may mean one delivery, which waits for as long in its schedule."""


@dataclass(slots=True)
class Pacing:
    """Arithmetic over the ends of attempts; times are seconds of one monotonic clock. A path is any name of it."""

    interval: float = 0.0
    begins_at: float = float("-inf")
    """No attempt begins before."""
    _refused_at: float = float("-inf")
    _answered: str | None = None
    """The path that answered last."""
    _refused: frozenset[str] = frozenset()
    """Paths that refused since then, two at most."""

    def answered(self, path: str, seconds: float, now: float) -> None:
        """A response came after this time."""
        self._answered, self._refused = path, frozenset()
        began = now - seconds
        if not self.interval or began < self._refused_at:
            return
        self.interval *= SHRINKAGE
        if self.interval < FIRST / 2:
            self.interval = 0.0
        self.begins_at = max(self.begins_at, began + self.interval)

    def refused(self, path: str, named: float | None, now: float) -> None:
        """The receiver asked for less, though attempts came one at a time; `named`: in so many seconds."""
        if len(self._refused) < 2:
            self._refused |= {path}
        if self._answered not in (None, path) and len(self._refused) == 1:
            return
        self._refused_at = now
        self.interval = min(max(FIRST, self.interval * GROWTH), LONGEST)
        self.begins_at = now + max(self.interval, min(named or 0.0, LONGEST_NAMED))
