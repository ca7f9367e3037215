"""How fast a tenant's files are fetched from one origin: anyone with a key may name addresses of third parties in
reviews. Each tenant has a pace of its own, as many keep their files at the same large origin."""

from collections.abc import Callable
from typing import NamedTuple

from yarl import URL

SECONDS_PER_FILE = 1.0
BYTES_PER_SECOND = 1024 * 1024
BURST_SECONDS = 60.0
MAX_ORIGINS = 10_000


class _Fetched(NamedTuple):
    tenant_id: str
    origin: str


class OriginPace:
    """Each request costs the tenant a second at its origin, and each megabyte another one; a minute's worth may be
    spent at once. `monotonic` is a clock in seconds."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._paid_until: dict[_Fetched, float] = {}

    def begin(self, tenant_id: str, url: URL) -> float:
        """Counts a request, and returns 0.0; or in how many seconds there may be one."""
        fetched, now = _Fetched(tenant_id, str(url.origin())), self._monotonic()
        wait = self._paid_until.get(fetched, now) - now + SECONDS_PER_FILE - BURST_SECONDS
        if wait > 0:
            return wait
        self._spend(fetched, SECONDS_PER_FILE)
        return 0.0

    def received(self, tenant_id: str, url: URL, size: int) -> None:
        """Counts what came, in bytes."""
        self._spend(_Fetched(tenant_id, str(url.origin())), size / BYTES_PER_SECOND)

    def _spend(self, fetched: _Fetched, seconds: float) -> None:
        now = self._monotonic()
        self._paid_until[fetched] = max(now, self._paid_until.get(fetched, now)) + seconds
        if len(self._paid_until) > MAX_ORIGINS:
            self._paid_until = {each: until for each, until in self._paid_until.items() if until > now}
        if len(self._paid_until) > MAX_ORIGINS:
            del self._paid_until[min(self._paid_until, key=self._paid_until.__getitem__)]
