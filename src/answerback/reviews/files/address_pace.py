"""How fast a tenant's files are fetched from one address: anyone with a key may name third parties in reviews, and give
them any number of names and ports. Each tenant has a pace of its own, as many keep their files at the same large
server."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

SECONDS_PER_FILE = 1.0
BYTES_PER_SECOND = 1024 * 1024
BURST_SECONDS = 60.0
MAX_ADDRESSES = 10_000


class _Fetched(NamedTuple):
    tenant_id: str
    address: str


class AddressPace:
    """Each request costs the tenant a second at its server's address, at all of them where the name has several, and
    each megabyte another one; a minute's worth may be spent at once. `monotonic` is a clock in seconds."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._paid_until: dict[_Fetched, float] = {}

    def begin(self, tenant_id: str, addresses: Sequence[str]) -> float:
        """Counts a request, and returns 0.0; or in how many seconds there may be one."""
        now = self._monotonic()
        paid_until = max(self._paid_until.get(_Fetched(tenant_id, each), now) for each in addresses)
        wait = paid_until - now + SECONDS_PER_FILE - BURST_SECONDS
        if wait > 0:
            return wait
        self._spend(tenant_id, addresses, SECONDS_PER_FILE)
        return 0.0

    def received(self, tenant_id: str, addresses: Sequence[str], size: int) -> None:
        """Counts what came, in bytes."""
        self._spend(tenant_id, addresses, size / BYTES_PER_SECOND)

    def _spend(self, tenant_id: str, addresses: Sequence[str], seconds: float) -> None:
        now = self._monotonic()
        for each in addresses:
            fetched = _Fetched(tenant_id, each)
            self._paid_until[fetched] = max(now, self._paid_until.get(fetched, now)) + seconds
        if len(self._paid_until) > MAX_ADDRESSES:
            # Half of them, so that it is seldom: those to which most was owed stay, which names of many others cannot
            # push out.
            most = sorted(self._paid_until.items(), key=lambda paid: paid[1])[-MAX_ADDRESSES // 2 :]
            self._paid_until = {each: until for each, until in most if until > now}
