"""A request that is sent again without a key gets the job of its earlier try."""

import asyncio

from answerback.jobs.model import Accepted, Tried
from answerback.jobs.repeat import KEPT_MS, stored_hash
from answerback.testing.clock import FakeClock
from builders import TENANT, accept, claim_job, finish
from stores import Stores


async def first(stores: Stores, request_hash: str = "h") -> Accepted:
    return await accept(stores, session=None, request_hash=stored_hash(Tried(request_hash, 0)))


async def again(stores: Stores, number: int, request_hash: str = "h", tenant_id: str = TENANT) -> str | None:
    taken = await stores.jobs.take_earlier(tenant_id, Tried(request_hash, number))
    return None if taken is None else taken.job_id


async def test_each_later_try_gets_the_job_of_the_first(stores: Stores) -> None:
    job_id = (await first(stores)).job_id

    assert [await again(stores, number) for number in (1, 2, 3)] == [job_id] * 3


async def test_as_many_jobs_as_first_tries_are_each_taken_once(stores: Stores) -> None:
    made = {(await first(stores)).job_id for _ in range(3)}

    taken = await asyncio.gather(*(again(stores, 1) for _ in range(5)))

    assert sorted(filter(None, taken)) == sorted(made)


async def test_a_third_try_gets_the_job_of_the_second_beside_an_equal_request(stores: Stores) -> None:
    for _ in range(2):
        await first(stores)

    taken = await again(stores, 1)

    assert taken is not None
    assert await again(stores, 2) == taken


async def test_what_is_no_try_of_the_same_request_gets_nothing(stores: Stores) -> None:
    await first(stores)
    await accept(stores, session=None, idempotency_key="k", request_hash=stored_hash(Tried("keyed", 0)))

    assert await again(stores, 1, "other") is None
    assert await again(stores, 1, "keyed") is None
    assert await again(stores, 1, tenant_id="tenant-b") is None


async def test_a_job_that_has_ended_is_found_for_some_seconds(stores: Stores, clock: FakeClock) -> None:
    job_id = (await first(stores)).job_id
    await finish(stores, await claim_job(stores))

    clock.advance(KEPT_MS / 1000)
    assert await again(stores, 1) == job_id

    clock.advance(0.001)
    assert await again(stores, 2) is None
