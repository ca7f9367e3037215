"""The place that is taken at an origin for a delivery that may be born claimed."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, cast

import pytest

from answerback.queue.birth import Births
from answerback.queue.leases import Offer
from answerback.webhooks.birth import DeliveryBirths
from answerback.webhooks.model import ClaimedDelivery
from builders import TENANT, URL, Notifier, StubOrigins


@dataclass
class Ended:
    owes: bool
    held: tuple[object, ...] = ()
    claim: Any = None


class Offering:
    """A worker pool that has room."""

    async def insert(self, tenant_id: str, insert: Callable[[Offer | None], Awaitable[Any]]) -> Any:
        return await insert(Offer("worker", 60.0))


@pytest.mark.parametrize(
    ("ended", "behind"),
    [(Ended(owes=True), True), (Ended(owes=True, held=("a delivery",)), False), (Ended(owes=False), False)],
    ids=["others are due in front", "behind one of its conversation", "none is owed"],
)
async def test_it_is_given_back_with_why_it_was_not_needed(ended: Ended, behind: bool) -> None:
    origins = StubOrigins()
    births = DeliveryBirths(cast(Births[ClaimedDelivery], Offering()), origins, Notifier())

    async def end(offer: Offer | None) -> Ended:
        assert offer is not None
        return ended

    await births.insert(TENANT, URL, end)

    assert (origins.behind, origins.reserved) == ([behind], 0)
