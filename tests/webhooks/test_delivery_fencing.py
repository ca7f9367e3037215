"""Every write of a delivery is fenced by the epoch of its claim."""

from collections.abc import Awaitable, Callable

import pytest

from answerback.testing.clock import FakeClock
from answerback.webhooks.model import ClaimedDelivery
from builders import LEASE, REPORT, claim_delivery, owed_delivery
from databases import Database
from stores import Stores

Write = Callable[[Stores, ClaimedDelivery], Awaitable[object]]

WRITES: dict[str, Write] = {
    "delivered": lambda stores, claim: stores.deliveries.delivered(claim, REPORT),
    "send_later": lambda stores, claim: stores.deliveries.send_later(claim, 5.0, REPORT),
    "dead": lambda stores, claim: stores.deliveries.dead(claim, REPORT),
    "extend": lambda stores, claim: stores.deliveries.extend([(claim.id, claim.epoch)], LEASE),
}
writes = pytest.mark.parametrize("write", WRITES.values(), ids=WRITES)


@writes
async def test_a_holder_may_write_until_its_row_is_taken(stores: Stores, clock: FakeClock, write: Write) -> None:
    claim = await owed_delivery(stores)
    clock.advance(LEASE * 3)

    assert await write(stores, claim)
    assert await stores.deliveries.recover() == 0


@writes
async def test_a_delivery_cannot_be_written_once_its_lease_was_taken_away(
    stores: Stores, database: Database, clock: FakeClock, write: Write
) -> None:
    claim = await owed_delivery(stores)
    clock.advance(LEASE)
    assert await stores.deliveries.recover() == 1
    before = await database.dump()

    assert not await write(stores, claim)
    assert await database.dump() == before


@writes
async def test_a_delivery_cannot_be_written_by_an_earlier_holder(
    stores: Stores, database: Database, clock: FakeClock, write: Write
) -> None:
    stale = await owed_delivery(stores)
    clock.advance(LEASE)
    assert await stores.deliveries.recover() == 1
    current = await claim_delivery(stores)
    before = await database.dump()

    assert not await write(stores, stale)
    await stores.deliveries.release([(stale.id, stale.epoch)])
    assert await database.dump() == before
    assert await write(stores, current)
