"""The receivers of all tenants, for operators: those of each, merged, and read seldom where that takes long."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from answerback.kernel.shared import Shared
from answerback.webhooks.receivers.summary import MAX_RECEIVERS, Receiver
from answerback.webhooks.store import DeliveryStore

FRESH_SECONDS = 2.0
SHARE = 0.01
"""Of the time that reading may take, however many tenants there are."""

Tenants = Callable[[], Awaitable[Sequence[str]]]
"""The ids of all tenants that have jobs. Raises InvalidField where those are too many."""


@dataclass(frozen=True, slots=True)
class ReceiverOfTenant:
    tenant_id: str
    receiver: Receiver


class EveryReceiver:
    """Reads them for all who ask together. `monotonic` is in seconds."""

    def __init__(self, store: DeliveryStore, tenants: Tenants, monotonic: Callable[[], float]) -> None:
        self._store = store
        self._tenants = tenants
        self._shared = Shared(self._read, monotonic, FRESH_SECONDS, SHARE)

    async def get(self) -> Sequence[ReceiverOfTenant]:
        """Those that are owed most first. Raises InvalidField, StorageUnavailable."""
        return await self._shared.get()

    async def close(self) -> None:
        await self._shared.close()

    async def _read(self) -> Sequence[ReceiverOfTenant]:
        # One tenant after the other, so that other reads come between.
        found = [
            ReceiverOfTenant(tenant_id, each)
            for tenant_id in await self._tenants()
            for each in await self._store.receivers(tenant_id)
        ]
        return sorted(found, key=lambda each: each.receiver.owed, reverse=True)[:MAX_RECEIVERS]
