"""Jobs of the batch queue get what interactive jobs leave, and always some."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from shop import Shop, SlowEcho

from answerback.jobs.kind import Claimed, JobState, Queue, Registry
from answerback.jobs.model import Accepted, JobClaims, Submission
from answerback.jobs.outcome import Outcome
from answerback.jobs.store import JobStore
from answerback.queue import pace
from answerback.queue import worker_pool as pools
from builders import LEASE, TENANT, URL, RealClock, accept, claim_jobs, roomy
from databases import Database
from fallbacks import Fallbacks
from stores import Stores
from toy import EchoKind, Note


class Batched(EchoKind):
    """Of the batch queue; a run lasts until `let_go` is set."""

    name = "batched"
    queue = Queue.BATCH

    def __init__(self) -> None:
        super().__init__()
        self.let_go = asyncio.Event()
        self.running = 0
        self.changed = asyncio.Condition()

    async def run(self, claim: Claimed[Note]) -> Outcome:
        await self._count(+1)
        await self.let_go.wait()
        await self._count(-1)
        return await super().run(claim)

    async def until(self, running: int) -> None:
        async with asyncio.timeout(20), self.changed:
            await self.changed.wait_for(lambda: self.running == running)

    async def _count(self, step: int) -> None:
        async with self.changed:
            self.running += step
            self.changed.notify_all()


@pytest.fixture(autouse=True)
def quick_poll(monkeypatch: pytest.MonkeyPatch) -> None:
    """The batch queue is polled."""
    monkeypatch.setattr(pools, "POLL_SECONDS", 0.02)


@pytest.fixture
async def batched() -> Batched:
    return Batched()


@pytest.fixture
async def shop(database: Database, fallbacks: Fallbacks, batched: Batched) -> AsyncIterator[Shop]:
    """Ten places."""
    stores = await database.open(RealClock(), metrics=fallbacks, kinds=Registry([SlowEcho(), batched]))
    made = Shop(stores, concurrency=10)
    made.engine.start()
    yield made
    batched.let_go.set()
    await made.close()
    await stores.close()


async def submit(shop: Shop, kind: Batched, count: int) -> list[Accepted]:
    wanted = [Submission(kind, Note(f"b{n}"), f"{TENANT}-{n % 5}", URL) for n in range(count)]
    return await asyncio.gather(*(shop.submitter.submit(each) for each in wanted))


async def test_a_job_of_the_batch_queue_is_answered_and_delivered(shop: Shop, batched: Batched) -> None:
    batched.let_go.set()

    await submit(shop, batched, 1)

    await shop.mailbox.until(lambda: len(shop.mailbox.sent) == 1)


async def test_a_backlog_of_the_batch_queue_leaves_places_to_interactive_jobs(shop: Shop, batched: Batched) -> None:
    await submit(shop, batched, 30)
    await batched.until(running=6)

    for n in range(5):
        await shop.submit(f"live {n}", session=None)

    await shop.mailbox.until(lambda: len(shop.mailbox.sent) == 5)
    assert batched.running == 6


async def test_interactive_jobs_that_fill_their_places_do_not_stop_the_batch_queue(
    shop: Shop, batched: Batched
) -> None:
    shop.kind.let_go.clear()
    batched.let_go.set()
    live = [Submission(shop.kind, Note(f"live {n}"), f"{TENANT}-{n}", URL) for n in range(30)]
    await asyncio.gather(*(shop.submitter.submit(each) for each in live))

    await submit(shop, batched, 3)

    await shop.mailbox.until(lambda: len(shop.mailbox.sent) == 3)
    assert {body["echo"] for body in shop.mailbox.bodies} == {"b0", "b1", "b2"}


async def test_interactive_jobs_take_the_places_that_batch_jobs_leave(
    shop: Shop, batched: Batched, monkeypatch: pytest.MonkeyPatch
) -> None:
    await submit(shop, batched, 30)
    await batched.until(running=6)
    monkeypatch.setattr(pools, "POLL_SECONDS", 3_600.0)
    shop.kind.let_go.clear()
    live = [Submission(shop.kind, Note(f"live {n}"), f"{TENANT}-{n}", URL) for n in range(9)]
    await asyncio.gather(*(shop.submitter.submit(each) for each in live))

    batched.let_go.set()

    async with asyncio.timeout(20):
        while len(shop.kind.texts) < 9:
            shop.kind.asked.clear()
            await shop.kind.asked.wait()


@pytest.mark.parametrize(("live", "at_once"), [(False, 6), (True, 1)])
async def test_beside_live_jobs_batch_jobs_begin_one_by_one(
    shop: Shop, batched: Batched, monkeypatch: pytest.MonkeyPatch, live: bool, at_once: int
) -> None:
    monkeypatch.setattr(pace, "LATE_SECONDS", 3_600.0)
    monkeypatch.setattr(pace, "INCREASE", pace.MOST)
    claim, limits = JobStore.claim, []

    async def noting(self: JobStore, owner: str, limit: int, *arguments: Any) -> JobClaims:
        if arguments[-1] is Queue.BATCH:
            limits.append(limit)
        return await claim(self, owner, limit, *arguments)

    monkeypatch.setattr(JobStore, "claim", noting)
    if live:
        await shop.submit("live", session=None)
        await shop.mailbox.until(lambda: len(shop.mailbox.sent) == 1)
        limits.clear()

    await submit(shop, batched, 30)

    await batched.until(running=6)
    assert max(limits) == at_once


async def test_a_cancelled_batch_job_stops_running(shop: Shop, batched: Batched) -> None:
    (accepted,) = await submit(shop, batched, 1)
    await batched.until(running=1)

    await shop.canceller.cancel(f"{TENANT}-0", accepted.job_id)

    await shop.mailbox.until(lambda: len(shop.mailbox.sent) == 1)
    assert shop.mailbox.bodies[0]["status"] == "cancelled"


async def test_each_queue_is_claimed_by_itself(stores: Stores) -> None:
    await accept(stores, "live", session=None)
    await accept(stores, "batch", session=None, queue=Queue.BATCH)

    live = await claim_jobs(stores)
    batch = list((await stores.jobs.claim("worker", 10, LEASE, roomy(), Queue.BATCH)).jobs)

    assert [each.job.args.text for each in live] == ["live"]
    assert [each.job.args.text for each in batch] == ["batch"]
    assert (await stores.jobs.get(TENANT, batch[0].id)).state is JobState.RUNNING
