"""Writing what a process has counted in memory: every so often, and once more at its end."""

import asyncio
from collections.abc import Awaitable, Callable

LAST_SECONDS = 0.5
"""How long an end waits for the database: a supervisor kills a process that takes long to stop."""


class LateWrites:
    """`write` is called every `seconds`; it keeps for the next time what it could not write."""

    def __init__(self, write: Callable[[], Awaitable[None]], seconds: float) -> None:
        self._write = write
        self._seconds = seconds
        self._running: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._running = asyncio.create_task(self._run())

    async def close(self) -> bool:
        """Writes for the last time; whether that ended in time."""
        if self._running is not None:
            self._running.cancel()
            await asyncio.wait([self._running], timeout=LAST_SECONDS)
        try:
            async with asyncio.timeout(LAST_SECONDS):
                await self._write()
        except TimeoutError:
            return False
        return True

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(self._seconds)
            await self._write()
