"""Claims, and the fences around them."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from answerback.jobs.kind import Claimed, JobState
from answerback.testing.clock import FakeClock
from builders import LEASE, REPORT, TENANT, accept, claim_job, claim_jobs, finish, later, roomy
from databases import REFUSED, Database
from stores import Stores


async def test_a_claim_takes_what_is_due_and_counts_the_attempt(stores: Stores) -> None:
    accepted = await accept(stores, "hello")

    claim = await claim_job(stores)

    assert (claim.id, claim.attempt, claim.job.args.text) == (accepted.job_id, 1, "hello")
    record = await stores.jobs.get(TENANT, claim.id)
    assert (record.state, record.attempt, record.attempts) == (JobState.RUNNING, 1, ())
    assert await claim_jobs(stores) == []


async def test_a_claim_says_when_to_come_back(stores: Stores, clock: FakeClock) -> None:
    assert (await stores.jobs.claim("worker", 5, LEASE, roomy())).next_in is None
    await accept(stores)
    await stores.jobs.put_off(await claim_job(stores), later(30.0), REPORT)

    claims = await stores.jobs.claim("worker", 5, LEASE, roomy())

    assert (claims.jobs, claims.next_in) == ([], 30.0)


async def test_a_full_claim_asks_to_come_back_at_once(stores: Stores, clock: FakeClock) -> None:
    for _ in range(3):
        await accept(stores, session=None)

    claims = await stores.jobs.claim("worker", 2, LEASE, roomy())

    assert (len(claims.jobs), claims.next_in) == (2, 0.0)


async def test_the_longest_due_goes_first(stores: Stores, clock: FakeClock) -> None:
    expected = []
    for _ in range(4):
        expected.append((await accept(stores, session=None)).job_id)
        clock.advance(1)

    assert [(await claim_jobs(stores, limit=1))[0].id for _ in range(4)] == expected


async def test_two_stores_on_one_database_never_claim_the_same_row(
    stores: Stores, database: Database, clock: FakeClock
) -> None:
    other = await database.open(clock)
    jobs = {(await accept(stores, session=None)).job_id for _ in range(60)}

    claims = await asyncio.gather(*(each.jobs.claim("w", 3, LEASE, roomy()) for each in (stores, other) * 15))
    await other.close()
    claims.append(await stores.jobs.claim("w", 60, LEASE, roomy()))

    assert sorted(claim.id for batch in claims for claim in batch.jobs) == sorted(jobs)


async def test_one_job_of_a_conversation_is_under_way_at_a_time(stores: Stores) -> None:
    for _ in range(5):
        await accept(stores)

    for _ in range(5):
        claim = await claim_job(stores)
        assert await claim_jobs(stores) == []
        await finish(stores, claim)


@pytest.mark.parametrize("state", ["scheduled", "queued", "running", "awaiting", "quarantined"])
async def test_the_database_itself_refuses_a_second_active_job_of_a_conversation(
    stores: Stores, database: Database, state: str
) -> None:
    await accept(stores)
    second = await accept(stores)

    with pytest.raises(REFUSED):
        await database.execute(f"UPDATE jobs SET state = '{state}' WHERE id = '{second.job_id}'")


JobWrite = Callable[[Stores, Claimed[Any]], Awaitable[object]]

JOB_WRITES: dict[str, JobWrite] = {
    "finish": finish,
    "put off": lambda stores, claim: stores.jobs.put_off(claim, later(5.0), REPORT),
    "hand over": lambda stores, claim: stores.jobs.hand_over(claim, 5.0, REPORT),
    "extend": lambda stores, claim: stores.jobs.extend([(claim.id, claim.epoch)], LEASE),
}
job_writes = pytest.mark.parametrize("write", JOB_WRITES.values(), ids=JOB_WRITES)


@job_writes
async def test_a_holder_may_write_until_its_row_is_taken(stores: Stores, clock: FakeClock, write: JobWrite) -> None:
    """Also after its lease: no answer is lost to a database that was away for longer."""
    await accept(stores)
    claim = await claim_job(stores)
    clock.advance(LEASE * 3)

    assert await write(stores, claim)
    assert (await stores.jobs.recover()).total() == 0


@job_writes
async def test_a_job_cannot_be_written_once_its_lease_was_taken_away(
    stores: Stores, database: Database, clock: FakeClock, write: JobWrite
) -> None:
    await accept(stores)
    claim = await claim_job(stores)
    clock.advance(LEASE)
    await stores.jobs.recover()
    before = await database.dump()

    assert not await write(stores, claim)
    assert await database.dump() == before


@job_writes
async def test_a_job_cannot_be_written_by_an_earlier_holder(
    stores: Stores, database: Database, clock: FakeClock, write: JobWrite
) -> None:
    await accept(stores)
    stale = await claim_job(stores)
    clock.advance(LEASE)
    await stores.jobs.recover()
    current = await claim_job(stores)
    before = await database.dump()

    assert not await write(stores, stale)
    await stores.jobs.release([(stale.id, stale.epoch)])
    assert await database.dump() == before
    assert await write(stores, current)
