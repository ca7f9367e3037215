"""Deliveries that are born claimed, by the transaction that ends their job: the callback is sent at once."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol, TypeVar

from answerback.queue.birth import Births, Inserted
from answerback.queue.leases import Offer
from answerback.queue.notifier import Notifier, Topic
from answerback.webhooks.deliver import Origins
from answerback.webhooks.model import ClaimedDelivery, OriginKey, origin_of


class Ended(Inserted, Protocol):
    """What the transaction returns: `owes`, there may be a delivery that is due; `held` are those behind another."""

    @property
    def owes(self) -> bool: ...
    @property
    def held(self) -> Sequence[object]: ...


T = TypeVar("T", bound=Ended | None)


class DeliveryBirths:
    """Offers places in the worker pool for deliveries whose origin has room, too."""

    def __init__(self, births: Births[ClaimedDelivery], origins: Origins, notifier: Notifier) -> None:
        self._births = births
        self._origins = origins
        self._notifier = notifier

    async def insert(
        self, tenant_id: str, callback_url: str | None, insert: Callable[[Offer | None], Awaitable[T]]
    ) -> T:
        """As `Births.insert`, for the delivery to the URL of a request."""
        if callback_url is None:
            return await insert(None)
        key = OriginKey(tenant_id, origin_of(callback_url))

        async def insert_there(offer: Offer | None) -> T:
            if offer is None or not self._origins.reserve(key):
                return await insert(None)
            claim, behind = None, False
            try:
                inserted = await insert(offer)
                if inserted is not None:
                    claim, behind = inserted.claim, inserted.owes and not inserted.held
            finally:
                if claim is None:
                    if self._origins.give_back(key, behind=behind):
                        self._notifier.wake(Topic.DELIVERIES)
                else:
                    self._origins.began(key, claim.late, reserved=True)
            return inserted

        return await self._births.insert(tenant_id, insert_there)
