"""What owners see of their jobs."""

import pytest

from answerback.jobs.model import JobFilter
from answerback.jobs.rows import LISTED_RESULT_CHARACTERS
from answerback.kernel.errors import NotFound
from answerback.testing.clock import FakeClock
from builders import REPORT, TENANT, claim_delivery, completed, ended_job
from stores import Stores


async def test_a_list_leaves_out_long_results_and_attempts(stores: Stores, clock: FakeClock) -> None:
    short = {"text": "short"}
    for text in ("short", "x" * LISTED_RESULT_CHARACTERS):
        await ended_job(stores, end=completed(text))
        clock.advance(1)

    long_record, short_record = (await stores.jobs.list(JobFilter(TENANT), None, 10)).records

    assert long_record.ending is not None
    assert short_record.ending is not None
    assert (long_record.ending.result, short_record.ending.result) == (None, short)
    assert (short_record.attempts, short_record.attempts_made) == ((), 1)
    assert [each.attempts for each in short_record.deliveries] == [()]


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
    assert (await stores.jobs.list(JobFilter("tenant-b"), None, 10)).records == ()
