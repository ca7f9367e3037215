"""How fast files are fetched from one origin: anyone with a key may name addresses of third parties in reviews."""

from collections.abc import Callable

from yarl import URL

SECONDS_PER_FILE = 1.0
BYTES_PER_SECOND = 1024 * 1024
BURST_SECONDS = 60.0
MAX_ORIGINS = 10_000


class OriginPace:
    """Each request costs its origin a second, and each megabyte another one; a minute's worth may be spent at once.
    `monotonic` is a clock in seconds."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._paid_until: dict[str, float] = {}

    def begin(self, url: URL) -> float:
        """Counts a request, and returns 0.0; or in how many seconds there may be one."""
        origin, now = str(url.origin()), self._monotonic()
        wait = self._paid_until.get(origin, now) - now + SECONDS_PER_FILE - BURST_SECONDS
        if wait > 0:
            return wait
        self._spend(origin, SECONDS_PER_FILE)
        return 0.0

    def received(self, url: URL, size: int) -> None:
        """Counts what came, in bytes."""
        self._spend(str(url.origin()), size / BYTES_PER_SECOND)

    def _spend(self, origin: str, seconds: float) -> None:
        now = self._monotonic()
        self._paid_until[origin] = max(now, self._paid_until.get(origin, now)) + seconds
        if len(self._paid_until) > MAX_ORIGINS:
            self._paid_until = {each: until for each, until in self._paid_until.items() if until > now}
        if len(self._paid_until) > MAX_ORIGINS:
            del self._paid_until[min(self._paid_until, key=self._paid_until.__getitem__)]
