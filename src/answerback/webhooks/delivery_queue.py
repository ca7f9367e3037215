"""How a worker pool reaches deliveries."""

from answerback.kernel.shares import Shares
from answerback.queue.leased_queue import Claims, Leases, owner_name
from answerback.webhooks.deliver import Deliverer, Origins
from answerback.webhooks.model import ClaimedDelivery
from answerback.webhooks.store import DeliveryStore


class DeliveryQueue:
    """Implements `LeasedQueue[ClaimedDelivery]`. Each claim holds a place at its origin until it has run."""

    name = "deliveries"
    # A worker that is cut off from the database could send a delivery after those behind it.
    outlasts_outages = False

    def __init__(self, store: DeliveryStore, deliverer: Deliverer, origins: Origins, lease_seconds: float) -> None:
        self._store = store
        self._deliverer = deliverer
        self._origins = origins
        self._lease_seconds = lease_seconds
        self._owner = owner_name()

    async def claim(self, limit: int, shares: Shares) -> Claims[ClaimedDelivery]:
        claims = await self._store.claim(self._owner, limit, self._lease_seconds, self._origins.look, shares)
        for claim in claims.deliveries:
            self._origins.began(claim.key, claim.late, claim.early)
        for key in claims.drained:
            self._origins.drained(key)
        return Claims(claims.deliveries, claims.next_in, claims.held_back)

    async def run(self, claim: ClaimedDelivery) -> None:
        await self._deliverer.run(claim)

    async def extend(self, held: Leases) -> set[str]:
        return await self._store.extend(held, self._lease_seconds)

    async def release(self, held: Leases) -> None:
        await self._store.release(held)
