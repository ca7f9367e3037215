"""Documents of megabytes: they hold memory while they come, and the event loop while they are decoded."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext

HEAVY_BYTES = 256 * 1024
"""From how many bytes on a document is heavy: fewer are decoded within a millisecond or two."""

_LIGHT = nullcontext()

REST = 2.0
"""How much time for everything else is behind work on a heavy document, as a multiple of its own."""

MOST_HELD_BYTES = 128 * 1024 * 1024
"""Of all heavy documents that are being received: four of the largest."""


class HeldBytes:
    """What heavy documents hold until they are released. Beyond `most` bytes only the first that came goes on, which
    ends; what the others wait for stays at their servers. Used in one event loop."""

    def __init__(self, most: int = MOST_HELD_BYTES) -> None:
        self._most = most
        self._sizes: dict[object, int] = {}
        self._total = 0
        self._less: asyncio.Event | None = None

    async def hold(self, holder: object, size: int) -> None:
        """`holder` has so many bytes now; returns once it may take more."""
        self._total += size - self._sizes.get(holder, 0)
        self._sizes[holder] = size
        while self._total > self._most and next(iter(self._sizes)) is not holder:
            self._less = self._less or asyncio.Event()
            await self._less.wait()

    def release(self, holder: object) -> None:
        self._total -= self._sizes.pop(holder, 0)
        if self._less is not None:
            self._less.set()
            self._less = None


class HeavyWork:
    """One heavy document at a time, and behind each twice as much time for everything else: twenty that come at once
    would hold up all others for a second. `held` is what all of them hold. Used in one event loop."""

    def __init__(self) -> None:
        self._turn = asyncio.Lock()
        self.held = HeldBytes()

    def on(self, size: int) -> AbstractAsyncContextManager[None]:
        """Surrounds the work on a document of as many bytes."""
        return _LIGHT if size < HEAVY_BYTES else self._alone()

    @asynccontextmanager
    async def _alone(self) -> AsyncIterator[None]:
        await self._turn.acquire()
        loop = asyncio.get_running_loop()
        began = loop.time()
        try:
            yield
        finally:
            loop.call_later(REST * (loop.time() - began), self._turn.release)
