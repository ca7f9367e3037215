"""A clock that only moves when told to."""


class FakeClock:
    """Implements `Clock`; both clocks advance together."""

    def __init__(self, now: int = 1_750_000_000_000) -> None:
        self._now = now
        self._elapsed = 0.0

    def now(self) -> int:
        return self._now + round(self._elapsed * 1000)

    def monotonic(self) -> float:
        return self._elapsed

    def advance(self, seconds: float) -> None:
        """Lets `seconds` pass; time never goes back."""
        if seconds < 0:
            raise ValueError("a clock cannot be advanced by a negative time")
        self._elapsed += seconds
