"""How many requests a caller may make: exact, counted in a moving window, told in headers."""

import math
import time
from collections import deque
from collections.abc import Callable
from functools import lru_cache
from ipaddress import IPv6Address, ip_address, ip_network

from limits import RateLimitItemPerSecond
from limits.aio.storage import MemoryStorage
from limits.aio.strategies import MovingWindowRateLimiter
from starlette.requests import Request

from answerback.accounts.ports import Rates
from answerback.http.errors import RateLimited, rate_headers
from answerback.http.headers import add_header
from answerback.http.upstream import SDK_PATIENCE_SECONDS
from answerback.kernel.rate import Rate, Standing

IDLE_SWEEP_EVERY = 4096
"""Requests between looks for callers that have fallen silent."""


class MovingWindows(MemoryStorage):
    """Implements `Rates` in this process's memory, a few microseconds a request, as a storage and a
    strategy of the library's: the times of the requests that count. `now` is in epoch seconds.

    Exact without a lock, because nothing here awaits. The library's own memory looks through all callers in a thread
    at every request, which grows with their number.
    """

    STORAGE_SCHEME = ["answerback+memory"]  # noqa: RUF012 - the library's registry reads a list

    def __init__(self, now: Callable[[], float] = time.time) -> None:
        super().__init__()
        self._now = now
        self._times: dict[str, tuple[int, deque[float]]] = {}
        self._until_sweep = IDLE_SWEEP_EVERY
        self._strategy = MovingWindowRateLimiter(self)

    async def hit(self, caller: str, rate: Rate) -> Standing:
        item = _item(rate)
        admitted = await self._strategy.hit(item, caller)
        reset_at, remaining = await self._strategy.get_window_stats(item, caller)
        return Standing(admitted, remaining, reset_at - self._now())

    async def acquire_entry(self, key: str, limit: int, expiry: int, amount: int = 1) -> bool:
        times = self._current(key, expiry)
        if len(times) + amount > limit:
            return False
        times.extend([self._now()] * amount)
        self._until_sweep -= 1
        if self._until_sweep <= 0:
            self._sweep()
        return True

    async def get_moving_window(self, key: str, limit: int, expiry: int) -> tuple[float, int]:  # noqa: ARG002
        times = self._current(key, expiry)
        return (times[0] if times else self._now()), len(times)

    def _current(self, key: str, expiry: int) -> deque[float]:
        _, times = self._times.setdefault(key, (expiry, deque()))
        over = self._now() - expiry
        while times and times[0] <= over:
            times.popleft()
        return times

    def _sweep(self) -> None:
        now = self._now()
        self._times = {
            key: (expiry, times) for key, (expiry, times) in self._times.items() if times and times[-1] > now - expiry
        }
        self._until_sweep = max(IDLE_SWEEP_EVERY, len(self._times))


class RateLimiter:
    """Admits callers by their rates; `default` is the rate of whoever has none of their own, None for no limit."""

    def __init__(self, rates: Rates, default: Rate | None) -> None:
        self._rates = rates
        self.default = default

    async def admit(self, request: Request, caller: str, rate: Rate | None) -> None:
        """Counts the request, and has its response tell how much is left. Raises RateLimited."""
        if rate is None:
            return
        standing = await self._rates.hit(caller, rate)
        seconds = max(1, math.ceil(standing.seconds))
        for name, value in rate_headers(rate.amount, max(0, standing.remaining), seconds).items():
            add_header(request, name, value)
        if standing.admitted:
            return
        add_header(request, "Retry-After", str(seconds))
        if seconds > SDK_PATIENCE_SECONDS:
            add_header(request, "x-should-retry", "false")
        raise RateLimited(f"more than {_words(rate)}; try again in {seconds} s")


def address_of(request: Request) -> str:
    """Whom a request without a key counts for: its address, of IPv6 the network of one subscriber."""
    host = request.client.host if request.client else ""
    try:
        address = ip_address(host.partition("%")[0])
    except ValueError:
        return host[:64]
    if isinstance(address, IPv6Address):
        return str(address.ipv4_mapped or ip_network((address, 64), strict=False))
    return str(address)


@lru_cache(maxsize=1024)
def _item(rate: Rate) -> RateLimitItemPerSecond:
    return RateLimitItemPerSecond(rate.amount, rate.seconds)


def _words(rate: Rate) -> str:
    unit = _UNITS.get(rate.seconds, f"in {rate.seconds} s")
    return f"{rate.amount} request{'' if rate.amount == 1 else 's'} {unit}"


_UNITS = {1: "a second", 60: "a minute", 3600: "an hour", 86_400: "a day"}
