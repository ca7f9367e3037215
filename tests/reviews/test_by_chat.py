"""Reviews by the chat provider: what it is asked, which files are refused, and what its answers come to."""

import pytest
from review_desk import CALL_SECONDS, REVIEW, Desk, StubFiles, by_chat

from answerback.jobs.kind import JobState
from answerback.jobs.retry_policy import BILLED_ATTEMPTS
from answerback.kernel.errors import CallbackRefused, ErrorCode, InvalidField
from answerback.kernel.provider_error import ProviderError
from answerback.kernel.usage import Usage
from answerback.llm.model import Answer
from answerback.reviews.by_chat import ChatReviewer
from answerback.reviews.files.errors import FileError
from answerback.reviews.files.texts import FileTexts
from answerback.reviews.model import FileRef, Review
from builders import StubProvider

JUDGED = Answer('{"score": 1, "feedback": "fine"}', "m", Usage(1, 2, 3), "stop")


async def review(reviewer: ChatReviewer, wanted: Review = REVIEW) -> object:
    return (await reviewer.review("job_1", "t1", wanted, CALL_SECONDS)).result


async def refused(reviewer: ChatReviewer, wanted: Review = REVIEW) -> ProviderError:
    with pytest.raises(ProviderError) as refusal:
        await reviewer.review("job_1", "t1", wanted, CALL_SECONDS)
    return refusal.value


async def test_the_chat_provider_is_given_the_files_and_the_details_and_no_name() -> None:
    provider = StubProvider(JUDGED)

    result = await review(by_chat(provider))

    usage = {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}
    assert result == {"result": {"score": 1.0, "feedback": "fine"}, "model": "m", "usage": usage}
    (request,) = provider.requests
    system, user = request.body["messages"]
    assert (system["role"], user["role"]) == ("system", "user")
    assert "http://f/1 None" in user["content"]
    assert "http://f/2 (2,)" in user["content"]
    assert "water" in user["content"]
    assert "Erika" not in user["content"]
    assert (request.timeout, request.queued) == (CALL_SECONDS, True)


async def test_no_file_can_say_where_it_ends() -> None:
    provider = StubProvider(JUDGED)
    marks = []

    for _ in range(2):
        await review(by_chat(provider))
        system, user = provider.requests[-1].body["messages"]
        frames = [line for line in user["content"].splitlines() if line.startswith("=====")]
        (mark,) = {line.split(":")[0].removeprefix("===== ") for line in frames}
        assert len(frames) == 4
        assert mark in system["content"]
        marks.append(mark)

    assert marks[0] != marks[1]


@pytest.mark.parametrize("count", [0, 51])
async def test_nothing_or_too_much_to_review_costs_no_call(count: int) -> None:
    """As accepted while an LLM that takes reviews was there."""
    provider = StubProvider(JUDGED)

    refusal = await refused(by_chat(provider), Review("essay", (FileRef("http://f/1"),) * count))

    assert (refusal.failure.code, refusal.retryable) == (ErrorCode.FILE_REFUSED, False)
    assert provider.requests == []


@pytest.mark.parametrize(
    ("files", "code", "retryable"),
    [
        (StubFiles(FileError("is gone")), ErrorCode.FILE_REFUSED, False),
        (StubFiles(FileError("is slow", retryable=True)), ErrorCode.FILE_UNREACHABLE, True),
        (StubFiles(length=30_000), ErrorCode.FILE_REFUSED, False),
    ],
    ids=["gone", "slow", "too long together"],
)
async def test_files_that_cannot_be_had_cost_no_call(files: StubFiles, code: ErrorCode, *, retryable: bool) -> None:
    provider = StubProvider(JUDGED)

    refusal = await refused(by_chat(provider, files))

    assert (refusal.failure.code, refusal.retryable) == (code, retryable)
    assert provider.requests == []


async def test_a_file_at_a_forbidden_address_is_refused_before_the_202_by_its_place() -> None:
    async def only_the_first(url: str, tenant_id: str) -> None:
        if url != REVIEW.file_refs[0].url:
            raise CallbackRefused("callback_url is at a private address")

    files = StubFiles()

    await by_chat(StubProvider()).check(REVIEW, "t1")
    with pytest.raises(InvalidField) as refusal:
        await ChatReviewer(StubProvider(), FileTexts(files, files, 4.0), only_the_first).check(REVIEW, "t1")

    assert (refusal.value.field, refusal.value.message) == ("file_refs.1.url", "url is at a private address")


async def test_a_job_is_completed_with_a_text_that_every_database_holds(desk: Desk) -> None:
    reviewer = by_chat(StubProvider(Answer('{"score": 1, "feedback": "half a pair: \\ud83d"}', "m", None, "stop")))
    await desk.hand_in(reviewer)

    record = await desk.run(reviewer)

    assert record.ending is not None
    verdict = {"score": 1.0, "feedback": "half a pair: \ufffd"}
    assert (record.state, record.ending.result) == (
        JobState.COMPLETED,
        {"result": verdict, "model": "m", "usage": None},
    )


async def test_a_model_that_never_writes_json_is_not_paid_for_ever(desk: Desk) -> None:
    provider = StubProvider(Answer("Lovely!", "m", None, "stop"))
    reviewer = by_chat(provider)
    await desk.hand_in(reviewer)

    while (record := await desk.run(reviewer)).state is JobState.SCHEDULED:
        desk.clock.advance(1_100)

    assert record.failure is not None
    assert (record.state, record.failure.code) == (JobState.FAILED, ErrorCode.UPSTREAM_INVALID)
    assert len(provider.requests) == BILLED_ATTEMPTS
