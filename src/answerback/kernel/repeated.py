"""Work that a process does again and again beside everything else."""

import asyncio
from collections.abc import Awaitable, Callable


class Repeated:
    """`work` is done at the start, and again after as many seconds as it returns."""

    def __init__(self, work: Callable[[], Awaitable[float]]) -> None:
        self._work = work
        self._running: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._running = asyncio.create_task(self._run())

    async def close(self) -> None:
        if self._running is not None:
            self._running.cancel()
            await asyncio.wait([self._running])

    async def _run(self) -> None:
        while True:
            seconds = await self._work()
            await asyncio.sleep(seconds)
