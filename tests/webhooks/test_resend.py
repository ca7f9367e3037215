"""Resending: the same body under the same id once more."""

import pytest

from answerback.jobs.store import SqlStore
from answerback.kernel.errors import Conflict, NotFound
from answerback.testing.clock import FakeClock
from builders import REPORT, TENANT, claim_deliveries, claim_delivery, ended_job, owed_delivery
from databases import Database


@pytest.mark.parametrize("settle", ["delivered", "dead"])
async def test_a_settled_delivery_is_resent_with_the_same_id_and_body_on_a_schedule_of_its_own(
    store: SqlStore, clock: FakeClock, settle: str
) -> None:
    await ended_job(store)
    for _ in range(3):
        first = await claim_delivery(store)
        await store.send_later(first, 1.0, REPORT)
        clock.advance(1)
    await getattr(store, settle)(await claim_delivery(store), REPORT)
    clock.advance(1_000)

    resent = await store.resend_delivery(TENANT, first.id)

    assert (resent.state, resent.attempt, len(resent.attempts)) == ("pending", 0, 4)
    again = await claim_delivery(store)
    assert (again.id, again.body, again.attempt) == (first.id, first.body, 1)
    assert again.deadline_at == first.deadline_at + 1_003_000


@pytest.mark.parametrize("settle", ["send_later", "dead"])
async def test_a_resend_that_fails_does_not_undo_the_delivery(store: SqlStore, clock: FakeClock, settle: str) -> None:
    claim = await owed_delivery(store)
    delivered_at = clock.now()
    await store.delivered(claim, REPORT)
    clock.advance(1)
    await store.resend_delivery(TENANT, claim.id)

    again = await claim_delivery(store)
    assert await (store.dead(again, REPORT) if settle == "dead" else store.send_later(again, 5.0, REPORT))

    delivery = (await store.get_job(TENANT, claim.job_id)).delivery
    assert delivery is not None
    assert delivery.delivered_at == delivered_at


async def test_a_delivery_under_way_cannot_be_resent(store: SqlStore) -> None:
    claim = await owed_delivery(store)

    with pytest.raises(Conflict):
        await store.resend_delivery(TENANT, claim.id)


async def test_one_that_is_held_cannot_be_resent(store: SqlStore, database: Database) -> None:
    await ended_job(store)
    await ended_job(store)
    ((held,),) = await database.rows("SELECT id FROM deliveries WHERE state = 'held'")

    with pytest.raises(Conflict, match="goes out after it"):
        await store.resend_delivery(TENANT, held)


async def test_another_tenants_is_not_found(store: SqlStore) -> None:
    claim = await owed_delivery(store)

    with pytest.raises(NotFound):
        await store.resend_delivery("tenant-b", claim.id)


async def test_a_delivery_waiting_for_another_try_goes_out_at_once_when_resent(store: SqlStore) -> None:
    claim = await owed_delivery(store)
    await store.send_later(claim, 300.0, REPORT)

    await store.resend_delivery(TENANT, claim.id)

    assert (await claim_delivery(store)).id == claim.id


async def test_a_resend_is_outside_the_order_of_the_conversation(store: SqlStore) -> None:
    claim = await owed_delivery(store)
    await store.delivered(claim, REPORT)
    second = await ended_job(store)

    await store.resend_delivery(TENANT, claim.id)

    assert {each.job_id for each in await claim_deliveries(store)} == {claim.job_id, second}
