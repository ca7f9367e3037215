"""Many answers that come at once: whose outcome is stored first, and how many at a time."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from answerback.conversations.windows import DatabaseWindows
from answerback.jobs.kind import Registry
from answerback.jobs.run import LATELY_SECONDS, SETTLING_ALONE, SETTLING_AT_ONCE, JobRunner
from answerback.kernel.instruments import Instruments
from answerback.queue.leases import Offer
from answerback.testing.clock import FakeClock
from answerback.webhooks.birth import DeliveryBirths
from builders import Journal, NoPlaces, Notifier, accept, claim_jobs
from stores import Stores
from toy import EchoKind

MANY = 3 * SETTLING_AT_ONCE


class Counted(NoPlaces):
    """How many outcomes were stored at a time."""

    def __init__(self) -> None:
        super().__init__()
        self.now = self.most = 0

    async def insert(self, tenant_id: str, url: str | None, insert: Callable[[Offer | None], Awaitable[Any]]) -> Any:
        self.now += 1
        self.most = max(self.most, self.now)
        try:
            return await super().insert(tenant_id, url, insert)
        finally:
            self.now -= 1


def runner_of(stores: Stores, clock: FakeClock, journal: Journal, deliveries: DeliveryBirths) -> JobRunner:
    windows, instruments = DatabaseWindows(stores.conversations), Instruments(journal, clock)
    return JobRunner(stores.jobs, Registry([EchoKind()]), Notifier(), windows, deliveries, instruments)


async def run_all(runner: JobRunner, stores: Stores, last: str | None = None) -> None:
    """Runs what is queued, all at once; the `last` one begins behind the others."""
    claims = sorted(await claim_jobs(stores, MANY + 1), key=lambda claim: claim.id == last)
    async with asyncio.TaskGroup() as runs:
        for claim in claims:
            runs.create_task(runner.run(claim))


async def test_an_answer_is_stored_before_the_many_of_another_tenant_that_came_with_it(
    stores: Stores, clock: FakeClock, journal: Journal
) -> None:
    # Given jobs of one tenant and, behind them, one of another that had one lately, all answered at once
    runner = runner_of(stores, clock, journal, NoPlaces())
    await accept(stores, session=None, tenant_id="small")
    await run_all(runner, stores)
    for _ in range(MANY):
        await accept(stores, session=None)
    small = (await accept(stores, session=None, tenant_id="small")).job_id

    await run_all(runner, stores, small)

    stored: list[Any] = [fields["job"] for event, fields in journal.lines if event == "answered"][1:]
    assert len(stored) == MANY + 1
    assert stored.index(small) < SETTLING_AT_ONCE


@pytest.mark.parametrize(
    ("since", "fewest", "most"),
    [(0.0, 1, SETTLING_AT_ONCE), (LATELY_SECONDS, SETTLING_AT_ONCE + 1, SETTLING_ALONE)],
    ids=["beside another tenant", "alone for a while"],
)
async def test_a_tenant_that_is_alone_has_more_outcomes_stored_at_a_time(
    since: float, fewest: int, most: int, stores: Stores, clock: FakeClock, journal: Journal
) -> None:
    deliveries = Counted()
    runner = runner_of(stores, clock, journal, deliveries)
    await accept(stores, session=None, tenant_id="another")
    await run_all(runner, stores)
    clock.advance(since)
    for _ in range(MANY):
        await accept(stores, session=None)

    await run_all(runner, stores)

    assert fewest <= deliveries.most <= most
