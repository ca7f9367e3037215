"""What becomes of deliveries that nothing else would move: lost leases, deadlines, orphans, what is given back."""

import pytest
from owing import DEAD, claim, owe, record_of, urls

from answerback.testing.clock import FakeClock
from answerback.webhooks.model import ClaimedDelivery
from builders import LEASE, REPORT, claim_deliveries, claim_delivery, owed_delivery
from databases import Database
from stores import Stores


def until_deadline(claimed: ClaimedDelivery, clock: FakeClock) -> float:
    return (claimed.deadline_at - clock.now()) / 1000


async def test_a_lost_delivery_is_sent_again_and_its_attempt_counts(stores: Stores, clock: FakeClock) -> None:
    lost = await owed_delivery(stores)
    clock.advance(LEASE)

    assert await stores.deliveries.recover() == 1

    again = await claim_delivery(stores)
    assert (again.id, again.body, again.attempt, again.epoch) == (lost.id, lost.body, 2, lost.epoch + 1)
    (attempt,) = (await record_of(stores, lost)).attempts
    assert (attempt.status, attempt.number, attempt.epoch, attempt.started_at) == ("lost", 1, lost.epoch, lost.at)


async def test_one_whose_lease_was_extended_meanwhile_is_not_lost(stores: Stores, clock: FakeClock) -> None:
    held = await owed_delivery(stores)
    clock.advance(LEASE)

    assert await stores.deliveries.extend([(held.id, held.epoch)], LEASE) == {held.id}

    assert await stores.deliveries.recover() == 0
    assert await stores.deliveries.delivered(held, REPORT)


async def test_a_delivery_that_loses_its_worker_past_its_deadline_is_dead(stores: Stores, clock: FakeClock) -> None:
    lost = await owed_delivery(stores)
    clock.advance(until_deadline(lost, clock))

    await stores.deliveries.recover()

    assert (await record_of(stores, lost)).state == "dead"


async def test_then_the_next_of_its_conversation_goes_out(stores: Stores, clock: FakeClock) -> None:
    await owe(stores, 2, session="s")
    lost = await claim_delivery(stores)
    clock.advance(until_deadline(lost, clock))

    await stores.deliveries.recover()

    assert (await claim_delivery(stores)).job_id != lost.job_id


async def test_what_a_closed_origin_never_lets_be_tried_ends_at_its_deadline_and_the_next_goes_on(
    stores: Stores, clock: FakeClock, database: Database
) -> None:
    await owe(stores, 1, DEAD, session="s")
    ((deadline,),) = await database.rows("SELECT deadline_at FROM deliveries")
    clock.advance(10)
    await owe(stores, 1, DEAD, session="s")
    clock.advance((deadline - clock.now()) / 1000 - 0.001)
    assert await stores.deliveries.expire(lambda _: True) == 0
    clock.advance(0.001)
    assert await stores.deliveries.expire(lambda _: False) == 0

    assert await stores.deliveries.expire(lambda key: key.origin == "https://dead.example:443") == 1

    states = "SELECT state FROM deliveries ORDER BY position"
    assert await database.rows(states) == [("dead",), ("pending",)]


async def test_what_is_held_behind_nothing_is_released(stores: Stores, database: Database) -> None:
    await owe(stores, 2, session="s")
    await owe(stores, 2, DEAD, session="s")
    await database.execute("DELETE FROM deliveries WHERE state = 'pending'")

    assert await stores.deliveries.release_orphans() == 2

    assert sorted(urls(await claim(stores))) == sorted([DEAD, "https://receiver.example/hook"])
    assert await stores.deliveries.release_orphans() == 0


async def test_what_is_given_back_is_due_at_once_and_its_attempt_does_not_count(stores: Stores) -> None:
    held = await owed_delivery(stores)

    await stores.deliveries.release([(held.id, held.epoch)])

    again = await claim_delivery(stores)
    assert (again.id, again.attempt, again.epoch) == (held.id, 1, held.epoch + 1)
    assert [each.status for each in (await record_of(stores, held)).attempts] == ["released"]


async def test_the_first_three_attempts_and_the_last_twenty_are_kept_and_all_are_counted(
    stores: Stores, clock: FakeClock
) -> None:
    await owe(stores, 1)
    for _ in range(30):
        held = await claim_delivery(stores)
        assert await stores.deliveries.send_later(held, 1.0, REPORT)
        clock.advance(1)

    record = await record_of(stores, held)

    assert record.attempts_made == 30
    assert [each.number for each in record.attempts] == [1, 2, 3, *range(11, 31)]
    assert all(each.status == REPORT.status and each.finished_at >= each.started_at for each in record.attempts)


@pytest.mark.parametrize("settle", ["delivered", "dead"])
async def test_a_report_whose_commit_was_not_answered_can_be_found(stores: Stores, settle: str) -> None:
    held = await owed_delivery(stores)
    assert not await stores.deliveries.reported(held, REPORT)

    await getattr(stores.deliveries, settle)(held, REPORT)

    assert await stores.deliveries.reported(held, REPORT)
    assert await claim_deliveries(stores) == []


async def test_the_rows_of_an_unconfirmed_claim_are_given_back_by_the_next_and_leave_no_attempt(
    stores: Stores, database: Database
) -> None:
    await owe(stores, 3)
    lost = [each.id for each in await claim_deliveries(stores, limit=2)]
    ((owner,),) = await database.rows("SELECT DISTINCT lease_owner FROM deliveries WHERE lease_owner IS NOT NULL")
    stores.deliveries.unconfirmed.add(owner)

    again = await claim_deliveries(stores)

    assert len(again) == 3
    assert {each.attempt for each in again} == {1}
    assert {each.id for each in again if each.epoch == 2} == set(lost)
    assert await database.rows("SELECT sum(attempts_made) FROM deliveries") == [(0,)]
