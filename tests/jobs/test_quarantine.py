"""Jobs that lost their workers twice run one at a time, so that a third loss names the culprit."""

import pytest

from answerback.jobs.kind import JobState
from answerback.jobs.recover import QUARANTINE_LOSSES
from answerback.kernel.errors import ErrorCode
from answerback.testing.clock import FakeClock
from builders import LEASE, REPORT, TENANT, accept, claim_job, claim_jobs, completed, finish, later, recover, state_of
from databases import REFUSED, Database
from stores import Stores


async def lose_twice(stores: Stores, clock: FakeClock) -> None:
    """Every worker stops that claims what is due now, and again."""
    for _ in range(QUARANTINE_LOSSES):
        await claim_jobs(stores)
        clock.advance(LEASE)
        await stores.jobs.recover()


async def test_of_jobs_that_lost_two_leases_one_runs_at_a_time(stores: Stores, clock: FakeClock) -> None:
    on_probation = {(await accept(stores, session=None)).job_id for _ in range(3)}
    for _ in range(2):
        await claim_jobs(stores)
        clock.advance(LEASE)
        await recover(stores)
    fresh = (await accept(stores, session=None)).job_id

    under_way = {claim.id for claim in await claim_jobs(stores)}
    assert len(under_way & on_probation) == 1
    assert under_way - on_probation == {fresh}
    assert await claim_jobs(stores) == []

    clock.advance(LEASE)
    await recover(stores)

    (culprit,) = under_way & on_probation
    assert await state_of(stores, culprit) == JobState.FAILED
    assert await state_of(stores, fresh) == JobState.QUEUED
    bystanders = sorted([await state_of(stores, bystander) for bystander in on_probation - {culprit}])
    assert bystanders == [JobState.QUARANTINED, JobState.QUEUED]


async def test_a_quarantined_job_keeps_its_place_in_its_conversation(stores: Stores, clock: FakeClock) -> None:
    head, behind = [(await accept(stores)).job_id for _ in range(2)]
    await lose_twice(stores, clock)

    states = [await state_of(stores, job) for job in (head, behind)]

    assert states == [JobState.QUARANTINED, JobState.HELD]
    assert await claim_jobs(stores) == []


async def test_the_one_that_has_waited_longest_is_released_first_and_its_end_lets_the_next_go(
    stores: Stores, clock: FakeClock
) -> None:
    jobs = []
    for _ in range(3):
        jobs.append((await accept(stores, session=None)).job_id)
        clock.advance(1)
    await lose_twice(stores, clock)

    ran = []
    for _ in jobs:
        assert (await stores.jobs.release_quarantined())["jobs_on_probation"] == 1
        assert (await stores.jobs.release_quarantined())["jobs_on_probation"] == 0
        claim = await claim_job(stores)
        assert (await stores.jobs.release_quarantined())["jobs_on_probation"] == 0
        assert await finish(stores, claim)
        ran.append(claim.id)

    assert ran == jobs


async def test_one_that_is_given_back_keeps_its_turn(stores: Stores, clock: FakeClock) -> None:
    for _ in range(2):
        await accept(stores, session=None)
    await lose_twice(stores, clock)
    await stores.jobs.release_quarantined()
    claim = await claim_job(stores)

    await stores.jobs.release([(claim.id, claim.epoch)])

    assert (await stores.jobs.release_quarantined())["jobs_on_probation"] == 0
    assert (await claim_job(stores)).id == claim.id


async def test_one_that_is_put_off_makes_room_and_stays_in_quarantine_until_it_is_due(
    stores: Stores, clock: FakeClock
) -> None:
    jobs = {(await accept(stores, session=None)).job_id for _ in range(2)}
    await lose_twice(stores, clock)
    await stores.jobs.release_quarantined()
    first = await claim_job(stores)
    await stores.jobs.put_off(first, later(10.0), REPORT)
    assert await state_of(stores, first.id) == JobState.QUARANTINED

    assert (await stores.jobs.release_quarantined())["jobs_on_probation"] == 1
    second = await claim_job(stores)
    assert {first.id, second.id} == jobs
    assert await finish(stores, second)
    assert (await stores.jobs.release_quarantined())["jobs_on_probation"] == 0

    clock.advance(10)
    assert (await stores.jobs.release_quarantined())["jobs_on_probation"] == 1
    assert (await claim_job(stores)).id == first.id


async def test_tenants_take_turns(stores: Stores, clock: FakeClock) -> None:
    for tenant_id in ("a", "a", "a", "b"):
        await accept(stores, session=None, tenant_id=tenant_id)
        clock.advance(1)
    await lose_twice(stores, clock)

    ran = []
    for _ in range(4):
        await stores.jobs.release_quarantined()
        claim = await claim_job(stores)
        await finish(stores, claim)
        ran.append(claim.tenant_id)

    assert ran == ["a", "b", "a", "a"]


@pytest.mark.parametrize("end", ["cancel", "expire", "resolve"])
async def test_a_quarantined_job_can_end_and_the_next_of_its_conversation_is_queued(
    stores: Stores, clock: FakeClock, end: str
) -> None:
    job_id = (await accept(stores, deadline_seconds=1_000.0)).job_id
    behind = (await accept(stores)).job_id
    await lose_twice(stores, clock)

    match end:
        case "cancel":
            assert await stores.jobs.cancel(TENANT, job_id)
        case "resolve":
            assert (await stores.jobs.resolve(job_id, "echo", completed())).ended
        case _:
            clock.advance(1_000)
            assert (await stores.jobs.expire())["jobs_expired"] == 1

    assert await state_of(stores, behind) == JobState.QUEUED
    assert (await stores.jobs.get(TENANT, job_id)).attempts_made == QUARANTINE_LOSSES


async def test_the_third_loss_fails_it_as_poisoned(stores: Stores, clock: FakeClock) -> None:
    job_id = (await accept(stores)).job_id
    await lose_twice(stores, clock)
    await stores.jobs.release_quarantined()
    await claim_job(stores)
    clock.advance(LEASE)

    assert (await stores.jobs.recover())["jobs_poisoned"] == 1

    record = await stores.jobs.get(TENANT, job_id)
    assert record.failure is not None
    assert (record.state, record.failure.code) == (JobState.FAILED, ErrorCode.POISONED)


@pytest.mark.parametrize("state", ["queued", "running"])
async def test_the_database_itself_refuses_a_second_one_beside_it(
    stores: Stores, database: Database, clock: FakeClock, state: str
) -> None:
    for _ in range(2):
        await accept(stores, session=None)
    await lose_twice(stores, clock)
    await stores.jobs.release_quarantined()

    with pytest.raises(REFUSED):
        await database.execute(f"UPDATE jobs SET state = '{state}' WHERE state = 'quarantined'")
