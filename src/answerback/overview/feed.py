"""A live feed: what goes on, and the newest jobs, whenever they change.

However many clients follow one tenant, its events are made once, every two seconds; without a client nothing is. A
client that reads slowly misses events: the one it gets next is the newest.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import suppress
from typing import TypeAlias

from answerback.http.errors import RateLimited
from answerback.kernel.errors import StorageUnavailable, Unauthorized
from answerback.kernel.log import Log

EVERY_SECONDS = 2.0
MAX_FEEDS = 1_000
MAX_FEEDS_OF_TENANT = 100

Events: TypeAlias = Mapping[str, bytes]
"""By their names, each as it is sent."""
Make: TypeAlias = Callable[[], Awaitable[Events]]
Pause: TypeAlias = Callable[[float], Awaitable[None]]


class _Channel:
    """The newest events of one name each, for those who read them."""

    def __init__(self, make: Make, pause: Pause, log: Log) -> None:
        self._make = make
        self._pause = pause
        self._log = log
        self.readers = 0
        self.newest: dict[str, bytes] = {}
        self.looked = asyncio.Event()
        """Set after the next look, which puts another one in its place."""
        self._running = asyncio.create_task(self._run())

    async def _run(self) -> None:
        while True:
            await self._look()
            self.wake()
            await self._pause(EVERY_SECONDS)

    async def _look(self) -> None:
        try:
            events = await self._make()
        except StorageUnavailable:
            return
        except Exception:  # noqa: BLE001 - the feed goes on with what can be made later
            self._log.exception("feed_broke")
        else:
            self.newest |= {name: event for name, event in events.items() if self.newest.get(name) != event}

    def wake(self) -> None:
        looked, self.looked = self.looked, asyncio.Event()
        looked.set()

    async def close(self) -> None:
        self._running.cancel()
        await asyncio.wait([self._running])


class Feeds:
    """The feeds that are open in this process. `pause` waits for so many seconds."""

    def __init__(self, log: Log, pause: Pause = asyncio.sleep) -> None:
        self._log = log
        self._pause = pause
        self._channels: dict[object, _Channel] = {}
        self._open: Counter[str] = Counter()
        self._closed = False

    def open(
        self, tenant_id: str, shown: object, make: Make, check: Callable[[], Awaitable[None]]
    ) -> AsyncGenerator[bytes, None]:
        """A feed of the tenant: what `make` makes, the same for all feeds that are `shown` the same. It ends where
        `check` raises Unauthorized, at the next look at the latest, and with the service. Raises RateLimited where too
        many are open."""
        if self._full(tenant_id):
            raise RateLimited("too many feeds are open; close some, or try again later")
        return self._follow(tenant_id, shown, make, check)

    def _full(self, tenant_id: str) -> bool:
        return self._open[tenant_id] >= MAX_FEEDS_OF_TENANT or self._open.total() >= MAX_FEEDS

    async def close(self) -> None:
        """Ends all of them."""
        self._closed = True
        for channel in self._channels.values():
            channel.wake()

    async def _follow(
        self, tenant_id: str, shown: object, make: Make, check: Callable[[], Awaitable[None]]
    ) -> AsyncGenerator[bytes, None]:
        if self._full(tenant_id):
            # Others came between the request and its response.
            return
        channel = self._join(tenant_id, shown, make)
        sent: dict[str, bytes] = {}
        try:
            while not self._closed:
                # Before the events: what comes while they are sent must lead to another look at them.
                looked = channel.looked
                news = {name: event for name, event in channel.newest.items() if sent.get(name) is not event}
                if news:
                    await check()
                    sent |= news
                    # At once: each piece that is sent costs a write.
                    yield b"".join(news.values())
                else:
                    with suppress(StorageUnavailable):
                        await check()
                await looked.wait()
        except (Unauthorized, StorageUnavailable):
            return
        finally:
            await self._leave(tenant_id, shown, channel)

    def _join(self, tenant_id: str, shown: object, make: Make) -> _Channel:
        if shown not in self._channels:
            self._channels[shown] = _Channel(make, self._pause, self._log)
        channel = self._channels[shown]
        channel.readers += 1
        self._open[tenant_id] += 1
        return channel

    async def _leave(self, tenant_id: str, shown: object, channel: _Channel) -> None:
        channel.readers -= 1
        self._open[tenant_id] -= 1
        if not self._open[tenant_id]:
            del self._open[tenant_id]
        if not channel.readers:
            del self._channels[shown]
            await channel.close()
