"""Reviews in the hands of an LLM that answers by webhook: handed over, answered from outside, or never."""

import json

import pytest

from answerback.jobs.model import JobKind, JobState
from answerback.jobs.store import SqlStore
from answerback.kernel.errors import Conflict, ErrorCode, NotFound
from answerback.queue.attempts import Report
from answerback.reviews.llm_callbacks import ending_of
from answerback.reviews.model import FileRef, NotReviewed, Review, Reviewed
from answerback.testing.clock import FakeClock
from builders import (
    FAILURE,
    LEASE,
    REPORT,
    ROOMY,
    TENANT,
    accept,
    claim_delivery,
    claim_job,
    claim_jobs,
    finish,
    new_job,
    state_of,
)
from databases import Database

REVIEW = Review("essay-1", (FileRef("http://f/1", (2, 1)), FileRef("http://f/2")), "s-1", {"a": [1]})
TIMEOUT = 100.0
HANDED_OVER = Report("handed_over", duration_ms=5)
GOOD = ending_of(Reviewed({"score": 1, "feedback": "fine"}))


async def hand_in(store: SqlStore, deadline: float = 86_400.0) -> str:
    job = new_job(session=None, kind=JobKind.REVIEW, request=REVIEW, deadline_seconds=deadline)
    return (await store.accept(job, ROOMY)).job_id


async def awaiting(store: SqlStore, deadline: float = 86_400.0) -> str:
    """A review that its LLM has taken."""
    job_id = await hand_in(store, deadline)
    assert await store.hand_over(await claim_job(store), TIMEOUT, HANDED_OVER)
    return job_id


async def test_a_review_comes_back_as_it_was_stored(store: SqlStore) -> None:
    job_id = await hand_in(store)

    assert (await claim_job(store)).job.request == REVIEW
    record = await store.get_job(TENANT, job_id)
    assert (record.job.kind, record.job.request, record.job.conversation_id) == (JobKind.REVIEW, REVIEW, None)


async def test_handing_over_ends_the_lease_and_says_until_when(store: SqlStore, clock: FakeClock) -> None:
    job_id = await hand_in(store)
    claim = await claim_job(store)
    await store.requeue(claim, 0, failure=FAILURE, counted=True, report=REPORT)

    assert await store.hand_over(await claim_job(store), TIMEOUT, HANDED_OVER)

    record = await store.get_job(TENANT, job_id)
    assert (record.state, record.failure, record.run_at) == (JobState.AWAITING, None, clock.now() + 100_000)
    assert [each.status for each in record.attempts] == ["told", "handed_over"]
    clock.advance(LEASE + 1)
    assert (await store.recover_leases()).total == 0
    assert await claim_jobs(store) == []


async def test_a_stale_worker_cannot_hand_over(store: SqlStore, clock: FakeClock, database: Database) -> None:
    await hand_in(store)
    claim = await claim_job(store)
    clock.advance(LEASE + 1)
    await store.recover_leases()
    before = await database.dump()

    assert not await store.hand_over(claim, TIMEOUT, HANDED_OVER)
    assert await database.dump() == before


async def test_no_answer_in_time(store: SqlStore, clock: FakeClock) -> None:
    job_id = await awaiting(store)
    clock.advance(TIMEOUT - 1)
    assert (await store.expire_jobs()).total == 0
    clock.advance(1)

    swept = await store.expire_jobs()

    assert (swept.jobs_unanswered, swept.jobs_expired) == (1, 0)
    record = await store.get_job(TENANT, job_id)
    assert record.failure is not None
    assert (record.state, record.failure.code) == (JobState.FAILED, ErrorCode.LLM_CALLBACK_TIMEOUT)
    assert json.loads((await claim_delivery(store)).body)["ok"] is False
    assert await store.count_open() == 0
    with pytest.raises(Conflict, match=r"failed \(llm_callback_timeout\) already"):
        await store.answer_review(job_id, GOOD)


@pytest.mark.parametrize(
    ("deadline", "state"),
    [(TIMEOUT - 1, JobState.EXPIRED), (TIMEOUT, JobState.EXPIRED), (TIMEOUT + 1, JobState.FAILED)],
)
async def test_of_timeout_and_deadline_the_first_counts_however_late_one_looks(
    store: SqlStore, clock: FakeClock, deadline: float, state: JobState
) -> None:
    job_id = await awaiting(store, deadline)
    clock.advance(TIMEOUT * 10)

    assert (await store.expire_jobs()).total == 1

    assert await state_of(store, job_id) == state


async def test_an_answer_ends_it(store: SqlStore) -> None:
    job_id = await awaiting(store)

    assert await store.answer_review(job_id, GOOD) == (True, False)

    record = await store.get_job(TENANT, job_id)
    assert (record.state, record.answer) == (JobState.COMPLETED, '{"score": 1, "feedback": "fine"}')
    delivery = await claim_delivery(store)
    assert json.loads(delivery.body) == {
        "job_id": job_id,
        "submission_id": "essay-1",
        "ok": True,
        "result": {"score": 1, "feedback": "fine"},
    }
    assert await store.answer_review(job_id, GOOD) == (False, False)
    await store.delivered(delivery, REPORT)
    assert await store.answer_review(job_id, GOOD) == (False, True)
    await store.resend_delivery(TENANT, delivery.id)
    assert await store.answer_review(job_id, GOOD) == (False, True)


async def test_an_answer_that_overtakes_the_handing_over_fences_it(store: SqlStore, database: Database) -> None:
    job_id = await hand_in(store)
    claim = await claim_job(store)

    assert await store.answer_review(job_id, GOOD) == (True, False)

    before = await database.dump()
    assert not await store.hand_over(claim, TIMEOUT, HANDED_OVER)
    assert not await finish(store, claim)
    assert not await store.requeue(claim, 0, failure=FAILURE, counted=True, report=REPORT)
    assert await database.dump() == before
    assert [each.status for each in (await store.get_job(TENANT, job_id)).attempts] == ["completed"]


async def test_an_answer_to_what_went_back_to_the_queue(store: SqlStore) -> None:
    job_id = await hand_in(store)
    await store.requeue(await claim_job(store), 0, failure=FAILURE, counted=True, report=REPORT)

    assert await store.answer_review(job_id, GOOD) == (True, False)

    assert await claim_jobs(store) == []
    assert (await store.get_job(TENANT, job_id)).failure is None


@pytest.mark.parametrize(
    ("said", "same"),
    [
        (Reviewed({"feedback": "fine", "score": 1}), True),
        (Reviewed({"feedback": "fine", "score": True}), False),
        (Reviewed({}), False),
        (NotReviewed("fine"), False),
    ],
)
async def test_which_answers_are_the_same(store: SqlStore, database: Database, said: Reviewed, same: bool) -> None:
    job_id = await awaiting(store)
    await store.answer_review(job_id, GOOD)
    before = await database.dump()

    if same:
        assert await store.answer_review(job_id, ending_of(said)) == (False, False)
    else:
        with pytest.raises(Conflict, match="completed already"):
            await store.answer_review(job_id, ending_of(said))
    assert await database.dump() == before


async def test_a_failure_told_twice(store: SqlStore) -> None:
    job_id = await awaiting(store)
    failure = ending_of(NotReviewed("no"))

    assert await store.answer_review(job_id, failure) == (True, False)
    assert await store.answer_review(job_id, failure) == (False, False)
    with pytest.raises(Conflict):
        await store.answer_review(job_id, ending_of(NotReviewed("never")))


async def test_only_reviews_are_answered_from_outside(store: SqlStore) -> None:
    message = (await accept(store)).job_id

    for job_id in (message, "job_unknown"):
        with pytest.raises(NotFound):
            await store.answer_review(job_id, GOOD)
        with pytest.raises(NotFound):
            await store.require_review(job_id)
    assert await state_of(store, message) == JobState.QUEUED


async def test_an_awaiting_review_can_be_cancelled(store: SqlStore) -> None:
    job_id = await awaiting(store)

    await store.cancel_job(TENANT, job_id)

    with pytest.raises(Conflict, match="cancelled already"):
        await store.answer_review(job_id, GOOD)


async def test_a_secret_of_its_own_is_made_once_and_kept(database: Database, clock: FakeClock) -> None:
    store = await database.open(clock)
    one = await store.own_secret("one")
    assert (await store.own_secret("one"), len(bytes.fromhex(one))) == (one, 32)
    assert await store.own_secret("two") != one
    await store.close()

    again = await database.open(clock)
    try:
        assert await again.own_secret("one") == one
    finally:
        await again.close()
