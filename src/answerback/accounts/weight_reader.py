"""The tenants' weights, as every process knows them: what is short is shared by them where it is short."""

import asyncio

from answerback.accounts.store import AccountStore
from answerback.kernel.errors import StorageUnavailable
from answerback.kernel.shares import Weights

EVERY_SECONDS = 60.0
SOON_SECONDS = 5.0
"""After a read that failed."""


class WeightReader:
    """Reads them into `weights`, now and every minute."""

    def __init__(self, store: AccountStore, weights: Weights) -> None:
        self._store = store
        self._weights = weights
        self._running: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._running = asyncio.create_task(self._run())

    async def close(self) -> None:
        if self._running is not None:
            self._running.cancel()
            await asyncio.wait([self._running])

    async def _run(self) -> None:
        while True:
            try:
                self._weights.set(await self._store.weights())
            except StorageUnavailable:
                # An outage is in the log already; the weights that were last read stay.
                await asyncio.sleep(SOON_SECONDS)
            else:
                await asyncio.sleep(EVERY_SECONDS)
