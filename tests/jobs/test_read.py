"""What owners see of their jobs."""

import json

import pytest

from answerback.jobs.bodies import job_details
from answerback.jobs.finish import End
from answerback.jobs.kind import JobState
from answerback.jobs.model import JobFilter
from answerback.jobs.rows import LISTED_RESULT_CHARACTERS
from answerback.kernel.errors import ErrorCode, Failure, NotFound
from answerback.queue.attempts import Report
from answerback.testing.clock import FakeClock
from builders import REPORT, TENANT, accept, claim_delivery, claim_job, ended_job, later
from stores import Stores


async def test_a_list_reads_the_beginning_of_long_results_and_no_attempts(stores: Stores, clock: FakeClock) -> None:
    head = {"model": "m", "usage": {"total_tokens": 3}}
    short = head | {"text": "short"}
    deep = json.loads("[" * 250 + "]" * 250)
    for rest in ({"text": "short"}, {"text": 'é"\\' * LISTED_RESULT_CHARACTERS}, {"deep": deep, "text": "x" * 5_000}):
        await ended_job(stores, end=End.completed(head | rest))
        clock.advance(1)

    deep_record, long_record, short_record = (await stores.jobs.list(JobFilter(TENANT), None, 10)).records

    shown = [each.ending and each.ending.result for each in (deep_record, long_record, short_record)]
    assert shown == [{}, head, short]
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


REFUSED = Failure(ErrorCode.UPSTREAM_REFUSED, "too long", "messages", "context_length_exceeded")


async def test_why_an_upstream_refused_a_job_is_shown_with_the_parameter_and_the_upstreams_code(stores: Stores) -> None:
    job_id = await ended_job(stores, end=End(JobState.FAILED, failure=REFUSED))

    shown = job_details(await stores.jobs.get(TENANT, job_id)).model_dump(mode="json")

    assert shown["error"] == {
        "code": "upstream_refused",
        "message": "too long",
        "param": "messages",
        "upstream_code": "context_length_exceeded",
    }


async def test_only_operators_see_at_which_provider_an_attempt_failed(stores: Stores) -> None:
    accepted = await accept(stores)
    remark = "http://localhost:11434/v1 refused the connection; is it running?"
    await stores.jobs.put_off(await claim_job(stores), later(), Report("retry", "upstream_unreachable", remark=remark))

    record = await stores.jobs.get(TENANT, accepted.job_id)

    (shown,) = job_details(record, operator=True).attempts
    (hidden,) = job_details(record).attempts
    assert (shown.remark, hidden.remark) == (remark, None)
    assert "remark" not in hidden.model_dump()
