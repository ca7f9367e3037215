"""A live feed: what goes on, and the newest jobs, whenever they change.

However many clients follow one tenant, its events are made once, within a second after something was written; without
a client nothing is. They are made in a fixed share of the time, so that they come more seldom the more tenants are
followed and the busier the service is. A client that reads slowly misses events: the one it gets next is the newest.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import suppress
from typing import TypeAlias

from answerback.http.errors import RateLimited
from answerback.kernel.errors import StorageUnavailable, Unauthorized
from answerback.kernel.log import Log
from answerback.kernel.shared import Shared

EVERY_SECONDS = 1.0
"""How often it is looked whether anything was written."""
SETTLED_SECONDS = 3.0
"""For so long events are made again: overviews and reports of providers are shared, and may be older than the write."""
OLD_SECONDS = 10.0
"""When events are made although nothing was written: some of what they show changes with time alone."""
SHARE = 0.005
"""Of the time that making events may take, those of all tenants together, unless each has waited its turn:"""
MOST_APART_SECONDS = 2.0
"""so long for each tenant that is followed. What takes that long waits for others, and takes little itself."""
MAX_FEEDS = 1_000
MAX_FEEDS_OF_TENANT = 100

Events: TypeAlias = Mapping[str, bytes]
"""By their names, each as it is sent."""
Make: TypeAlias = Callable[[], Awaitable[Events]]
Version: TypeAlias = Callable[[], Awaitable[str]]
"""Another text as soon as something was written to the database."""
Pause: TypeAlias = Callable[[float], Awaitable[None]]


class _Channel:
    """The newest events of one name each, for those who read them."""

    def __init__(self, feeds: "Feeds", make: Make) -> None:
        self._feeds = feeds
        self._make = make
        self.readers = 0
        self.newest: dict[str, bytes] = {}
        self.looked = asyncio.Event()
        """Set after the next look, which puts another one in its place."""
        self._version: str | None = None
        """Of the database, before the newest events were made."""
        self._changed_at = self._due = self._old_at = float("-inf")
        self._running = asyncio.create_task(self._run())

    async def _run(self) -> None:
        while True:
            await self._look()
            self.wake()
            await self._feeds.pause(EVERY_SECONDS)

    async def _look(self) -> None:
        began = self._feeds.monotonic()
        if began < self._due:
            return
        try:
            version = await self._feeds.version.get()
            if version != self._version:
                self._changed_at = began
            elif self._changed_at + SETTLED_SECONDS <= began < self._old_at:
                return
            events = await self._make()
        except StorageUnavailable:
            return
        except Exception:
            # The feed goes on with what can be made later.
            self._feeds.log.exception("feed_broke")
        else:
            self._version, self._old_at = version, began + OLD_SECONDS
            self.newest |= {name: event for name, event in events.items() if self.newest.get(name) != event}
        self._due = began + self._feeds.apart(self._feeds.monotonic() - began)

    def wake(self) -> None:
        looked, self.looked = self.looked, asyncio.Event()
        looked.set()

    async def close(self) -> None:
        self._running.cancel()
        await asyncio.wait([self._running])


class Feeds:
    """The feeds that are open in this process. `monotonic` is in seconds; `pause` waits for so many."""

    def __init__(
        self, version: Version, log: Log, monotonic: Callable[[], float], pause: Pause = asyncio.sleep
    ) -> None:
        self.version = Shared(version, monotonic, EVERY_SECONDS / 2)
        self.log = log
        self.monotonic = monotonic
        self.pause = pause
        self._channels: dict[object, _Channel] = {}
        self._open: Counter[str] = Counter()
        self._closed = False

    def apart(self, took: float) -> float:
        """After which time events are made again that took so long."""
        return len(self._channels) * min(took / SHARE, MOST_APART_SECONDS)

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
        await self.version.close()

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
            self._channels[shown] = _Channel(self, make)
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
