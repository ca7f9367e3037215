"""How fast batch work begins: as fast as the event loop is on time, but slowly, one by one, beside live work.

A process has one event loop, and on SQLite one writer, and whatever runs there delays all else. Places are no measure
of that: with an LLM that answers soon, few jobs in flight keep both busy. So before each claim the loop is measured. On
time, claims bring a little more; late, half as many (additive increase, multiplicative decrease).

A live message that comes while a batch job takes a step waits for that step, and for as many as begin together. So
while there is live work, a claim brings one at most, and claims together no more than keeps batch work from standing
still: 50 a second made the slowest tenth of 100 live messages a second later by a tenth, 20 a second no later.
"""

import asyncio
from collections.abc import Awaitable, Callable

TICK_SECONDS = 0.02
"""The time between claims of a backlog."""
LATE_SECONDS = 0.002
"""An event loop that wakes a sleeper so much too late is busy."""
LEAST = 0.4
"""Jobs a claim: 20 a second, a twentieth of what one process answers at most. Beside live work, or late, no fewer."""
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
    """`live` is whether there is work that batch work must not delay. `late` takes its time, and returns how late the
    event loop is, in seconds."""

    def __init__(self, live: Callable[[], bool], late: Callable[[], Awaitable[float]] = lateness) -> None:
        self._live = live
        self._late = late
        self._at_once = LEAST
        self._credit = 1.0 - LEAST

    async def next(self) -> int:
        """How many the next claim may bring; where that is none, the one after it may."""
        on_time = await self._late() < LATE_SECONDS
        if self._live():
            self._at_once = LEAST
        elif on_time:
            self._at_once = min(self._at_once + INCREASE, MOST)
        else:
            self._at_once = max(self._at_once / 2, LEAST)
        self._credit += self._at_once
        whole = int(self._credit)
        self._credit -= whole
        return whole
