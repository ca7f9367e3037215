"""Work that holds the event loop for long, such as decoding megabytes."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

HEAVY_BYTES = 256 * 1024
"""From how many bytes on a document is heavy: fewer are decoded within a millisecond or two."""


class HeavyWork:
    """One heavy document at a time, and behind each as much time for everything else: twenty that come at once would
    hold up all others for a second. Used in one event loop."""

    def __init__(self) -> None:
        self._turn = asyncio.Lock()

    @asynccontextmanager
    async def on(self, size: int) -> AsyncIterator[None]:
        """Surrounds the work on a document of as many bytes."""
        if size < HEAVY_BYTES:
            yield
            return
        await self._turn.acquire()
        loop = asyncio.get_running_loop()
        began = loop.time()
        try:
            yield
        finally:
            loop.call_later(loop.time() - began, self._turn.release)
