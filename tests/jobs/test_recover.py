"""What becomes of a lease that is kept, given back or lost."""

from answerback.jobs.kind import JobState
from answerback.kernel.errors import ErrorCode
from answerback.testing.clock import FakeClock
from builders import LEASE, TENANT, accept, claim_job, finish, recover, state_of
from stores import Stores

HOUR = 3600.0


async def test_heartbeats_keep_a_lease(stores: Stores, clock: FakeClock) -> None:
    await accept(stores)
    claim = await claim_job(stores)
    for _ in range(5):
        clock.advance(LEASE * 0.75)
        assert await stores.jobs.extend([(claim.id, claim.epoch), ("job_unknown", 1)], LEASE) == {claim.id}
        assert (await stores.jobs.recover()).total() == 0

    assert await finish(stores, claim)


async def test_an_attempt_given_back_does_not_count(stores: Stores) -> None:
    await accept(stores)
    claim = await claim_job(stores)

    await stores.jobs.release([(claim.id, claim.epoch)])

    again = await claim_job(stores)
    assert (again.attempt, again.epoch) == (1, claim.epoch + 1)
    assert [each.status for each in (await stores.jobs.get(TENANT, claim.id)).attempts] == ["released"]


async def test_a_lost_lease_gives_the_attempt_back_and_is_counted(stores: Stores, clock: FakeClock) -> None:
    await accept(stores)
    lost = await claim_job(stores)
    clock.advance(LEASE)

    assert (await stores.jobs.recover())["jobs_requeued"] == 1

    record = await stores.jobs.get(TENANT, lost.id)
    assert (record.state, record.attempt, record.lease_losses) == (JobState.QUEUED, 0, 1)
    assert [each.status for each in record.attempts] == ["lost"]
    assert (await claim_job(stores)).attempt == 1


async def test_a_lease_that_holds_is_left_alone(stores: Stores, clock: FakeClock) -> None:
    await accept(stores)
    await claim_job(stores)
    clock.advance(LEASE - 0.001)

    assert (await stores.jobs.recover()).total() == 0


async def lose(stores: Stores, clock: FakeClock) -> None:
    await claim_job(stores)
    clock.advance(LEASE)
    assert await recover(stores) == 1


async def test_the_third_loss_within_72_hours_ends_a_job_as_poisoned(stores: Stores, clock: FakeClock) -> None:
    job_id = (await accept(stores, deadline_seconds=400 * HOUR)).job_id
    behind = (await accept(stores)).job_id
    await lose(stores, clock)
    clock.advance(70 * HOUR)
    await lose(stores, clock)
    assert await state_of(stores, job_id) == JobState.QUEUED
    assert await state_of(stores, behind) == JobState.HELD

    await lose(stores, clock)

    record = await stores.jobs.get(TENANT, job_id)
    assert record.state == JobState.FAILED
    assert record.failure is not None
    assert record.failure.code == ErrorCode.POISONED
    assert record.deliveries
    assert await state_of(stores, behind) == JobState.QUEUED


async def test_losses_spread_wider_do_not_poison(stores: Stores, clock: FakeClock) -> None:
    job_id = (await accept(stores, deadline_seconds=4_000 * HOUR)).job_id
    for _ in range(5):
        await lose(stores, clock)
        await lose(stores, clock)
        clock.advance(73 * HOUR)

    assert await state_of(stores, job_id) == JobState.QUEUED
