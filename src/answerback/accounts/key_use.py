"""When keys were last used: remembered as requests come, written at most once a minute."""

import asyncio

from answerback.accounts.store import AccountStore
from answerback.kernel.clock import Clock
from answerback.kernel.errors import StorageUnavailable

WRITE_SECONDS = 60.0
LAST_SECONDS = 0.5
"""How long an end waits for the database: a supervisor kills a process that takes long to stop."""


class KeyUses:
    """The uses of keys that this process has seen and not yet written."""

    def __init__(self, store: AccountStore, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._used: dict[str, int] = {}
        self._running: asyncio.Task[None] | None = None

    def seen(self, key_id: str) -> None:
        self._used[key_id] = self._clock.now()

    def start(self) -> None:
        self._running = asyncio.create_task(self._run())

    async def close(self) -> None:
        if self._running is not None:
            self._running.cancel()
            await asyncio.wait([self._running], timeout=LAST_SECONDS)
        await asyncio.wait([asyncio.create_task(self.write())], timeout=LAST_SECONDS)

    async def write(self) -> None:
        """Keeps them for the next time while the database is away."""
        used, self._used = self._used, {}
        if not used:
            return
        try:
            await self._store.note_use(used)
        except StorageUnavailable:
            self._used = used | self._used

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(WRITE_SECONDS)
            await self.write()
