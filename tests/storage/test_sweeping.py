"""What ends by itself, and what is deleted once it is old."""

import json

import pytest

from answerback.jobs.model import JobState
from answerback.jobs.recover import BATCH
from answerback.jobs.store import SqlStore
from answerback.kernel.errors import ErrorCode, NotFound
from answerback.testing.clock import FakeClock
from builders import (
    DAY,
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


async def expired_callback(store: SqlStore, job_id: str) -> bool:
    record = await store.get_job(TENANT, job_id)
    assert record.state == JobState.EXPIRED
    assert record.failure is not None
    assert record.failure.code == ErrorCode.EXPIRED
    return record.delivery is not None


async def test_a_queued_job_expires_at_its_deadline_and_not_before(store: SqlStore, clock: FakeClock) -> None:
    job_id = (await accept(store, deadline_seconds=10.0)).job_id
    clock.advance(9.999)
    assert (await store.expire_jobs()).total == 0

    clock.advance(0.001)

    assert (await store.expire_jobs()).jobs_expired == 1
    assert await expired_callback(store, job_id)
    assert json.loads((await claim_delivery(store)).body)["status"] == "expired"


async def test_a_job_past_its_deadline_is_not_claimed(store: SqlStore, clock: FakeClock) -> None:
    await accept(store, deadline_seconds=10.0)
    clock.advance(10)

    assert await claim_jobs(store) == []


async def test_a_running_job_expires_and_its_holder_is_fenced(
    store: SqlStore, database: Database, clock: FakeClock
) -> None:
    job_id = (await accept(store, deadline_seconds=10.0)).job_id
    claim = await claim_job(store)
    clock.advance(10)
    await store.expire_jobs()
    before = await database.dump()

    assert await expired_callback(store, job_id)
    assert not await finish(store, claim)
    assert await store.extend_jobs([(claim.id, claim.epoch)], 60) == set()
    assert await database.dump() == before


async def test_a_held_job_expires_without_moving_the_line(store: SqlStore, clock: FakeClock) -> None:
    first = (await accept(store)).job_id
    second = (await accept(store, deadline_seconds=10.0)).job_id
    third = (await accept(store)).job_id
    clock.advance(10)

    await store.expire_jobs()

    assert await expired_callback(store, second)
    assert [await state_of(store, job) for job in (first, third)] == [JobState.QUEUED, JobState.HELD]


async def test_a_whole_line_expires_at_once(store: SqlStore, clock: FakeClock) -> None:
    line = [(await accept(store, deadline_seconds=10.0)).job_id for _ in range(4)]
    clock.advance(10)

    assert (await store.expire_jobs()).jobs_expired == 4

    assert {await state_of(store, job) for job in line} == {JobState.EXPIRED}
    assert (await store.get_conversation(TENANT, "s")).pending == 0
    assert await store.count_open() == 0


async def test_a_sweep_takes_a_bounded_batch_and_goes_on_with_the_next(store: SqlStore, clock: FakeClock) -> None:
    for _ in range(BATCH + 5):
        await accept(store, session=None, deadline_seconds=10.0)
    clock.advance(10)

    assert [(await store.expire_jobs()).jobs_expired for _ in range(3)] == [BATCH, 5, 0]


async def settled_job(store: SqlStore, session: str | None = "s") -> str:
    job_id = await ended_job(store, session=session)
    assert await store.delivered(await claim_delivery(store), REPORT)
    return job_id


async def test_what_ended_longer_ago_than_the_retention_is_deleted_with_all_that_hangs_on_it(
    store: SqlStore, database: Database, clock: FakeClock
) -> None:
    job_id = await settled_job(store)
    clock.advance(30 * DAY + 0.001)

    assert (await store.prune(30)).jobs_pruned == 1

    with pytest.raises(NotFound):
        await store.get_job(TENANT, job_id)
    for table in ("jobs", "deliveries", "attempts", "turns", "conversations"):
        assert await database.rows(f"SELECT count(*) FROM {table}") == [(0,)], table


async def test_what_ended_within_the_retention_is_kept(store: SqlStore, database: Database, clock: FakeClock) -> None:
    await settled_job(store)
    clock.advance(30 * DAY)
    before = await database.dump()

    assert (await store.prune(30)).total == 0
    assert await database.dump() == before


async def test_a_job_is_kept_until_its_callback_is_settled(store: SqlStore, clock: FakeClock) -> None:
    job_id = await ended_job(store)
    held_behind = await ended_job(store)
    clock.advance(31 * DAY)
    assert (await store.prune(30)).total == 0

    await store.dead(await claim_delivery(store), REPORT)

    assert (await store.prune(30)).jobs_pruned == 1
    with pytest.raises(NotFound):
        await store.get_job(TENANT, job_id)
    assert await state_of(store, held_behind) == JobState.COMPLETED


async def test_an_open_job_is_never_pruned(store: SqlStore, clock: FakeClock) -> None:
    job_id = (await accept(store, deadline_seconds=400 * DAY)).job_id
    clock.advance(300 * DAY)

    await store.prune(30)

    assert await state_of(store, job_id) == JobState.QUEUED


async def test_a_conversation_in_use_forgets_old_turns_and_keeps_its_numbering(
    store: SqlStore, database: Database, clock: FakeClock
) -> None:
    await settled_job(store)
    clock.advance(31 * DAY)
    open_job = await accept(store)
    await store.prune(30)

    assert await database.rows("SELECT count(*) FROM turns") == [(0,)]
    assert open_job.seq == 2
    assert (await accept(store)).seq == 3
