"""Waiting for a job to move on: to emit, or to end."""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from answerback.kernel.persistence import persist
from answerback.kernel.timed_wait import set_within

T = TypeVar("T")

POLL_SECONDS = 0.25
"""How often a waiter looks for what another process has done."""


class JobMoves:
    """Wakes those who wait for a job that this process moves on; what others do is found by polling."""

    def __init__(self) -> None:
        self._watching: defaultdict[str, set[asyncio.Event]] = defaultdict(set)

    def moved(self, job_id: str) -> None:
        """The job has emitted, or a run of it has ended, and that is committed."""
        for each in self._watching.get(job_id, ()):
            each.set()

    @contextmanager
    def watching(self, job_id: str) -> Iterator[asyncio.Event]:
        """An event that is set when the job has moved on in this process."""
        moved = asyncio.Event()
        self._watching[job_id].add(moved)
        try:
            yield moved
        finally:
            self._watching[job_id].discard(moved)
            if not self._watching[job_id]:
                del self._watching[job_id]

    async def until(self, job_id: str, look: Callable[[], Awaitable[T | None]]) -> T:
        """What `look` returns once it is not None: it reads the job. While the database is away, the wait goes on.
        Raises what `look` raises."""
        with self.watching(job_id) as moved:
            while True:
                # Before the look: a move that comes during it must lead to another.
                moved.clear()
                if (found := await persist(look)) is not None:
                    return found
                await set_within(moved, POLL_SECONDS)
