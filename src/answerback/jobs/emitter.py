"""Emitting: what a run says before its end."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from answerback.jobs.events import JobEvents
from answerback.jobs.kind import Claimed
from answerback.kernel.persistence import persist
from answerback.kernel.timed_wait import set_within

GATHER_SECONDS = 0.1
"""How long events gather for the next commit of their job; the first one does not wait."""


class Emitter:
    """Numbers the events of one run from `first`, and stores them in groups."""

    def __init__(self, events: JobEvents, claim: Claimed[Any], first: int) -> None:
        self._events = events
        self._claim = claim
        self._stored = first - 1
        self._waiting: list[bytes] = []
        self._some = asyncio.Event()
        self._ended = asyncio.Event()
        self.next = first
        """The number of the next event."""

    def emit(self, event: bytes) -> None:
        """Never waits, and never raises: what a run that has lost its lease emits is dropped."""
        self.next += 1
        self._waiting.append(event)
        self._some.set()

    def end(self) -> None:
        self._ended.set()
        self._some.set()

    async def store(self) -> None:
        """Returns once all is stored after the `end`, or the lease is lost."""
        while await self._some.wait():
            self._some.clear()
            group, self._waiting = self._waiting, []
            if group and not await self._append(group):
                return
            if self._ended.is_set() and not self._waiting:
                return
            await set_within(self._ended, GATHER_SECONDS)

    async def _append(self, group: list[bytes]) -> bool:
        self._stored, data = self._stored + len(group), b"".join(group)
        held = await persist(lambda: self._events.append(self._claim, self._stored, data))
        if held and not self._ended.is_set():
            # The last group comes with the end of the run, which wakes the readers too.
            self._events.moves.moved(self._claim.id)
        return held


@asynccontextmanager
async def emitting(events: JobEvents, claim: Claimed[Any], first: int) -> AsyncIterator[Emitter]:
    """All that was emitted is stored when the block ends, also by an error; a run that is cancelled leaves the rest to
    the next one."""
    emitter = Emitter(events, claim, first)
    storing = asyncio.create_task(emitter.store())
    try:
        try:
            yield emitter
        except Exception:
            emitter.end()
            await storing
            raise
        emitter.end()
        await storing
    finally:
        storing.cancel()
        await asyncio.gather(storing, return_exceptions=True)
