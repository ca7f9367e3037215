"""One process's count of open jobs: counted in the database now and then, and changed by its own transactions."""

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping

from answerback.database.operation import Transaction
from answerback.kernel.errors import StorageUnavailable

RECOUNT_SECONDS = 5.0
"""Other processes open and end jobs too."""
RECOUNT_SHARE = 0.02
"""The share of time that counting may take, however many jobs wait."""


class Backlog:
    """The count that `accept` compares with the limit. Changed where transactions run, so that it needs no lock."""

    def __init__(self) -> None:
        self._sizes: Counter[str] = Counter()
        self._size = 0
        self._since: Counter[str] = Counter()
        """What transactions have changed since the count in the database began."""

    def size(self) -> int:
        return self._size

    def size_of(self, tenant_id: str) -> int:
        return self._sizes[tenant_id]

    def begin_count(self) -> None:
        """The open jobs are about to be counted in the database."""
        self._since = Counter()

    def counted(self, sizes: Mapping[str, int]) -> None:
        """What committed between `begin_count` and the count's snapshot counts twice, until the next count."""
        self._sizes = Counter(sizes)
        self._sizes.update(self._since)
        self._size = self._sizes.total()

    def committed(self, transaction: Transaction) -> None:
        for tenant_id, opened in transaction.opened.items():
            self._sizes[tenant_id] += opened
            self._since[tenant_id] += opened
            self._size += opened


class Recount:
    """Calls `count` in a task of its own when it is due."""

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
