"""Cancelling a job, whatever it is doing."""

import pytest

from answerback.jobs.canceller import Canceller
from answerback.jobs.finish import End
from answerback.jobs.kind import JobState
from answerback.kernel.errors import Conflict, ErrorCode, NotFound
from answerback.kernel.instruments import Instruments
from answerback.testing.clock import FakeClock
from builders import (
    REPORT,
    TENANT,
    Journal,
    Notifier,
    accept,
    claim_deliveries,
    claim_delivery,
    claim_job,
    claim_jobs,
    completed,
    ended_job,
    failed,
    finish,
    later,
    state_of,
)
from databases import Database
from stores import Stores


async def test_a_queued_job_is_cancelled_and_notified(stores: Stores) -> None:
    job_id = (await accept(stores)).job_id

    assert await stores.jobs.cancel(TENANT, job_id)

    record = await stores.jobs.get(TENANT, job_id)
    assert record.failure is not None
    assert (record.state, record.failure.code, record.attempts) == (JobState.CANCELLED, ErrorCode.CANCELLED, ())
    assert (await claim_delivery(stores)).job_id == job_id
    assert await claim_jobs(stores) == []


async def test_a_cancellation_stops_the_run_and_announces_the_next_job_and_the_callback(stores: Stores) -> None:
    job_id, notifier = (await accept(stores)).job_id, Notifier()

    await Canceller(stores.jobs, notifier, Instruments(Journal())).cancel(TENANT, job_id)

    assert (notifier.cancelled, notifier.jobs, notifier.deliveries) == ([job_id], 1, 1)


async def test_cancelling_the_head_releases_the_next_and_cancelling_a_held_one_does_not(stores: Stores) -> None:
    head, middle, last = [(await accept(stores)).job_id for _ in range(3)]

    await stores.jobs.cancel(TENANT, middle)
    assert [await state_of(stores, job) for job in (head, last)] == [JobState.QUEUED, JobState.HELD]

    await stores.jobs.cancel(TENANT, head)
    assert await state_of(stores, last) == JobState.QUEUED


async def test_the_callback_of_a_job_cancelled_before_its_turn_holds_back_none_of_its_conversation(
    stores: Stores, clock: FakeClock
) -> None:
    first, second, third = [(await accept(stores)).job_id for _ in range(3)]
    await stores.jobs.cancel(TENANT, third)
    early = await claim_delivery(stores)

    # When its receiver refuses it, and the earlier ones are answered
    await stores.deliveries.send_later(early, 3600.0, REPORT)
    await finish(stores, await claim_job(stores))
    await finish(stores, await claim_job(stores))

    # Then those are called back in their order
    assert early.job_id == third
    for job_id in (first, second):
        claim = await claim_delivery(stores)
        assert claim.job_id == job_id
        await stores.deliveries.delivered(claim, REPORT)


async def test_the_callback_of_a_job_cancelled_in_its_turn_keeps_its_place(stores: Stores) -> None:
    first, second = [(await accept(stores)).job_id for _ in range(2)]
    await finish(stores, await claim_job(stores))

    await stores.jobs.cancel(TENANT, second)

    assert [claim.job_id for claim in await claim_deliveries(stores)] == [first]


async def test_cancelling_a_scheduled_job_releases_the_next(stores: Stores) -> None:
    head, behind = [(await accept(stores)).job_id for _ in range(2)]
    await stores.jobs.put_off(await claim_job(stores), later(300.0), REPORT)

    await stores.jobs.cancel(TENANT, head)

    assert await state_of(stores, behind) == JobState.QUEUED


async def test_cancelling_a_running_job_fences_its_holder_and_leaves_its_attempt(
    stores: Stores, database: Database, clock: FakeClock
) -> None:
    job_id = (await accept(stores)).job_id
    claim = await claim_job(stores)
    claimed_at = clock.now()
    clock.advance(1)

    await stores.jobs.cancel(TENANT, job_id)

    before = await database.dump()
    assert not await finish(stores, claim)
    assert not await stores.jobs.put_off(claim, later(0.0), REPORT)
    assert not await stores.jobs.hand_over(claim, 5.0, REPORT)
    await stores.jobs.release([(claim.id, claim.epoch)])
    assert await database.dump() == before
    (attempt,) = (await stores.jobs.get(TENANT, job_id)).attempts
    assert (attempt.number, attempt.epoch, attempt.status) == (1, claim.epoch, "cancelled")
    assert (attempt.started_at, attempt.finished_at) == (claimed_at, clock.now())


async def test_cancelling_twice_is_no_error_and_owes_one_callback(stores: Stores) -> None:
    job_id = (await accept(stores)).job_id

    assert await stores.jobs.cancel(TENANT, job_id)
    assert not await stores.jobs.cancel(TENANT, job_id)

    assert len(await claim_deliveries(stores)) == 1


@pytest.mark.parametrize("end", [completed(), failed()], ids=["completed", "failed"])
async def test_an_ended_job_cannot_be_cancelled(stores: Stores, database: Database, end: End) -> None:
    job_id = await ended_job(stores, end=end)
    before = await database.dump()

    with pytest.raises(Conflict, match=f"{end.state} already"):
        await stores.jobs.cancel(TENANT, job_id)
    assert await database.dump() == before


async def test_another_tenants_job_does_not_exist(stores: Stores) -> None:
    job_id = (await accept(stores)).job_id

    with pytest.raises(NotFound):
        await stores.jobs.cancel("tenant-b", job_id)
    assert await state_of(stores, job_id) == JobState.QUEUED
