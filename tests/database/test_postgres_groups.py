"""Groups of operations at PostgreSQL: they share transactions, and each gets the result it would have got alone."""

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator

import pytest

from answerback.jobs.kind import Effects, Ending, Job, Registry
from answerback.jobs.model import Accepted, Finished, Limits
from answerback.kernel.errors import ConversationFull, IdempotencyConflict, Overloaded
from answerback.testing.clock import FakeClock
from builders import (
    LEASE,
    REPORT,
    ROOMY,
    TENANT,
    accept,
    claim_deliveries,
    claim_job,
    claim_jobs,
    completed,
    finish,
    new_job,
    recover,
)
from databases import PostgresDatabase
from fallbacks import Fallbacks
from stores import Stores
from toy import EchoKind, Note


@pytest.fixture
async def processes(postgres: PostgresDatabase, clock: FakeClock, fallbacks: Fallbacks) -> AsyncIterator[list[Stores]]:
    """The stores of three."""
    opened = [await postgres.open(clock, metrics=fallbacks) for _ in range(3)]
    yield opened
    for stores in opened:
        await stores.close()


@pytest.fixture
def stores(processes: list[Stores]) -> Stores:
    return processes[0]


async def transactions(postgres: PostgresDatabase, table: str) -> int:
    """How many wrote the rows that are there."""
    (row,) = await postgres.rows(f"SELECT count(DISTINCT xmin::text) FROM {table}")
    return int(row[0])


async def test_operations_that_come_at_once_share_transactions(stores: Stores, postgres: PostgresDatabase) -> None:
    accepted = await asyncio.gather(*(accept(stores, session=f"s{n % 50}") for n in range(500)))
    accepting = await transactions(postgres, "jobs")
    await asyncio.gather(*(finish(stores, claim) for claim in await claim_jobs(stores)))
    finishing = await transactions(postgres, "deliveries")

    # Of 500 and of 50.
    assert accepting <= 6
    assert finishing <= 3
    assert sorted(each.position or 0 for each in accepted) == sorted([*range(1, 11)] * 50)


async def test_operations_that_come_one_by_one_form_groups_behind_the_first(
    stores: Stores, postgres: PostgresDatabase
) -> None:
    accepting: set[asyncio.Task[Accepted]] = set()
    for n in range(300):
        accepting.add(asyncio.create_task(accept(stores, session=f"s{n}")))
        # Each has started before the next comes.
        await asyncio.wait(accepting, timeout=0)

    await asyncio.gather(*accepting)

    assert await transactions(postgres, "jobs") <= 100


async def test_large_payloads_are_spread_over_several_transactions(stores: Stores, postgres: PostgresDatabase) -> None:
    megabyte = "m" * 1024**2

    await asyncio.gather(*(accept(stores, megabyte, session=None) for _ in range(24)))
    accepting = await transactions(postgres, "jobs")
    await asyncio.gather(*(finish(stores, claim, completed(megabyte)) for claim in await claim_jobs(stores)))
    finishing = await transactions(postgres, "deliveries")

    # An answer is written three times.
    assert (accepting, finishing) == (24 // 8, 24 // 3)


async def test_of_many_requests_with_one_idempotency_key_one_is_accepted(
    processes: list[Stores], postgres: PostgresDatabase, fallbacks: Fallbacks
) -> None:
    fallbacks.allow("accept")
    accepting = [
        accept(processes[n % 3], session=None, idempotency_key="once", request_hash="same" if n % 10 else "another")
        for n in range(1_000)
    ]

    results = await asyncio.gather(*accepting, return_exceptions=True)

    jobs = [each for each in results if isinstance(each, Accepted)]
    assert (len({each.job_id for each in jobs}), sum(each.created for each in jobs)) == (1, 1)
    assert all(isinstance(each, Accepted | IdempotencyConflict) for each in results)
    assert await postgres.rows("SELECT count(*) FROM jobs") == [(1,)]


async def test_a_group_gets_as_far_into_a_conversation_as_there_is_room(stores: Stores) -> None:
    limits = Limits(conversation_pending=5, queued_jobs=1_000, queued_jobs_per_tenant=100_000)

    results = await asyncio.gather(*(stores.jobs.accept(new_job(), limits) for _ in range(20)), return_exceptions=True)

    assert Counter(type(each) for each in results) == {Accepted: 5, ConversationFull: 15}
    assert await stores.jobs.count_open() == 5


async def test_a_group_stops_at_the_limit_of_the_queue(stores: Stores, postgres: PostgresDatabase) -> None:
    limits = Limits(conversation_pending=10, queued_jobs=7, queued_jobs_per_tenant=100_000)

    results = await asyncio.gather(
        *(stores.jobs.accept(new_job(session=None), limits) for _ in range(300)), return_exceptions=True
    )

    ends = Counter(type(each) for each in results)
    assert ends.keys() == {Accepted, Overloaded}
    # Two groups may be under way at a time, and neither sees what the other has accepted.
    assert 7 <= ends[Accepted] <= 14
    assert await postgres.rows("SELECT count(*) FROM jobs") == [(ends[Accepted],)]


class Fragile(EchoKind):
    def effects(self, job: Job[Note | None], ending: Ending) -> Effects:
        if job.args == Note("broken"):
            raise ValueError("no callback can be made of this")
        return super().effects(job, ending)


async def test_what_breaks_belongs_to_its_caller(postgres: PostgresDatabase, clock: FakeClock) -> None:
    stores = await postgres.open(clock, kinds=Registry([Fragile()]))
    try:
        for n in range(20):
            await accept(stores, "broken" if n == 7 else "fine", session=f"s{n}")
        results = await asyncio.gather(
            *(finish(stores, claim) for claim in await claim_jobs(stores)), return_exceptions=True
        )
    finally:
        await stores.close()

    assert Counter(type(each) for each in results) == {Finished: 19, ValueError: 1}
    assert await postgres.rows("SELECT count(*) FROM deliveries") == [(19,)]


async def test_no_row_is_claimed_twice(processes: list[Stores]) -> None:
    jobs = {(await accept(processes[0], session=None)).job_id for _ in range(120)}

    claims = await asyncio.gather(*(claim_jobs(stores, limit=5) for stores in processes * 20))

    claimed = [claim.id for batch in claims for claim in batch]
    assert len(claimed) == len(set(claimed))
    assert set(claimed) <= jobs
    while batch := await claim_jobs(processes[1]):
        claimed += [claim.id for claim in batch]
    assert sorted(claimed) == sorted(jobs)


async def test_what_others_open_counts_after_a_while(processes: list[Stores], monkeypatch: pytest.MonkeyPatch) -> None:
    ours, other = processes[0].jobs, processes[1].jobs
    limits = Limits(conversation_pending=10, queued_jobs=3, queued_jobs_per_tenant=100_000)
    for _ in range(3):
        await other.accept(new_job(session=None), ROOMY)
    await ours.accept(new_job(session=None), limits)

    monkeypatch.setattr(ours._recount, "_due_at", 0.0)
    await ours.accept(new_job(session=None), ROOMY)
    await ours._recount.close()

    with pytest.raises(Overloaded):
        await ours.accept(new_job(session=None), limits)


class Storm:
    """Everything at once, from every process, on a few conversations."""

    def __init__(self, seed: int, processes: list[Stores], clock: FakeClock) -> None:
        self.draw = random.Random(seed)
        self.processes = processes
        self.clock = clock
        self.accepted: list[str] = []

    @property
    def stores(self) -> Stores:
        """Of any process."""
        return self.draw.choice(self.processes)

    async def take(self) -> None:
        session = self.draw.choice(["a", "b", "c", None])
        job = await accept(self.stores, session=session, deadline_seconds=self.draw.choice([3.0, 600.0]))
        self.accepted.append(job.job_id)

    async def work(self) -> None:
        stores = self.stores
        for claim in await claim_jobs(stores, limit=4):
            await finish(stores, claim)

    async def crash(self) -> None:
        await claim_jobs(self.stores, limit=1)

    async def deliver(self) -> None:
        deliveries = self.stores.deliveries
        for claim in await claim_deliveries(self.stores, limit=4):
            settle = self.draw.choice([deliveries.delivered, deliveries.dead])
            await settle(claim, REPORT)

    async def cancel(self) -> None:
        if self.accepted:
            await asyncio.gather(
                self.stores.jobs.cancel(TENANT, self.draw.choice(self.accepted[-10:])), return_exceptions=True
            )

    async def sweep(self) -> None:
        self.clock.advance(self.draw.choice([0.1, LEASE]))
        stores = self.stores
        await recover(stores)
        await stores.jobs.expire()
        await stores.deliveries.expire(lambda _: False)
        assert (await stores.jobs.release_orphans()).total() == 0
        assert await stores.deliveries.release_orphans() == 0

    async def blow(self) -> None:
        """Forty things at a time."""
        each = [self.take] * 5 + [self.work] * 3 + [self.deliver] * 2 + [self.crash, self.cancel, self.sweep]
        await asyncio.gather(*(self.draw.choice(each)() for _ in range(40)))

    async def calm(self) -> None:
        for _ in range(100):
            self.clock.advance(LEASE)
            await self.sweep()
            await self.work()
            await self.deliver()


@pytest.mark.parametrize("seed", range(3))
async def test_conversations_and_callbacks_survive_a_storm(
    processes: list[Stores], postgres: PostgresDatabase, clock: FakeClock, fallbacks: Fallbacks, seed: int
) -> None:
    fallbacks.allow("accept", "finish", "report", "expire_jobs", "recover_jobs", "recover_deliveries")
    storm = Storm(seed, processes, clock)
    for _ in range(10):
        await storm.blow()
    await storm.calm()

    assert await postgres.rows("SELECT count(*) FROM jobs WHERE finished_at IS NULL") == [(0,)]
    assert await postgres.rows("SELECT count(*) FROM deliveries WHERE state NOT IN ('delivered', 'dead')") == [(0,)]
    assert await postgres.rows("SELECT count(*), count(DISTINCT job_id) FROM deliveries") == [
        (len(storm.accepted), len(storm.accepted))
    ]
    assert await postgres.rows("SELECT count(*) FROM conversations WHERE pending != 0") == [(0,)]


async def test_a_conversation_is_read_by_many_at_once(stores: Stores) -> None:
    await accept(stores, "said")
    claim = await claim_job(stores)
    await finish(stores, claim)
    conversation_id = claim.job.conversation_id
    assert conversation_id is not None

    read = await asyncio.gather(*(stores.conversations.recall(TENANT, conversation_id, 1) for _ in range(50)))

    assert [[entry.items for entry in each.entries] for each in read] == [[[{"type": "message", "text": "said"}]]] * 50
    found = await asyncio.gather(*(stores.jobs.find_accepted(TENANT, f"k{n}", "hash") for n in range(50)))
    assert found == [None] * 50
    assert (await stores.jobs.accept(new_job(), ROOMY)).position == 2
