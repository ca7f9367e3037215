"""Retry as arithmetic over values: no clock, no I/O."""

from collections.abc import Callable
from dataclasses import dataclass

DAY = 86_400.0
RETRY_AFTER_LIMIT = DAY
RETRY_AFTER_SPREAD = 60.0
"""The most jitter, in seconds, added to a `Retry-After`: a quota that ends at midnight ends for all clients."""

LAST_TRY_SECONDS = 120.0
"""How much time a last try has at most: as much as a call may take by default."""
LAST_TRY_SHARE = 0.1
"""Of the time that is left: how much the last try has where that is less."""
TOO_SHORT_SECONDS = 10.0
"""With less time left no other try is made before the deadline for its sake."""

STANDARD_WEBHOOKS_SCHEDULE = (0.0, 5.0, 300.0, 1_800.0, 7_200.0, 18_000.0, 36_000.0, 50_400.0, 72_000.0, 86_400.0)
"""Seconds before each attempt, the first included (Standard Webhooks, "Deliverability and reliability")."""


@dataclass(frozen=True, slots=True)
class RetrySchedule:
    """When to try again. `waits[n]` seconds precede attempt `n + 1`, so `len(waits)` attempts are made in all."""

    waits: tuple[float, ...]
    jitter: float = 0.2

    def delay(self, attempt: int, retry_after: float | None, draw: Callable[[], float]) -> float | None:
        """Seconds until the attempt after number `attempt` (1-based); None when there is none left.

        A `retry_after` in seconds lengthens the wait, up to 24 h, and jitter never makes the wait shorter than that.
        `draw` returns a uniform number in [0, 1).
        """
        if attempt >= len(self.waits):
            return None
        wait = self.waits[attempt] * (1.0 + self.jitter * (2.0 * draw() - 1.0))
        if retry_after is None:
            return wait
        asked = min(max(retry_after, 0.0), RETRY_AFTER_LIMIT)
        return max(wait, asked + min(asked * self.jitter, RETRY_AFTER_SPREAD) * draw())


def before_deadline(delay: float, seconds_left: float) -> float:
    """The wait, which leaves time for a last try before the deadline in `seconds_left`, if that is not too short."""
    if seconds_left <= TOO_SHORT_SECONDS:
        return delay
    return min(delay, seconds_left - min(LAST_TRY_SECONDS, LAST_TRY_SHARE * seconds_left))


def exponential(attempts: int, first: float, multiplier: float, limit: float) -> RetrySchedule:
    """`attempts` in all; waits `first`, `first·multiplier`, … seconds, none above `limit`."""
    waits = [0.0]
    for n in range(attempts - 1):
        waits.append(min(limit, first * multiplier ** min(n, 64)))
    return RetrySchedule(tuple(waits))


@dataclass(frozen=True, slots=True)
class ShortRetries:
    """How a synchronous call is retried while its caller waits: `retries` besides the first try; waits in seconds."""

    retries: int
    first: float
    limit: float
    multiplier: float

    def delay(self, tries: int, retry_after: float | None, draw: Callable[[], float]) -> float | None:
        """Seconds until the try after number `tries`; None when there is none left, or the wait that the upstream asks
        for is longer than a caller's patience. `draw` is as in `RetrySchedule.delay`."""
        if tries > self.retries or (retry_after is not None and retry_after > self.limit):
            return None
        backoff = self.first * self.multiplier ** min(tries - 1, 64) + self.first * draw()
        return max(min(backoff, self.limit), retry_after or 0.0)


JOB_SCHEDULE = exponential(attempts=12, first=2.0, multiplier=4.0, limit=900.0)
"""How a queued job asks a failing provider again: after 2, 8, 32, 128, 512 s, then every 15 min; 12 attempts in 2 h."""

HANDOVER_SCHEDULE = exponential(attempts=3_000, first=2.0, multiplier=4.0, limit=900.0)
"""How a job is handed to an LLM that answers by webhook: at the same pace, for as long as its deadline allows. A failed
hand-over costs nothing."""
