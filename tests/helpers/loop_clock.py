"""The time of an event loop, as a test sets it."""

import asyncio

import pytest


class LoopClock:
    """The time of this event loop, which `moves` sets: no timer waits for longer."""

    def __init__(self, loop: asyncio.AbstractEventLoop, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 0.0
        monkeypatch.setattr(loop, "time", lambda: self.now)

    async def moves(self, seconds: float) -> None:
        """In steps of half a second."""
        await self._settles()
        for _ in range(round(seconds * 2)):
            self.now += 0.5
            await self._settles()

    async def flies(self) -> None:
        """Moves on as fast as the event loop turns, until it is cancelled."""
        while True:
            await self.moves(0.5)

    async def _settles(self) -> None:
        for _ in range(10):
            await asyncio.sleep(0)
