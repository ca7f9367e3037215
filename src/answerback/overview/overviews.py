"""The overview of each tenant that somebody looks at."""

import asyncio
from collections import OrderedDict
from collections.abc import Callable

from answerback.kernel.shared import Shared
from answerback.overview.model import Overview
from answerback.overview.store import OverviewStore

FRESH_SECONDS = 2.0
SHARE = 0.01
"""Of the time that reading may take, however many rows wait."""
MAX_TENANTS = 256
"""How many overviews are remembered."""


class Overviews:
    """Reads each overview at most every two seconds, however many ask for it. `monotonic` is in seconds."""

    def __init__(self, store: OverviewStore, monotonic: Callable[[], float]) -> None:
        self._store = store
        self._monotonic = monotonic
        self._shared: OrderedDict[str, Shared[Overview]] = OrderedDict()

    async def of(self, tenant_id: str) -> Overview:
        """Of one tenant, or of `ALL_TENANTS`. Raises StorageUnavailable."""
        shared = self._shared.get(tenant_id)
        if shared is None:
            self._forget()
            shared = Shared(lambda: self._store.overview(tenant_id), self._monotonic, FRESH_SECONDS, SHARE)
            self._shared[tenant_id] = shared
        self._shared.move_to_end(tenant_id)
        return await shared.get()

    async def close(self) -> None:
        await asyncio.gather(*(shared.close() for shared in self._shared.values()))

    def _forget(self) -> None:
        """Makes room: what was not asked for longest, unless it is being read."""
        for tenant_id, shared in tuple(self._shared.items()):
            if len(self._shared) < MAX_TENANTS:
                return
            if not shared.busy:
                del self._shared[tenant_id]
