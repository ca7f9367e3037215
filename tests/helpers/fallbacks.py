"""The fallbacks of a database, counted: a test on an ordinary path takes none."""

from collections import Counter

from answerback.kernel.telemetry import Fallback, Metrics


class Fallbacks(Metrics):
    """`counted` has `(plan, fallback)`."""

    def __init__(self) -> None:
        self.counted: Counter[tuple[str, Fallback]] = Counter()
        self._allowed: set[str] = set()

    def fell_back(self, plan: str, fallback: Fallback) -> None:
        self.counted[plan, fallback] += 1

    def allow(self, *plans: str) -> None:
        """The test makes operations of these plans meet. A statement that a plan lacks is never allowed."""
        self._allowed.update(plans)

    @property
    def unexpected(self) -> set[tuple[str, Fallback]]:
        return {
            (plan, fallback)
            for plan, fallback in self.counted
            if plan not in self._allowed or fallback is Fallback.UNPLANNED_STATEMENT
        }
