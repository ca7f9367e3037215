"""What becomes of a lease that is kept, given back or lost."""

from answerback.jobs.model import JobState
from answerback.jobs.store import SqlStore
from answerback.kernel.errors import ErrorCode
from answerback.testing.clock import FakeClock
from builders import (
    LEASE,
    TENANT,
    accept,
    claim_job,
    claim_jobs,
    finish,
    state_of,
)

HOUR = 3600.0


async def test_heartbeats_keep_a_lease(store: SqlStore, clock: FakeClock) -> None:
    await accept(store)
    claim = await claim_job(store)
    for _ in range(5):
        clock.advance(LEASE * 0.75)
        assert await store.extend_jobs([(claim.id, claim.epoch), ("job_unknown", 1)], LEASE) == {claim.id}
        assert (await store.recover_leases()).total == 0

    assert await finish(store, claim)


async def test_an_attempt_given_back_does_not_count(store: SqlStore) -> None:
    await accept(store)
    claim = await claim_job(store)

    await store.release_jobs([(claim.id, claim.epoch, 0.0)])

    again = await claim_job(store)
    assert (again.attempt, again.epoch) == (1, claim.epoch + 1)
    assert [each.status for each in (await store.get_job(TENANT, claim.id)).attempts] == ["released", "started"]


async def test_a_lost_lease_gives_the_attempt_back_and_is_counted(store: SqlStore, clock: FakeClock) -> None:
    await accept(store)
    lost = await claim_job(store)
    clock.advance(LEASE)

    assert (await store.recover_leases()).jobs_requeued == 1

    record = await store.get_job(TENANT, lost.id)
    assert (record.state, record.attempt, record.lease_losses) == (JobState.QUEUED, 0, 1)
    assert [each.status for each in record.attempts] == ["lost"]
    assert (await claim_job(store)).attempt == 1


async def test_a_lease_that_holds_is_left_alone(store: SqlStore, clock: FakeClock) -> None:
    await accept(store)
    await claim_job(store)
    clock.advance(LEASE - 0.001)

    assert (await store.recover_leases()).total == 0


async def lose(store: SqlStore, clock: FakeClock) -> None:
    await claim_job(store)
    clock.advance(LEASE)
    assert (await store.recover_leases()).total == 1


async def test_the_third_loss_within_72_hours_ends_a_job_as_poisoned(store: SqlStore, clock: FakeClock) -> None:
    job_id = (await accept(store, deadline_seconds=400 * HOUR)).job_id
    behind = (await accept(store)).job_id
    await lose(store, clock)
    clock.advance(70 * HOUR)
    await lose(store, clock)
    assert await state_of(store, job_id) == JobState.QUEUED

    await lose(store, clock)

    record = await store.get_job(TENANT, job_id)
    assert record.state == JobState.FAILED
    assert record.failure is not None
    assert record.failure.code == ErrorCode.POISONED
    assert record.delivery is not None
    assert await state_of(store, behind) == JobState.QUEUED


async def test_losses_spread_wider_do_not_poison(store: SqlStore, clock: FakeClock) -> None:
    job_id = (await accept(store, deadline_seconds=4_000 * HOUR)).job_id
    for _ in range(5):
        await lose(store, clock)
        await lose(store, clock)
        clock.advance(73 * HOUR)

    assert await state_of(store, job_id) == JobState.QUEUED


async def test_of_jobs_that_lost_two_leases_one_runs_at_a_time(store: SqlStore, clock: FakeClock) -> None:
    suspects = {(await accept(store, session=None)).job_id for _ in range(3)}
    for _ in range(2):
        await claim_jobs(store)
        clock.advance(LEASE)
        await store.recover_leases()
    fresh = (await accept(store, session=None)).job_id

    under_way = {claim.id for claim in await claim_jobs(store)}
    assert len(under_way & suspects) == 1
    assert under_way - suspects == {fresh}
    assert await claim_jobs(store) == []

    clock.advance(LEASE)
    await store.recover_leases()

    (culprit,) = under_way & suspects
    assert await state_of(store, culprit) == JobState.FAILED
    assert {await state_of(store, bystander) for bystander in {*suspects, fresh} - {culprit}} == {JobState.QUEUED}
