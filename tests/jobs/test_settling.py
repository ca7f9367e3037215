"""Many answers that come at once: whose outcome is stored first."""

import asyncio
from typing import Any

from answerback.conversations.windows import DatabaseWindows
from answerback.jobs.kind import Registry
from answerback.jobs.run import SETTLING_AT_ONCE, JobRunner
from answerback.kernel.instruments import Instruments
from answerback.testing.clock import FakeClock
from builders import Journal, NoPlaces, Notifier, accept, claim_jobs
from stores import Stores
from toy import EchoKind

MANY = 3 * SETTLING_AT_ONCE


async def test_an_answer_is_stored_before_the_many_of_another_tenant_that_came_with_it(
    stores: Stores, clock: FakeClock, journal: Journal
) -> None:
    # Given jobs of one tenant and, behind them, one of another, all answered at once
    for _ in range(MANY):
        await accept(stores, session=None)
    small = (await accept(stores, session=None, tenant_id="small")).job_id
    claims = sorted(await claim_jobs(stores, MANY + 1), key=lambda claim: claim.id == small)
    windows, instruments = DatabaseWindows(stores.conversations), Instruments(journal, clock)
    runner = JobRunner(stores.jobs, Registry([EchoKind()]), Notifier(), windows, NoPlaces(), instruments)

    async with asyncio.TaskGroup() as runs:
        for claim in claims:
            runs.create_task(runner.run(claim))

    stored: list[Any] = [fields["job"] for event, fields in journal.lines if event == "answered"]
    assert len(stored) == MANY + 1
    assert stored.index(small) < SETTLING_AT_ONCE
