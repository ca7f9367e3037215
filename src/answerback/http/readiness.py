"""Whether the service can take work, asked however often."""

import asyncio
from collections.abc import Awaitable, Callable

from answerback.kernel.errors import StorageUnavailable
from answerback.kernel.shared import Shared

FRESH_SECONDS = 1.0
"""How long an answer is given again."""
PROVEN_SECONDS = 30.0
"""How long a write proves that the database takes writes; in between a transaction without one has to do,
unless a write has failed since."""
PATIENCE_SECONDS = 2.0
"""How long the database may take to answer: probes give up soon."""

Check = Callable[[], Awaitable[None]]
"""Raises StorageUnavailable."""


class Readiness:
    """`look` begins a transaction and writes nothing; `prove` writes. `failed_writes` is how many of all writes the
    database has refused."""

    def __init__(
        self,
        look: Check,
        prove: Check,
        failed_writes: Callable[[], int],
        engine_healthy: Callable[[], bool],
        monotonic: Callable[[], float],
    ) -> None:
        self._look = look
        self._prove = prove
        self._failed_writes = failed_writes
        self._engine_healthy = engine_healthy
        self._monotonic = monotonic
        self._answer = Shared(self._ask, monotonic, FRESH_SECONDS)
        self._proven_until = float("-inf")
        self._failed_before = 0

    async def trouble(self) -> str | None:
        """Why the service can take no work now; None if it can."""
        return await self._answer.get()

    async def _ask(self) -> str | None:
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                failed = self._failed_writes()
                if failed == self._failed_before and self._monotonic() < self._proven_until:
                    await self._look()
                else:
                    await self._prove()
                    # What failed while it was proving counts: the next probe proves again.
                    self._failed_before = failed
                    self._proven_until = self._monotonic() + PROVEN_SECONDS
        except (StorageUnavailable, TimeoutError):
            self._proven_until = float("-inf")
            return "the database does not take writes now"
        return None if self._engine_healthy() else "the engine is not running"
