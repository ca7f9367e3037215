"""What owners see of their jobs."""

import pytest

from answerback.jobs.kind import JobState
from answerback.jobs.rows import LISTED_RESULT_CHARACTERS
from answerback.kernel.errors import NotFound
from answerback.testing.clock import FakeClock
from builders import REPORT, TENANT, accept, claim_delivery, completed, ended_job
from stores import Stores


async def test_jobs_are_listed_newest_first_by_page_state_and_session(stores: Stores, clock: FakeClock) -> None:
    made = []
    for n in range(6):
        made.append((await accept(stores, session=f"s{n % 2}")).job_id)
        clock.advance(1)
    await stores.jobs.cancel(TENANT, made[0])

    async def listed(state: JobState | None, session: str | None, before: str | None, limit: int) -> list[str]:
        return [each.job.id for each in await stores.jobs.list(TENANT, state, session, before, limit)]

    assert await listed(None, None, None, 10) == made[::-1]
    assert await listed(None, None, None, 2) == [made[5], made[4]]
    assert await listed(None, None, made[4], 2) == [made[3], made[2]]
    assert await listed(None, "s1", None, 10) == [made[5], made[3], made[1]]
    assert await listed(JobState.CANCELLED, None, None, 10) == [made[0]]
    assert await listed(None, "unknown", None, 10) == []


async def test_a_list_leaves_out_long_results_attempts_and_deliveries(stores: Stores, clock: FakeClock) -> None:
    short = {"text": "short"}
    for text in ("short", "x" * LISTED_RESULT_CHARACTERS):
        await ended_job(stores, end=completed(text))
        clock.advance(1)

    long_record, short_record = await stores.jobs.list(TENANT, None, None, None, 10)

    assert long_record.ending is not None
    assert short_record.ending is not None
    assert (long_record.ending.result, short_record.ending.result) == (None, short)
    assert (short_record.attempts, short_record.attempts_made, short_record.deliveries) == ((), 1, ())


async def test_one_job_is_shown_with_its_attempts_and_deliveries(stores: Stores, clock: FakeClock) -> None:
    job_id = await ended_job(stores)
    assert await stores.deliveries.delivered(await claim_delivery(stores), REPORT)

    record = await stores.jobs.get(TENANT, job_id)

    assert [each.status for each in record.attempts] == [REPORT.status]
    (delivery,) = record.deliveries
    assert (delivery.state, delivery.delivered_at) == ("delivered", clock.now())


async def test_another_tenants_job_does_not_exist(stores: Stores) -> None:
    job_id = await ended_job(stores)

    with pytest.raises(NotFound):
        await stores.jobs.get("tenant-b", job_id)
    assert await stores.jobs.list("tenant-b", None, None, None, 10) == []
