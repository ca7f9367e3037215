"""Claims over random arrivals, weights, slow jobs, retries and crashes: each tenant gets its share, and no job waits
for more than its tenant's own backlog."""

import random
from collections import Counter, deque
from dataclasses import dataclass, field

from answerback.jobs.kind import Claimed
from answerback.testing.clock import FakeClock
from builders import LEASE, REPORT, accept, claim_jobs, finish, later, recover
from databases import Database
from stores import Stores
from toy import Note

WEIGHTS = {"a": 1, "b": 1, "c": 2, "d": 4}
CLAIMS = 1_500
WINDOW = 1_000
RUNNING = 40
AHEAD = sum(WEIGHTS.values()) + RUNNING
"""One round of the tenants, and what was given back: that keeps its rank."""


@dataclass
class Simulation:
    """Keeps work waiting for every tenant, and ends each claim in some way."""

    stores: Stores
    clock: FakeClock
    luck: random.Random
    claimed: list[str] = field(default_factory=list)
    running: deque[Claimed[Note]] = field(default_factory=deque)
    expected: dict[str, float] = field(default_factory=dict)
    """By when each job that was queued at once is claimed, in claims, if it waits for its tenant's own backlog."""
    latest: float = 0.0
    """By how many claims a job came later than that."""

    async def arrive(self, tenant_id: str, count: int) -> None:
        for _ in range(count):
            session = f"{tenant_id}-{self.luck.randrange(400)}" if self.luck.random() < 0.2 else None
            backlog = self.stores.backlog.size_of(tenant_id)
            accepted = await accept(self.stores, session=session, tenant_id=tenant_id)
            if accepted.queued:
                turns = sum(WEIGHTS.values()) / WEIGHTS.get(tenant_id, 1)
                self.expected[accepted.job_id] = len(self.claimed) + backlog * turns

    async def step(self) -> None:
        claims = await claim_jobs(self.stores, limit=self.luck.randint(1, 10))
        self.claimed += [each.tenant_id for each in claims]
        self.running += claims
        for each in claims:
            if (expected := self.expected.pop(each.id, None)) is not None:
                self.latest = max(self.latest, len(self.claimed) - expected)
            # As many come as leave: each tenant has work all the time.
            await self.arrive(each.tenant_id, 1)
        while len(self.running) > RUNNING:
            await self.end(self.running.popleft())
        self.clock.advance(self.luck.random())

    async def end(self, claim: Claimed[Note]) -> None:
        what = self.luck.random()
        if what < 0.70:
            await finish(self.stores, claim)
        elif what < 0.80:
            await self.stores.jobs.put_off(claim, later(self.luck.random() * 5), REPORT)
        elif what < 0.90:
            await self.stores.jobs.release([(claim.id, claim.epoch)])
        else:
            # Its worker stopped: the lease runs out, for the others that run are ended by then.
            while self.running:
                await finish(self.stores, self.running.popleft())
            self.clock.advance(LEASE + 1)
            await recover(self.stores)


async def test_each_tenant_gets_its_share_of_any_thousand_claims_and_no_job_waits_for_anothers_backlog(
    stores: Stores, database: Database, clock: FakeClock
) -> None:
    for tenant_id, weight in WEIGHTS.items():
        await database.execute(f"INSERT INTO tenants (id, weight, created_at) VALUES ('{tenant_id}', {weight}, 0)")
    simulation = Simulation(stores, clock, random.Random(1))
    for tenant_id in WEIGHTS:
        await simulation.arrive(tenant_id, 60)

    while len(simulation.claimed) < CLAIMS:
        await simulation.step()

    worst = 0.0
    for start in range(0, len(simulation.claimed) - WINDOW, 50):
        window = Counter(simulation.claimed[start : start + WINDOW])
        for tenant_id, weight in WEIGHTS.items():
            expected = WINDOW * weight / sum(WEIGHTS.values())
            worst = max(worst, abs(window[tenant_id] - expected) / expected)
    assert worst <= 0.05
    assert simulation.latest <= AHEAD
    assert len(simulation.claimed) - min(simulation.expected.values()) <= AHEAD
    await simulation.arrive("newcomer", 1)
    assert "newcomer" in {each.tenant_id for each in await claim_jobs(stores, limit=AHEAD + 1)}
