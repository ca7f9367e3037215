"""A clock that a test moves."""

from uuid import uuid4


class FakeClock:
    """Implements `Clock`. Clocks with one `boot_id` belong to processes of one machine; each has its own by default."""

    def __init__(self, now: int = 1_750_000_000_000, boot_id: str | None = None) -> None:
        self._now = now
        self._elapsed = 0.0
        self.boot_id = uuid4().hex if boot_id is None else boot_id

    def now(self) -> int:
        return self._now + round(self._elapsed * 1000)

    def monotonic(self) -> float:
        return self._elapsed

    def since_boot(self) -> int:
        return round(self._elapsed * 1000)

    def advance(self, seconds: float) -> None:
        """Lets `seconds` pass on all clocks; time never goes back."""
        if seconds < 0:
            raise ValueError("a clock cannot be advanced by a negative time")
        self._elapsed += seconds

    def step(self, seconds: float) -> None:
        """Sets the wall clock forward, or back by a negative number of `seconds`; no time passes."""
        self._now += round(seconds * 1000)
