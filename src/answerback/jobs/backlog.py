"""How many jobs are open, as one process knows it: counted now and then, and kept up by what it does itself."""

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable

from answerback.database.operation import Transaction
from answerback.kernel.errors import StorageUnavailable

RECOUNT_SECONDS = 5.0
"""Other processes open and end jobs too."""
RECOUNT_SHARE = 0.02
"""How much of its time a database may spend counting, when a million wait."""


class Backlog:
    """The number that accepting goes by, so that it needs no count. Only the runner of transactions touches it."""

    def __init__(self) -> None:
        self._size = 0

    def size(self) -> int:
        return self._size

    def reset(self, size: int) -> None:
        self._size = size

    def committed(self, transaction: Transaction) -> None:
        self._size += transaction.opened


class Recount:
    """Counts anew in a task of its own, when it is time."""

    def __init__(self, count: Callable[[], Awaitable[object]]) -> None:
        self._count = count
        self._due_at = time.monotonic() + RECOUNT_SECONDS
        self._task: asyncio.Task[None] | None = None

    def if_due(self) -> None:
        if time.monotonic() >= self._due_at and (self._task is None or self._task.done()):
            self._task = asyncio.create_task(self._run())

    async def close(self) -> None:
        if self._task is not None:
            await asyncio.wait([self._task])

    async def _run(self) -> None:
        began = time.monotonic()
        # The next accept reports that the database is away.
        with contextlib.suppress(StorageUnavailable):
            await self._count()
        now = time.monotonic()
        self._due_at = now + max(RECOUNT_SECONDS, (now - began) / RECOUNT_SHARE)
