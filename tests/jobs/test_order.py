"""The promises under arbitrary histories: conversations stay in order, and each ended job owes exactly one callback."""

import random
from collections import defaultdict
from typing import Any

import pytest

from answerback.jobs import backlog
from answerback.jobs.expire import BATCH
from answerback.jobs.kind import ENDED, Claimed, JobState
from answerback.kernel.errors import Conflict
from answerback.testing.clock import FakeClock
from answerback.webhooks.model import ClaimedDelivery
from builders import (
    LEASE,
    REPORT,
    TENANT,
    accept,
    claim_deliveries,
    claim_delivery,
    claim_job,
    claim_jobs,
    completed,
    failed,
    finish,
    later,
    recover,
)
from databases import Database
from stores import Stores

SESSIONS = ["a", "b", "c", "d", None]


class History:
    """Does one arbitrary thing after the other, and remembers what was promised."""

    def __init__(self, seed: int, stores: list[Stores], clock: FakeClock) -> None:
        self.draw = random.Random(seed)
        self.stores = stores
        self.clock = clock
        self.accepted: defaultdict[str | None, list[str]] = defaultdict(list)
        self.answered: defaultdict[str | None, list[str]] = defaultdict(list)
        self.session_of: dict[str, str | None] = {}
        self.held: list[Claimed[Any]] = []
        self.awaiting: list[str] = []
        self.sending: list[ClaimedDelivery] = []
        self.delivered: list[str] = []

    @property
    def some(self) -> Stores:
        return self.draw.choice(self.stores)

    async def step(self) -> None:
        steps = [self.take, self.take, self.claim, self.claim, self.end, self.end, self.put_back, self.cancel]
        steps += [self.hand_over, self.resolve, self.lose, self.expire, self.send, self.report, self.die, self.orphans]
        await self.draw.choice(steps)()

    async def take(self) -> None:
        session = self.draw.choice(SESSIONS)
        deadline = self.draw.choice([5.0, 600.0, 6_000_000.0])
        job = await accept(self.some, session=session, deadline_seconds=deadline)
        self.accepted[session].append(job.job_id)
        self.session_of[job.job_id] = session

    async def claim(self) -> None:
        self.held += await claim_jobs(self.some, limit=self.draw.randint(1, 4))

    async def end(self) -> None:
        if self.held:
            claim = self.held.pop(self.draw.randrange(len(self.held)))
            if await finish(self.some, claim, self.draw.choice([completed(), completed(), failed()])):
                self.answered[self.session_of[claim.id]].append(claim.id)

    async def put_back(self) -> None:
        if self.held:
            claim = self.held.pop(self.draw.randrange(len(self.held)))
            if self.draw.random() < 0.5:
                await self.some.jobs.put_off(claim, later(self.draw.choice([0.0, 3.0])), REPORT)
            else:
                await self.some.jobs.release([(claim.id, claim.epoch)])

    async def hand_over(self) -> None:
        if self.held:
            claim = self.held.pop(self.draw.randrange(len(self.held)))
            if await self.some.jobs.hand_over(claim, self.draw.choice([2.0, 900.0]), REPORT):
                self.awaiting.append(claim.id)

    async def resolve(self) -> None:
        """The LLM calls back, perhaps too late."""
        if self.awaiting:
            job = self.awaiting.pop(self.draw.randrange(len(self.awaiting)))
            try:
                resolved = await self.some.jobs.resolve(job, "echo", completed())
            except Conflict:
                return
            if resolved.ended:
                self.answered[self.session_of[job]].append(job)

    async def cancel(self) -> None:
        every = [job for jobs in self.accepted.values() for job in jobs]
        if every:
            try:
                await self.some.jobs.cancel(TENANT, self.draw.choice(every))
            except Conflict:
                return

    async def lose(self) -> None:
        """Some worker stops; the holders of its claims do not know yet, and may still try to write."""
        self.clock.advance(self.draw.choice([1.0, LEASE]))
        await recover(self.some)

    async def expire(self) -> None:
        self.clock.advance(self.draw.random() * 3)
        await self.some.jobs.expire()

    async def orphans(self) -> None:
        assert (await self.some.jobs.release_orphans()).total() == 0
        assert await self.some.deliveries.release_orphans() == 0

    async def send(self) -> None:
        self.sending += await claim_deliveries(self.some, limit=3)

    async def report(self) -> None:
        if self.sending:
            claim = self.sending.pop(self.draw.randrange(len(self.sending)))
            if self.draw.random() < 0.3:
                await self.some.deliveries.send_later(claim, 2.0, REPORT)
            elif await self.some.deliveries.delivered(claim, REPORT):
                self.delivered.append(claim.job_id)

    async def die(self) -> None:
        if self.sending and await self.some.deliveries.dead(claim := self.sending.pop(), REPORT):
            self.delivered.append(claim.job_id)

    async def run_dry(self) -> None:
        """Lets everything end."""
        self.held.clear()
        self.sending.clear()
        for _ in range(1_000):
            self.clock.advance(LEASE)
            await recover(self.some)
            await self.some.jobs.expire()
            await self.claim()
            while self.held:
                await self.end()
            await self.send()
            while self.sending:
                await self.report()
            accepted = sum(map(len, self.accepted.values()))
            if await self.some.jobs.count_open() == 0 and len(self.delivered) == accepted:
                return
        raise AssertionError("something never ends")


def in_accepted_order(history: History) -> bool:
    return all(
        jobs == [job for job in history.accepted[session] if job in set(jobs)]
        for session, jobs in history.answered.items()
        if session is not None
    )


HEAD = "IN ('scheduled', 'queued', 'running', 'awaiting', 'quarantined')"
BROKEN = f"""
    SELECT 'pending is not the number of open jobs' FROM conversations c WHERE pending != (
        SELECT count(*) FROM jobs j WHERE j.conversation_id = c.id AND (state = 'held' OR state {HEAD}))
    UNION SELECT 'a held job has no head' FROM jobs h WHERE state = 'held' AND NOT EXISTS (
        SELECT 1 FROM jobs a WHERE a.conversation_id = h.conversation_id AND a.state {HEAD})
    UNION SELECT 'a held delivery has no head' FROM deliveries h WHERE state = 'held' AND NOT EXISTS (
        SELECT 1 FROM deliveries a WHERE a.conversation_id = h.conversation_id AND a.destination = h.destination
        AND a.state IN ('pending', 'sending'))
    UNION SELECT 'two jobs are on probation' FROM jobs WHERE state IN ('queued', 'running') AND lease_losses >= 2
        GROUP BY 1 HAVING count(*) > 1
    UNION SELECT 'a job owes another number of callbacks' FROM jobs j LEFT JOIN deliveries d ON d.job_id = j.id
        GROUP BY j.id, j.finished_at HAVING count(d.id) != CASE WHEN j.finished_at IS NULL THEN 0 ELSE 1 END
"""
"""What is wrong in the database at the moment."""


HISTORIES = [*(("sqlite", seed) for seed in range(6)), *(("postgres", seed) for seed in range(2))]
"""Those of PostgreSQL take four times as long, and go the same ways."""


@pytest.mark.parametrize(("database", "seed"), HISTORIES, indirect=["database"])
async def test_order_and_custody_survive_any_history(
    stores: Stores, database: Database, clock: FakeClock, seed: int
) -> None:
    other = await database.open(clock)
    history = History(seed, [stores, other], clock)
    try:
        for n in range(300):
            await history.step()
            if n % 10 == 0:
                assert await database.rows(BROKEN) == []
        open_jobs = (await database.rows("SELECT count(*) FROM jobs WHERE finished_at IS NULL"))[0][0]
        assert await stores.jobs.count_open() == open_jobs

        await history.run_dry()
    finally:
        await other.close()

    assert in_accepted_order(history)
    assert await database.rows(BROKEN) == []
    assert len(history.delivered) == len(set(history.delivered))
    states = {JobState(state) for (state,) in await database.rows("SELECT state FROM jobs")}
    assert states <= ENDED


@pytest.fixture
def without_recounts(monkeypatch: pytest.MonkeyPatch) -> None:
    """What commits while a count runs counts twice until the next: on a slow machine one would come into a history."""
    monkeypatch.setattr(backlog, "RECOUNT_SECONDS", 600.0)


@pytest.mark.usefixtures("without_recounts")
async def test_the_in_memory_backlog_agrees_with_the_database(
    stores: Stores, database: Database, clock: FakeClock
) -> None:
    history = History(99, [stores], clock)
    for _ in range(300):
        await history.step()

    counted = await database.rows("SELECT tenant_id, count(*) FROM jobs WHERE finished_at IS NULL GROUP BY tenant_id")

    assert stores.backlog.size() == sum(count for _, count in counted)
    assert all(stores.backlog.size_of(tenant_id) == count for tenant_id, count in counted)


async def test_a_held_job_without_a_head_is_released(stores: Stores, database: Database) -> None:
    await accept(stores)
    orphan = (await accept(stores)).job_id
    await database.execute("DELETE FROM jobs WHERE state = 'queued'")

    assert (await stores.jobs.release_orphans())["jobs_orphaned"] == 1

    assert [claim.id for claim in await claim_jobs(stores)] == [orphan]
    assert (await stores.jobs.release_orphans()).total() == 0


async def test_a_held_delivery_without_a_head_is_released(stores: Stores, database: Database) -> None:
    for _ in range(2):
        await accept(stores)
        await finish(stores, (await claim_jobs(stores))[0])
    await database.execute("DELETE FROM deliveries WHERE state = 'pending'")

    assert await stores.deliveries.release_orphans() == 1

    assert len(await claim_deliveries(stores)) == 1


async def called_back(stores: Stores, count: int) -> list[str]:
    """The next jobs whose deliveries a receiver gets, one after the other."""
    jobs = []
    for _ in range(count):
        claim = await claim_delivery(stores)
        jobs.append(claim.job_id)
        assert await stores.deliveries.delivered(claim, REPORT)
    return jobs


async def test_messages_whose_deadlines_pass_together_are_called_back_in_order(
    stores: Stores, clock: FakeClock
) -> None:
    deadlines = (30.0, 20.0, 10.0)
    jobs = [(await accept(stores, deadline_seconds=seconds)).job_id for seconds in deadlines]
    clock.advance(30)

    assert (await stores.jobs.expire())["jobs_expired"] == 3

    assert await called_back(stores, 3) == jobs


async def test_of_more_messages_than_a_sweep_takes_the_earlier_ones_are_called_back_first(
    stores: Stores, clock: FakeClock
) -> None:
    jobs = [(await accept(stores, deadline_seconds=10.0)).job_id for _ in range(BATCH + 1)]
    # Written again, it may stand behind the others in the table.
    await stores.jobs.put_off(await claim_job(stores), later(100.0), REPORT)
    clock.advance(10)

    while (await stores.jobs.expire()).total():
        pass

    assert await called_back(stores, 3) == jobs[:3]
