"""Jobs in the hands of an LLM that answers by webhook: handed over, answered from outside, or never."""

import json

import pytest

from answerback.jobs.finish import End
from answerback.jobs.kind import JobState
from answerback.jobs.model import Resolved
from answerback.kernel.errors import Conflict, ErrorCode, Failure, NotFound
from answerback.queue.attempts import Report
from answerback.testing.clock import FakeClock
from builders import (
    FAILURE,
    LEASE,
    REPORT,
    TENANT,
    accept,
    claim_delivery,
    claim_job,
    claim_jobs,
    failed,
    finish,
    later,
    state_of,
)
from databases import Database
from stores import Stores

TIMEOUT = 100.0
HANDED_OVER = Report("handed_over", duration_ms=5)
TAKEN = Resolved(ended=True, delivered=False)
KNOWN = Resolved(ended=False, delivered=False)
DELIVERED = Resolved(ended=False, delivered=True)
GOOD = End.completed({"text": "fine", "score": 1})


async def hand_in(stores: Stores, deadline: float = 86_400.0) -> str:
    return (await accept(stores, session=None, deadline_seconds=deadline)).job_id


async def awaiting(stores: Stores, deadline: float = 86_400.0) -> str:
    """A job that its LLM has taken."""
    job_id = await hand_in(stores, deadline)
    assert await stores.jobs.hand_over(await claim_job(stores), TIMEOUT, HANDED_OVER)
    return job_id


async def test_handing_over_ends_the_lease_and_says_until_when(stores: Stores, clock: FakeClock) -> None:
    job_id = await hand_in(stores)
    claim = await claim_job(stores)
    await stores.jobs.put_off(claim, later(0), REPORT)

    assert await stores.jobs.hand_over(await claim_job(stores), TIMEOUT, HANDED_OVER)

    record = await stores.jobs.get(TENANT, job_id)
    assert (record.state, record.failure, record.run_at) == (JobState.AWAITING, None, clock.now() + 100_000)
    assert [each.status for each in record.attempts] == ["reported", "handed_over"]
    clock.advance(LEASE + 1)
    assert (await stores.jobs.recover()).total() == 0
    assert await claim_jobs(stores) == []


async def test_a_stale_worker_cannot_hand_over(stores: Stores, clock: FakeClock, database: Database) -> None:
    await hand_in(stores)
    claim = await claim_job(stores)
    clock.advance(LEASE + 1)
    await stores.jobs.recover()
    before = await database.dump()

    assert not await stores.jobs.hand_over(claim, TIMEOUT, HANDED_OVER)
    assert await database.dump() == before


async def test_no_answer_in_time(stores: Stores, clock: FakeClock) -> None:
    job_id = await awaiting(stores)
    clock.advance(TIMEOUT - 1)
    assert (await stores.jobs.expire()).total() == 0
    clock.advance(1)

    swept = await stores.jobs.expire()

    assert (swept["jobs_unanswered"], swept["jobs_expired"]) == (1, 0)
    record = await stores.jobs.get(TENANT, job_id)
    assert record.failure is not None
    assert (record.state, record.failure.code) == (JobState.FAILED, ErrorCode.LLM_CALLBACK_TIMEOUT)
    assert json.loads((await claim_delivery(stores)).body)["status"] == "failed"
    assert await stores.jobs.count_open() == 0
    with pytest.raises(Conflict, match=r"failed \(llm_callback_timeout\) already"):
        await stores.jobs.resolve(job_id, "echo", GOOD)


@pytest.mark.parametrize(
    ("deadline", "state"),
    [(TIMEOUT - 1, JobState.EXPIRED), (TIMEOUT, JobState.EXPIRED), (TIMEOUT + 1, JobState.FAILED)],
)
async def test_of_timeout_and_deadline_the_first_counts_however_late_one_looks(
    stores: Stores, clock: FakeClock, deadline: float, state: JobState
) -> None:
    job_id = await awaiting(stores, deadline)
    clock.advance(TIMEOUT * 10)

    assert (await stores.jobs.expire()).total() == 1

    assert await state_of(stores, job_id) == state


async def test_an_answer_ends_it(stores: Stores) -> None:
    job_id = await awaiting(stores)

    assert await stores.jobs.resolve(job_id, "echo", GOOD) == TAKEN

    record = await stores.jobs.get(TENANT, job_id)
    assert record.ending is not None
    assert (record.state, record.ending.result) == (JobState.COMPLETED, {"text": "fine", "score": 1})
    delivery = await claim_delivery(stores)
    assert json.loads(delivery.body) == {"job_id": job_id, "status": "completed", "echo": "fine"}
    assert await stores.jobs.resolve(job_id, "echo", GOOD) == KNOWN
    await stores.deliveries.delivered(delivery, REPORT)
    assert await stores.jobs.resolve(job_id, "echo", GOOD) == DELIVERED
    await stores.deliveries.resend(TENANT, delivery.id)
    assert await stores.jobs.resolve(job_id, "echo", GOOD) == DELIVERED


async def test_an_answer_that_overtakes_the_handing_over_fences_it(stores: Stores, database: Database) -> None:
    job_id = await hand_in(stores)
    claim = await claim_job(stores)

    assert await stores.jobs.resolve(job_id, "echo", GOOD) == TAKEN

    before = await database.dump()
    assert not await stores.jobs.hand_over(claim, TIMEOUT, HANDED_OVER)
    assert not await finish(stores, claim)
    assert not await stores.jobs.put_off(claim, later(0), REPORT)
    assert await database.dump() == before
    assert [each.status for each in (await stores.jobs.get(TENANT, job_id)).attempts] == ["completed"]


async def test_an_answer_to_what_went_back_to_the_queue(stores: Stores) -> None:
    job_id = await hand_in(stores)
    await stores.jobs.put_off(await claim_job(stores), later(0), REPORT)

    assert await stores.jobs.resolve(job_id, "echo", GOOD) == TAKEN

    assert await claim_jobs(stores) == []
    assert (await stores.jobs.get(TENANT, job_id)).failure is None


@pytest.mark.parametrize(
    ("said", "same"),
    [
        (End.completed({"score": 1, "text": "fine"}), True),
        (End.completed({"text": "fine", "score": True}), False),
        (End.completed({}), False),
        (failed(), False),
    ],
)
async def test_which_answers_are_the_same(stores: Stores, database: Database, said: End, same: bool) -> None:
    job_id = await awaiting(stores)
    await stores.jobs.resolve(job_id, "echo", GOOD)
    before = await database.dump()

    if same:
        assert await stores.jobs.resolve(job_id, "echo", said) == KNOWN
    else:
        with pytest.raises(Conflict, match="completed already"):
            await stores.jobs.resolve(job_id, "echo", said)
    assert await database.dump() == before


async def test_a_failure_that_is_reported_twice(stores: Stores) -> None:
    job_id = await awaiting(stores)
    failure = failed()

    assert await stores.jobs.resolve(job_id, "echo", failure) == TAKEN
    assert await stores.jobs.resolve(job_id, "echo", failure) == KNOWN
    with pytest.raises(Conflict):
        await stores.jobs.resolve(
            job_id, "echo", End(JobState.FAILED, failure=Failure(FAILURE.code, "for another reason"))
        )


async def test_only_jobs_of_the_kind_are_answered_from_outside(stores: Stores) -> None:
    message = (await accept(stores)).job_id

    for job_id in (message, "job_unknown"):
        with pytest.raises(NotFound):
            await stores.jobs.resolve(job_id, "review", GOOD)
        with pytest.raises(NotFound):
            await stores.jobs.require(job_id, "review")
    assert await state_of(stores, message) == JobState.QUEUED


async def test_an_awaiting_review_can_be_cancelled(stores: Stores) -> None:
    job_id = await awaiting(stores)

    await stores.jobs.cancel(TENANT, job_id)

    with pytest.raises(Conflict, match="cancelled already"):
        await stores.jobs.resolve(job_id, "echo", GOOD)
