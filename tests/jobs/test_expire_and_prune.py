"""What ends by itself, and what is deleted once it is old."""

import json

import pytest

from answerback.jobs.expire import BATCH
from answerback.jobs.kind import JobState
from answerback.kernel.errors import ErrorCode, NotFound
from answerback.testing.clock import FakeClock
from builders import (
    DAY,
    DAY_MS,
    REPORT,
    TENANT,
    accept,
    claim_delivery,
    claim_job,
    claim_jobs,
    ended_job,
    finish,
    state_of,
)
from databases import Database
from stores import Stores


async def expired_callback(stores: Stores, job_id: str) -> bool:
    record = await stores.jobs.get(TENANT, job_id)
    assert record.state == JobState.EXPIRED
    assert record.failure is not None
    assert record.failure.code == ErrorCode.EXPIRED
    return bool(record.deliveries)


async def test_a_queued_job_expires_at_its_deadline_and_not_before(stores: Stores, clock: FakeClock) -> None:
    job_id = (await accept(stores, deadline_seconds=10.0)).job_id
    clock.advance(9.999)
    assert (await stores.jobs.expire()).total() == 0

    clock.advance(0.001)

    assert (await stores.jobs.expire())["jobs_expired"] == 1
    assert await expired_callback(stores, job_id)
    assert json.loads((await claim_delivery(stores)).body)["status"] == "expired"


async def test_a_job_past_its_deadline_is_not_claimed(stores: Stores, clock: FakeClock) -> None:
    await accept(stores, deadline_seconds=10.0)
    clock.advance(10)

    assert await claim_jobs(stores) == []


async def test_a_running_job_expires_and_its_holder_is_fenced(
    stores: Stores, database: Database, clock: FakeClock
) -> None:
    job_id = (await accept(stores, deadline_seconds=10.0)).job_id
    claim = await claim_job(stores)
    clock.advance(10)
    await stores.jobs.expire()
    before = await database.dump()

    assert await expired_callback(stores, job_id)
    assert not await finish(stores, claim)
    assert await stores.jobs.extend([(claim.id, claim.epoch)], 60) == set()
    assert await database.dump() == before


async def test_a_held_job_expires_without_releasing_the_next(stores: Stores, clock: FakeClock) -> None:
    first = (await accept(stores)).job_id
    second = (await accept(stores, deadline_seconds=10.0)).job_id
    third = (await accept(stores)).job_id
    clock.advance(10)

    await stores.jobs.expire()

    assert await expired_callback(stores, second)
    assert [await state_of(stores, job) for job in (first, third)] == [JobState.QUEUED, JobState.HELD]


async def test_a_whole_conversation_expires_at_once(stores: Stores, clock: FakeClock) -> None:
    jobs = [(await accept(stores, deadline_seconds=10.0)).job_id for _ in range(4)]
    clock.advance(10)

    assert (await stores.jobs.expire())["jobs_expired"] == 4

    assert {await state_of(stores, job) for job in jobs} == {JobState.EXPIRED}
    assert (await stores.conversations.show(TENANT, "s")).pending == 0
    assert await stores.jobs.count_open() == 0


async def test_a_sweep_takes_a_bounded_batch_and_goes_on_with_the_next(stores: Stores, clock: FakeClock) -> None:
    for _ in range(BATCH + 5):
        await accept(stores, session=None, deadline_seconds=10.0)
    clock.advance(10)

    assert [(await stores.jobs.expire())["jobs_expired"] for _ in range(3)] == [BATCH, 5, 0]


async def settled_job(stores: Stores, session: str | None = "s") -> str:
    job_id = await ended_job(stores, session=session)
    assert await stores.deliveries.delivered(await claim_delivery(stores), REPORT)
    return job_id


async def test_what_ended_longer_ago_than_the_retention_is_deleted_with_all_that_hangs_on_it(
    stores: Stores, database: Database, clock: FakeClock
) -> None:
    job_id = await settled_job(stores)
    clock.advance(30 * DAY + 0.001)

    assert (await stores.jobs.prune(30 * DAY_MS))["jobs_pruned"] == 1

    with pytest.raises(NotFound):
        await stores.jobs.get(TENANT, job_id)
    for table in ("jobs", "deliveries", "conversation_items", "conversations"):
        assert await database.rows(f"SELECT count(*) FROM {table}") == [(0,)], table


async def test_what_ended_within_the_retention_is_kept(stores: Stores, database: Database, clock: FakeClock) -> None:
    await settled_job(stores)
    clock.advance(30 * DAY)
    before = await database.dump()

    assert (await stores.jobs.prune(30 * DAY_MS)).total() == 0
    assert await database.dump() == before


async def test_a_job_is_kept_until_its_callback_is_settled(stores: Stores, clock: FakeClock) -> None:
    job_id = await ended_job(stores)
    held_behind = await ended_job(stores)
    clock.advance(31 * DAY)
    assert (await stores.jobs.prune(30 * DAY_MS)).total() == 0

    await stores.deliveries.dead(await claim_delivery(stores), REPORT)

    assert (await stores.jobs.prune(30 * DAY_MS))["jobs_pruned"] == 1
    with pytest.raises(NotFound):
        await stores.jobs.get(TENANT, job_id)
    assert await state_of(stores, held_behind) == JobState.COMPLETED


async def test_an_open_job_is_never_pruned(stores: Stores, clock: FakeClock) -> None:
    job_id = (await accept(stores, deadline_seconds=400 * DAY)).job_id
    clock.advance(300 * DAY)

    await stores.jobs.prune(30 * DAY_MS)

    assert await state_of(stores, job_id) == JobState.QUEUED


async def test_a_conversation_in_use_forgets_old_items_and_keeps_its_numbering(
    stores: Stores, database: Database, clock: FakeClock
) -> None:
    await settled_job(stores)
    clock.advance(31 * DAY)
    open_job = await accept(stores)
    await stores.jobs.prune(30 * DAY_MS)

    assert await database.rows("SELECT count(*) FROM conversation_items") == [(0,)]
    assert open_job.position == 2
    assert (await accept(stores)).position == 3
