"""How fast batch work begins: as fast as the event loop is on time, else at the least pace.

A process has one event loop, and whatever runs in it delays all else. Places are no measure of that: with an LLM that
answers soon, few jobs in flight keep the loop busy. So before each claim the loop is measured. On time, claims bring a
little more; late, half as many (additive increase, multiplicative decrease).
"""

import asyncio
from collections.abc import Awaitable, Callable

TICK_SECONDS = 0.02
"""The time between claims of a backlog."""
LATE_SECONDS = 0.002
"""An event loop that wakes a sleeper so much too late is busy."""
LEAST = 0.4
"""Jobs a claim: 20 a second, a twentieth of what one process answers at most."""
INCREASE = 0.02
"""A second of claims in time brings 50 jobs a second more: what they cost shows when their LLM answers."""
MOST = 20.0
"""1,000 a second, more than a process answers."""


async def lateness() -> float:
    """Sleeps for a tick; returns how many seconds too late the event loop woke it."""
    loop = asyncio.get_running_loop()
    due_at = loop.time() + TICK_SECONDS
    await asyncio.sleep(TICK_SECONDS)
    return loop.time() - due_at


class Pace:
    """`late` takes its time, and returns how late the event loop is, in seconds."""

    def __init__(self, late: Callable[[], Awaitable[float]] = lateness) -> None:
        self._late = late
        self._at_once = LEAST
        self._credit = 1.0

    async def next(self) -> int:
        """How many the next claim may bring; where that is none, the one after it may."""
        if await self._late() < LATE_SECONDS:
            self._at_once = min(self._at_once + INCREASE, MOST)
        else:
            self._at_once = max(self._at_once / 2, LEAST)
        self._credit = min(self._credit, 1.0) + self._at_once
        whole = int(self._credit)
        self._credit -= whole
        return whole
