"""When keys were last used: remembered as requests come, written at most once a minute."""

from answerback.accounts.store import AccountStore
from answerback.kernel.clock import Clock
from answerback.kernel.errors import StorageUnavailable
from answerback.kernel.late_writes import LateWrites

WRITE_SECONDS = 60.0


class KeyUses:
    """The uses of keys that this process has seen and not yet written."""

    def __init__(self, store: AccountStore, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._used: dict[str, int] = {}
        self._writes = LateWrites(self.write, WRITE_SECONDS)

    def seen(self, key_id: str) -> None:
        self._used[key_id] = self._clock.now()

    def start(self) -> None:
        self._writes.start()

    async def close(self) -> None:
        await self._writes.close()

    async def write(self) -> None:
        """Keeps them for the next time while the database is away."""
        used, self._used = self._used, {}
        if not used:
            return
        try:
            await self._store.note_use(used)
        except StorageUnavailable:
            self._used = used | self._used
