"""Two processes that meet in the middle of a change: on PostgreSQL only their locks keep them apart."""

import asyncio

import asyncpg
import pytest
from erasing import erase_conversation

from answerback.jobs.kind import JobState
from answerback.jobs.recover import QUARANTINE_LOSSES
from answerback.kernel.errors import Conflict, NotFound
from answerback.testing.clock import FakeClock
from builders import (
    DAY,
    DAY_MS,
    LEASE,
    REPORT,
    TENANT,
    accept,
    claim_deliveries,
    claim_delivery,
    claim_job,
    claim_jobs,
    finish,
    later,
    owed_delivery,
    state_of,
)
from databases import PostgresDatabase
from racing import blocked, held
from stores import Stores


@pytest.fixture
def stores(one: Stores) -> Stores:
    return one


async def test_a_job_that_joins_while_its_conversation_moves_on_is_queued(
    stores: Stores, other: Stores, postgres: PostgresDatabase
) -> None:
    await accept(stores)
    claim = await claim_job(stores)

    async with held(other, finish(other, claim)) as ending:
        joining = await blocked(postgres, accept(stores))
        await ending.commit()

    assert await state_of(stores, (await joining).job_id) == JobState.QUEUED


@pytest.mark.parametrize("session", ["s", None])
async def test_of_two_endings_at_once_the_first_counts(
    stores: Stores, other: Stores, postgres: PostgresDatabase, session: str | None
) -> None:
    for first_finishes in (True, False):
        await accept(stores, session=session)
        claim = await claim_job(stores)
        first, second = finish(other, claim), stores.jobs.cancel(TENANT, claim.id)
        if not first_finishes:
            first.close()
            second.close()
            first, second = other.jobs.cancel(TENANT, claim.id), finish(stores, claim)

        async with held(other, first) as winning:
            losing = await blocked(postgres, second)
            assert await winning.commit()

        if first_finishes:
            with pytest.raises(Conflict, match="completed"):
                await losing
        else:
            assert not await losing
        record = await stores.jobs.get(TENANT, claim.id)
        assert record.state == (JobState.COMPLETED if first_finishes else JobState.CANCELLED)


async def test_two_sweeps_count_a_lost_lease_once(
    stores: Stores, other: Stores, postgres: PostgresDatabase, clock: FakeClock
) -> None:
    job_id = (await accept(stores)).job_id
    await claim_job(stores)
    clock.advance(LEASE)

    async with held(other, other.jobs.recover()) as first:
        second = await blocked(postgres, stores.jobs.recover())
        assert (await first.commit())["jobs_requeued"] == 1
        assert (await second).total() == 0

    record = await stores.jobs.get(TENANT, job_id)
    assert (record.lease_losses, [each.status for each in record.attempts]) == (1, ["lost"])


async def test_two_sweeps_expire_a_message_once(
    stores: Stores, other: Stores, postgres: PostgresDatabase, clock: FakeClock
) -> None:
    await accept(stores, deadline_seconds=1.0)
    clock.advance(1)

    async with held(other, other.jobs.expire()) as first:
        assert (await stores.jobs.expire()).total() == 0
        assert (await first.commit())["jobs_expired"] == 1

    assert len(await claim_deliveries(stores)) == 1


async def test_a_lease_that_is_kept_at_the_last_moment_is_not_taken_away(
    stores: Stores, other: Stores, postgres: PostgresDatabase, clock: FakeClock
) -> None:
    await accept(stores)
    claim = await claim_job(stores)
    clock.advance(LEASE - 1)

    async with held(other, other.jobs.extend([(claim.id, claim.epoch)], LEASE)) as keeping:
        clock.advance(1)
        sweeping = await blocked(postgres, stores.jobs.recover())
        assert await keeping.commit() == {claim.id}
        assert (await sweeping).total() == 0

    assert await finish(stores, claim)


async def quarantined(stores: Stores, clock: FakeClock, count: int) -> set[str]:
    """Jobs that lost their workers twice."""
    jobs = {(await accept(stores, session=None)).job_id for _ in range(count)}
    for _ in range(QUARANTINE_LOSSES):
        await claim_jobs(stores)
        clock.advance(LEASE)
        await stores.jobs.recover()
    assert {await state_of(stores, job) for job in jobs} == {JobState.QUARANTINED}
    return jobs


async def test_of_sweepers_that_release_quarantined_jobs_at_once_one_releases_one(
    stores: Stores, other: Stores, postgres: PostgresDatabase, clock: FakeClock
) -> None:
    jobs = await quarantined(stores, clock, 3)

    async with held(other, other.jobs.release_quarantined()) as first:
        # It picks another job, which the unique index keeps it from releasing.
        second = await blocked(postgres, stores.jobs.release_quarantined())
        assert (await first.commit())["jobs_on_probation"] == 1
        assert (await second)["jobs_on_probation"] == 0

    states = sorted([await state_of(stores, job) for job in jobs])
    assert states == [JobState.QUARANTINED, JobState.QUARANTINED, JobState.QUEUED]


async def test_however_many_sweep_one_quarantined_job_runs_at_a_time(
    stores: Stores, other: Stores, clock: FakeClock
) -> None:
    jobs, ran = await quarantined(stores, clock, 4), []

    for _ in jobs:
        await asyncio.gather(*(each.jobs.release_quarantined() for each in (stores, other) * 8))
        (claim,) = await claim_jobs(stores)
        ran.append(claim.id)
        assert await finish(stores, claim)

    assert sorted(ran) == sorted(jobs)


async def test_a_job_that_joins_a_conversation_while_it_is_pruned_begins_anew(
    stores: Stores, other: Stores, postgres: PostgresDatabase, clock: FakeClock
) -> None:
    await stores.deliveries.delivered(await owed_delivery(stores), REPORT)
    clock.advance(31 * DAY)

    async with held(other, other.jobs.prune(30 * DAY_MS)) as pruning:
        joining = await blocked(postgres, accept(stores))
        assert (await pruning.commit())["jobs_pruned"] == 1

    assert (await joining).position == 1


async def test_a_conversation_that_a_job_joins_is_not_pruned(stores: Stores, other: Stores, clock: FakeClock) -> None:
    await stores.deliveries.delivered(await owed_delivery(stores), REPORT)
    clock.advance(31 * DAY)

    async with held(other, accept(other)) as joining:
        assert (await stores.jobs.prune(30 * DAY_MS)).total() == 0
        assert (await joining.commit()).position == 2

    assert await finish(stores, await claim_job(stores))


async def test_a_callback_that_is_resent_is_not_deleted(
    stores: Stores, other: Stores, postgres: PostgresDatabase, clock: FakeClock
) -> None:
    delivery = await owed_delivery(stores)
    await stores.deliveries.delivered(delivery, REPORT)
    clock.advance(31 * DAY)

    async with held(other, other.deliveries.resend(TENANT, delivery.id)) as resending:
        pruning = await blocked(postgres, stores.jobs.prune(30 * DAY_MS))
        await resending.commit()
        assert (await pruning)["jobs_pruned"] == 0

    assert (await claim_delivery(stores)).id == delivery.id


async def test_an_answer_that_meets_its_erasure_is_not_remembered(
    stores: Stores, other: Stores, postgres: PostgresDatabase
) -> None:
    await accept(stores)
    claim = await claim_job(stores)

    async with held(other, finish(other, claim)) as ending:
        erasing = await blocked(postgres, erase_conversation(stores))
        await ending.commit()
        await erasing

    assert (await stores.conversations.show(TENANT, "s")).entries == []


async def test_a_retry_that_two_ask_for_is_made_once(stores: Stores, other: Stores, postgres: PostgresDatabase) -> None:
    source = (await accept(stores, session=None)).job_id
    await stores.jobs.cancel(TENANT, source)

    async with held(other, accept(other, session=None, retry_of=source)) as first:
        second = await blocked(postgres, accept(stores, session=None, retry_of=source))
        made = await first.commit()
        again = await second

    assert (again.job_id, again.created) == (made.job_id, False)


async def test_a_worker_that_hands_over_after_the_answer_came_writes_nothing(
    stores: Stores, other: Stores, postgres: PostgresDatabase
) -> None:
    await accept(stores, session=None)
    claim = await claim_job(stores)

    async with held(other, other.jobs.cancel(TENANT, claim.id)) as ending:
        handing_over = await blocked(postgres, stores.jobs.hand_over(claim, 60.0, REPORT))
        giving_back = await blocked(postgres, stores.jobs.put_off(claim, later(0.0), REPORT))
        await ending.commit()
        assert not await handing_over
        assert not await giving_back

    assert await state_of(stores, claim.id) == JobState.CANCELLED


@pytest.mark.parametrize("side", ["joining", "ending"])
async def test_joining_and_ending_do_not_deadlock(stores: Stores, postgres: PostgresDatabase, side: str) -> None:
    """Jobs join many conversations while others end: each side locks them in the order of their keys."""
    sessions = ["a", "b", "c"]
    for session in reversed(sessions):
        await accept(stores, session=session)
    claims = await claim_jobs(stores)

    async def work() -> None:
        if side == "joining":
            await asyncio.gather(*(accept(stores, session=session) for session in reversed(sessions)))
        else:
            await asyncio.gather(*(finish(stores, claim) for claim in claims))

    somebody = await asyncpg.connect(postgres.url)
    try:
        async with somebody.transaction():
            await somebody.execute("SELECT id FROM conversations WHERE key = 'a' FOR UPDATE")
            working = await blocked(postgres, work())
            await somebody.execute("SELECT id FROM conversations WHERE key = 'c' FOR UPDATE NOWAIT")
        await working
    finally:
        await somebody.close()


async def test_a_pruned_conversation_is_not_found(stores: Stores, other: Stores, clock: FakeClock) -> None:
    await stores.deliveries.delivered(await owed_delivery(stores), REPORT)
    clock.advance(31 * DAY)
    await other.jobs.prune(30 * DAY_MS)

    with pytest.raises(NotFound):
        await erase_conversation(stores)
