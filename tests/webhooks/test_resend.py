"""Resending: the same body under the same id once more."""

import pytest
from owing import COMPLETED, claim, owe, record_of

from answerback.kernel.errors import Conflict, NotFound
from answerback.testing.clock import FakeClock
from builders import REPORT, TENANT, claim_deliveries, claim_delivery, ended_job, owed_delivery
from databases import Database
from stores import Stores


@pytest.mark.parametrize("settle", ["delivered", "dead"])
async def test_a_settled_delivery_is_resent_with_the_same_id_and_body_on_a_schedule_of_its_own(
    stores: Stores, clock: FakeClock, settle: str
) -> None:
    await ended_job(stores)
    for _ in range(3):
        first = await claim_delivery(stores)
        await stores.deliveries.send_later(first, 1.0, REPORT)
        clock.advance(1)
    await getattr(stores.deliveries, settle)(await claim_delivery(stores), REPORT)
    clock.advance(1_000)

    resent = await stores.deliveries.resend(TENANT, first.id)

    assert (resent.state, resent.attempt, len(resent.attempts)) == ("pending", 0, 4)
    again = await claim_delivery(stores)
    assert (again.id, again.body, again.attempt) == (first.id, first.body, 1)
    assert again.deadline_at == first.deadline_at + 1_003_000


@pytest.mark.parametrize("settle", ["send_later", "dead"])
async def test_a_resend_that_fails_does_not_undo_the_delivery(stores: Stores, clock: FakeClock, settle: str) -> None:
    claim = await owed_delivery(stores)
    delivered_at = clock.now()
    await stores.deliveries.delivered(claim, REPORT)
    clock.advance(1)
    await stores.deliveries.resend(TENANT, claim.id)

    again = await claim_delivery(stores)
    if settle == "dead":
        assert await stores.deliveries.dead(again, REPORT)
    else:
        assert await stores.deliveries.send_later(again, 5.0, REPORT)

    assert (await record_of(stores, claim)).delivered_at == delivered_at


async def test_a_delivery_under_way_cannot_be_resent(stores: Stores) -> None:
    claim = await owed_delivery(stores)

    with pytest.raises(Conflict):
        await stores.deliveries.resend(TENANT, claim.id)


@pytest.mark.parametrize("settle", ["delivered", "dead"])
async def test_one_of_an_endpoint_that_was_deleted_cannot_be_resent(stores: Stores, settle: str) -> None:
    endpoint = await stores.endpoints.create(TENANT, "mine", "https://mine.example/hook", [COMPLETED])
    await owe(stores, 1)
    (event,) = (each for each in (await claim(stores)).deliveries if each.endpoint_id == endpoint.id)
    await getattr(stores.deliveries, settle)(event, REPORT)
    await stores.endpoints.delete(TENANT, endpoint.id)

    with pytest.raises(Conflict, match="endpoint was deleted; there is nothing left to send to"):
        await stores.deliveries.resend(TENANT, event.id)


async def test_one_that_is_held_cannot_be_resent(stores: Stores, database: Database) -> None:
    await ended_job(stores)
    await ended_job(stores)
    ((held,),) = await database.rows("SELECT id FROM deliveries WHERE state = 'held'")

    with pytest.raises(Conflict, match="goes out after it"):
        await stores.deliveries.resend(TENANT, held)


async def test_another_tenants_is_not_found(stores: Stores) -> None:
    claim = await owed_delivery(stores)

    with pytest.raises(NotFound):
        await stores.deliveries.resend("tenant-b", claim.id)


async def test_a_delivery_waiting_for_another_try_goes_out_at_once_when_resent(stores: Stores) -> None:
    claim = await owed_delivery(stores)
    await stores.deliveries.send_later(claim, 300.0, REPORT)

    await stores.deliveries.resend(TENANT, claim.id)

    assert (await claim_delivery(stores)).id == claim.id


async def test_a_resend_is_outside_the_order_of_the_conversation(stores: Stores) -> None:
    claim = await owed_delivery(stores)
    await stores.deliveries.delivered(claim, REPORT)
    second = await ended_job(stores)

    await stores.deliveries.resend(TENANT, claim.id)

    assert {each.job_id for each in await claim_deliveries(stores)} == {claim.job_id, second}
