"""Reviews by an LLM that answers by webhook: handed over once it takes them, and answered whenever it likes."""

import pytest
from review_desk import REVIEW, Desk, StubLLM

from answerback.jobs.kind import JobState
from answerback.kernel.errors import ErrorCode, NotFound, Unauthorized
from answerback.kernel.provider_error import ProviderError
from answerback.reviews.llm_callbacks import WRONG_AT_ONCE
from answerback.reviews.model import Review, Reviewed
from builders import refusal


async def test_a_review_is_handed_over_with_its_own_callback_url(desk: Desk) -> None:
    llm = StubLLM()
    reviewer = desk.by_webhook(llm)
    job_id = await desk.hand_in(reviewer)

    record = await desk.run(reviewer)

    assert (record.state, record.run_at) == (JobState.AWAITING, desk.clock.now() + 3_600_000)
    token = await desk.tokens.token(job_id)
    assert llm.submitted == [(job_id, f"https://relay.example/v1/llm/callback/{job_id}?token={token}")]
    assert "handed_over" in desk.journal.events
    assert token not in str(desk.journal.lines)


async def test_an_llm_that_is_away_for_hours_is_asked_until_it_is_back(desk: Desk) -> None:
    away = ProviderError(ErrorCode.UPSTREAM_UNREACHABLE, "nobody there", retryable=True)
    llm = StubLLM(*[away] * 40, None)
    reviewer = desk.by_webhook(llm)
    await desk.hand_in(reviewer)

    for _ in range(40):
        assert (await desk.run(reviewer)).state is JobState.SCHEDULED
        desk.clock.advance(1_100)

    record = await desk.run(reviewer)
    assert (record.state, record.attempt, record.failure) == (JobState.AWAITING, 41, None)
    assert len(set(llm.submitted)) == 1


async def test_an_llm_that_refuses_is_asked_once(desk: Desk) -> None:
    reviewer = desk.by_webhook(StubLLM(refusal(retryable=False)))
    await desk.hand_in(reviewer)

    assert (await desk.run(reviewer)).state is JobState.FAILED
    assert desk.notifier.deliveries == 1


async def test_an_answer_may_come_before_the_review_counts_as_taken(desk: Desk) -> None:
    class Swift(StubLLM):
        async def submit(self, job_id: str, tenant_id: str, callback_url: str, review: Review, timeout: float) -> None:
            assert review == REVIEW
            receipt = await desk.callbacks(reviewer).receive(job_id, Reviewed({"n": 1}))
            assert not receipt.relayed

    reviewer = desk.by_webhook(Swift())
    await desk.hand_in(reviewer)

    record = await desk.run(reviewer)

    assert record.state is JobState.COMPLETED
    assert record.ending is not None
    assert record.ending.result == {"result": {"n": 1}, "model": "push", "usage": None}
    assert "stale_result_discarded" in desk.journal.events


async def test_a_flood_of_wrong_tokens_looks_nothing_up_and_holds_up_no_right_one(desk: Desk) -> None:
    # Given a review, and more wrong tokens than are looked into
    reviewer = desk.by_webhook(StubLLM())
    job_id = await desk.hand_in(reviewer)
    callbacks = desk.callbacks(reviewer)
    for _ in range(WRONG_AT_ONCE):
        with pytest.raises(NotFound):
            await callbacks.authorize("job_unknown", "wrong")

    # When one more comes, then whether there is such a job is not looked up until a while later
    with pytest.raises(Unauthorized):
        await callbacks.authorize("job_unknown", "wrong")
    await callbacks.authorize(job_id, await desk.tokens.token(job_id))
    desk.clock.advance(1)
    with pytest.raises(NotFound):
        await callbacks.authorize("job_unknown", "wrong")
