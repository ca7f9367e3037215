"""The fallbacks of a database, counted: a test on an ordinary path takes none."""

from collections import Counter

from answerback.kernel.telemetry import Fallback, Unmeasured


class Fallbacks(Unmeasured):
    """Implements `Metrics`; `counted` has `(plan, fallback)`."""

    def __init__(self) -> None:
        self.counted: Counter[tuple[str, Fallback]] = Counter()
        self._allowed: set[tuple[str, Fallback]] = set()

    def fell_back(self, plan: str, fallback: Fallback) -> None:
        self.counted[plan, fallback] += 1

    def allow(self, plan: str, *fallbacks: Fallback) -> None:
        """The test makes operations of this plan meet."""
        self._allowed.update((plan, fallback) for fallback in fallbacks)

    @property
    def unexpected(self) -> set[tuple[str, Fallback]]:
        return set(self.counted) - self._allowed
