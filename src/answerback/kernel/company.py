"""Whether several have work: then each of them does less at once, so that none waits for much."""

from collections.abc import Callable

LATELY_SECONDS = 1.0
"""One that was not met for so long waits once for what another, alone meanwhile, does at once."""


class Company:
    """Of those that were `met`. Each step takes the same time, however many there are."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._last = ""
        self._last_at = self._until = float("-inf")

    def met(self, name: str) -> None:
        """This one has work now."""
        now = self._monotonic()
        if name != self._last:
            if now - self._last_at < LATELY_SECONDS:
                self._until = now + LATELY_SECONDS
            self._last = name
        self._last_at = now

    @property
    def several(self) -> bool:
        """Whether more than one was met lately."""
        return self._monotonic() < self._until
