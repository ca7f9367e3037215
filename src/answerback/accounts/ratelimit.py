"""How many requests a caller may make: exact, counted in a moving window, shown in headers."""

import math
from collections import deque
from collections.abc import Callable
from ipaddress import IPv6Address, ip_address, ip_network
from typing import Protocol

from starlette.requests import Request

from answerback.http.errors import NO_RETRY, RateLimited, rate_headers
from answerback.http.headers import set_headers
from answerback.http.upstream import SDK_PATIENCE_SECONDS
from answerback.kernel.rate import Rate, Standing

IDLE_SWEEP_EVERY = 4096
"""How many requests are admitted between two searches for callers that no longer need to be remembered."""


class Rates(Protocol):
    """Counts the requests of callers, each by a rate."""

    async def hit(self, caller: str, rate: Rate, count: int = 1) -> Standing:
        """Counts so many more, if the rate admits them all. Raises nothing."""


class MovingWindows:
    """Implements `Rates` in this process's memory, exact without a lock, because nothing here awaits. `now` is in
    seconds, by a clock that never jumps."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._times: dict[tuple[str, Rate], deque[float]] = {}
        self._until_sweep = IDLE_SWEEP_EVERY

    async def hit(self, caller: str, rate: Rate, count: int = 1) -> Standing:
        return self.count(caller, rate, count)

    def count(self, caller: str, rate: Rate, count: int) -> Standing:
        """As `hit`, where no event loop runs."""
        now = self._now()
        times = self._times.setdefault((caller, rate), deque())
        while times and times[0] <= now - rate.seconds:
            times.popleft()
        short = len(times) + count - rate.amount
        admitted = short <= 0
        if admitted:
            times.extend([now] * count)
            self._until_sweep -= 1
        # A refused one is admitted once as many have left as it is short of.
        leaving = times[min(max(short, 1), len(times)) - 1] if times else now
        standing = Standing(admitted, rate.amount - len(times), leaving - now + rate.seconds)
        if self._until_sweep <= 0:
            self._sweep(now)
        return standing

    def _sweep(self, now: float) -> None:
        self._times = {key: times for key, times in self._times.items() if times and times[-1] > now - key[1].seconds}
        self._until_sweep = max(IDLE_SWEEP_EVERY, len(self._times))


class RateLimiter:
    """Admits requests by their callers' rates; `default` is the rate of callers without one of their own, None for no
    limit."""

    def __init__(self, rates: Rates, default: Rate | None) -> None:
        self._rates = rates
        self.default = default

    async def admit(self, request: Request, caller: str, rate: Rate | None, count: int = 1) -> None:
        """Counts the request, or `count` calls that it makes, and adds to its response how many more would be admitted.
        Raises RateLimited."""
        if rate is None or count == 0:
            return
        standing = await self._rates.hit(caller, rate, count)
        seconds = max(1, math.ceil(standing.seconds))
        set_headers(request, rate_headers(rate.amount, max(0, standing.remaining), seconds))
        if standing.admitted:
            return
        if count > rate.amount:
            set_headers(request, NO_RETRY)
            raise RateLimited(f"it makes more calls than your rate ever admits, {_words(rate)}; make fewer at once")
        set_headers(request, {"Retry-After": str(seconds)})
        if seconds > SDK_PATIENCE_SECONDS:
            set_headers(request, NO_RETRY)
        raise RateLimited(f"more than {_words(rate)}; try again in {seconds} s")


def address_of(request: Request) -> str:
    """The address that a request without a key counts for; of IPv6 the /64 network, which belongs to one subscriber.
    Whatever a proxy names that is no address counts as one: there is no end of such names."""
    host = request.client.host if request.client else ""
    try:
        address = ip_address(host.partition("%")[0])
    except ValueError:
        return "unknown"
    if isinstance(address, IPv6Address):
        return str(address.ipv4_mapped or ip_network((address, 64), strict=False))
    return str(address)


def _words(rate: Rate) -> str:
    unit = _UNITS.get(rate.seconds, f"in {rate.seconds} s")
    return f"{rate.amount} request{'' if rate.amount == 1 else 's'} {unit}"


_UNITS = {1: "a second", 60: "a minute", 3600: "an hour", 86_400: "a day"}
