"""Waiting for the end of a job."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import TypeVar

from answerback.kernel.persistence import persist

T = TypeVar("T")

POLL_SECONDS = 0.25
"""How often a waiter looks for an end that no attempt of this process brought."""


class JobEnds:
    """Wakes those who wait for a job that this process ends; ends that come from elsewhere are found by polling."""

    def __init__(self) -> None:
        self._waiting: dict[str, set[asyncio.Event]] = {}

    def ended(self, job_id: str) -> None:
        """An attempt has ended the job, and that is committed."""
        for event in self._waiting.get(job_id, ()):
            event.set()

    async def wait(self, job_id: str, look: Callable[[], Awaitable[T | None]]) -> T:
        """What `look` returns once it is not None: it reads the job. While the database is away, the wait goes on.
        Raises what `look` raises."""
        event = asyncio.Event()
        waiting = self._waiting.setdefault(job_id, set())
        waiting.add(event)
        try:
            while True:
                # Before the look: an end that comes during it must lead to another.
                event.clear()
                if (found := await persist(look)) is not None:
                    return found
                with suppress(TimeoutError):
                    async with asyncio.timeout(POLL_SECONDS):
                        await event.wait()
        finally:
            waiting.discard(event)
            if not waiting:
                self._waiting.pop(job_id, None)
