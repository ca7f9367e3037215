"""The executor with a reviewer: reviews go their own way, through the same attempts, reports and fences."""

from collections.abc import Sequence

import pytest
from answerback.reviews.run import ChatReviewer, PushReviewer, Reviewer

from answerback.jobs.model import JobKind, JobRecord, JobState
from answerback.jobs.outcome import BILLED_ATTEMPTS
from answerback.jobs.run import Executor
from answerback.kernel.errors import ErrorCode, FileError, ProviderError, Unauthorized
from answerback.llm.model import Answer
from answerback.reviews.llm_callbacks import CallbackTokens, LlmCallbacks
from answerback.reviews.model import File, FileRef, Review, Reviewed
from answerback.testing.clock import FakeClock
from builders import MEMORY, ROOMY, TENANT, Journal, Notifier, StubProvider, claim_job, new_job, nothing, refusal
from stores import Stores

REVIEW = Review("essay-1", (FileRef("http://f/1"), FileRef("http://f/2", (2,))), "Erika", {"task": "water"})
TIMEOUT = 3_600.0


class StubLLM:
    """Implements `ports.ReviewLLM`: takes reviews as the script says. The last stays."""

    name = "stub"

    def __init__(self, *script: Exception | None) -> None:
        self.script = list(script or [None])
        self.submitted: list[tuple[str, str]] = []

    async def submit(self, job_id: str, callback_url: str, review: Review, timeout: float) -> None:
        self.submitted.append((job_id, callback_url))
        step = self.script.pop(0) if len(self.script) > 1 else self.script[0]
        if step is not None:
            raise step

    async def close(self) -> None:
        return


class StubFiles:
    """Implements `ports.Fetcher` and `ports.Reader`: a file's text is its URL and its pages."""

    def __init__(self, error: FileError | None = None, length: int = 1) -> None:
        self.error = error
        self.length = length

    async def fetch(self, url: str) -> File:
        if self.error is not None:
            raise self.error
        return File(url.encode() * self.length, "text/plain", "")

    async def text(self, file: File, pages: Sequence[int] | None) -> str:
        return f"{file.data.decode()} {pages}"

    async def close(self) -> None:
        return


class Desk:
    """An executor that reviews, with everything around it in view."""

    def __init__(self, stores: Stores, clock: FakeClock, journal: Journal) -> None:
        self.store = store
        self.clock = clock
        self.journal = journal
        self.notifier = Notifier()
        self.tokens = CallbackTokens(stores)

    def pushing(self, llm: StubLLM) -> PushReviewer:
        return PushReviewer(llm, self.tokens, "https://relay.example", TIMEOUT)

    async def hand_in(self, review: Review = REVIEW) -> str:
        job = new_job(session=None, kind=JobKind.REVIEW, request=review)
        return (await self.stores.jobs.accept(job, ROOMY)).job_id

    async def run(self, reviewer: Reviewer) -> JobRecord:
        """One attempt."""
        claim = await claim_job(self.stores)
        executor = Executor(self.stores, StubProvider(), self.notifier, MEMORY, 120.0, self.journal, nothing, reviewer)
        await executor.run(claim)
        return await self.stores.jobs.get(TENANT, claim.id)


@pytest.fixture
def desk(stores: Stores, clock: FakeClock, journal: Journal) -> Desk:
    return Desk(stores, clock, journal)


async def test_a_review_is_handed_over(desk: Desk) -> None:
    job_id = await desk.hand_in()
    llm = StubLLM()

    record = await desk.run(desk.pushing(llm))

    assert (record.state, record.run_at) == (JobState.AWAITING, desk.clock.now() + 3_600_000)
    token = await desk.tokens.token(job_id)
    assert llm.submitted == [(job_id, f"https://relay.example/v1/llm/callback/{job_id}?token={token}")]
    assert "handed_over" in desk.journal.events
    assert token not in str(desk.journal.lines)


async def test_an_llm_that_is_away_for_hours_is_asked_until_it_is_back(desk: Desk) -> None:
    await desk.hand_in()
    away = ProviderError(ErrorCode.UPSTREAM_UNREACHABLE, "nobody there", retryable=True)
    llm = StubLLM(*[away] * 40, None)

    for _ in range(40):
        assert (await desk.run(desk.pushing(llm))).state == JobState.QUEUED
        desk.clock.advance(1_100)

    record = await desk.run(desk.pushing(llm))
    assert (record.state, record.attempt, record.failure) == (JobState.AWAITING, 41, None)
    assert len(set(llm.submitted)) == 1


async def test_an_llm_that_refuses_is_asked_once(desk: Desk) -> None:
    await desk.hand_in()

    record = await desk.run(desk.pushing(StubLLM(refusal(retryable=False))))

    assert record.state == JobState.FAILED
    assert desk.notifier.deliveries == 1


async def test_the_answer_may_come_first(desk: Desk) -> None:
    callbacks = LlmCallbacks(desk.stores, desk.tokens, desk.notifier, desk.journal)

    class Swift(StubLLM):
        async def submit(self, job_id: str, callback_url: str, review: Review, timeout: float) -> None:
            assert not (await callbacks.receive(job_id, Reviewed({"n": 1}))).relayed

    await desk.hand_in()

    record = await desk.run(desk.pushing(Swift()))

    assert (record.state, record.answer) == (JobState.COMPLETED, '{"n": 1}')
    assert "stale_result_discarded" in desk.journal.events


async def test_tokens_are_each_jobs_own_and_outlive_the_process(desk: Desk) -> None:
    token = await desk.tokens.token("job_1")

    assert await CallbackTokens(desk.stores).token("job_1") == token
    await desk.tokens.check("job_1", token)
    for wrong in (None, "", token[:-1], token + "A", token.lower(), await desk.tokens.token("job_2"), "\udcff"):
        with pytest.raises(Unauthorized):
            await desk.tokens.check("job_1", wrong)
    # Whoever verifies callbacks knows that secret; it must not make tokens.
    secrets = await desk.stores.callback_secrets(None)
    assert await desk.stores.service_secrets.own_secret("llm-callback-tokens") not in secrets


async def test_the_chat_provider_reads_the_files(desk: Desk) -> None:
    await desk.hand_in()
    provider = StubProvider(Answer('{"score": 1, "feedback": "half a pair: \\ud83d"}', "m", None, "stop"))

    record = await desk.run(ChatReviewer(provider, StubFiles(), StubFiles()))

    assert (record.state, record.model) == (JobState.COMPLETED, "m")
    assert record.answer == '{"score": 1.0, "feedback": "half a pair: \ufffd"}'
    system, user = provider.requests[0].body["messages"]
    assert (system["role"], user["role"]) == ("system", "user")
    assert "http://f/1 None" in user["content"]
    assert "http://f/2 (2,)" in user["content"]
    assert "water" in user["content"]
    assert "Erika" not in user["content"]


async def test_no_file_can_say_where_it_ends(desk: Desk) -> None:
    provider = StubProvider(Answer('{"score": 1, "feedback": "fine"}', "m", None, "stop"))
    marks = []

    for _ in range(2):
        await desk.hand_in()
        await desk.run(ChatReviewer(provider, StubFiles(), StubFiles()))
        system, user = provider.requests[-1].body["messages"]
        frames = [line for line in user["content"].splitlines() if line.startswith("=====")]
        (mark,) = {line.split(":")[0].removeprefix("===== ") for line in frames}
        assert len(frames) == 4
        assert mark in system["content"]
        marks.append(mark)

    assert marks[0] != marks[1]


@pytest.mark.parametrize("count", [0, 51])
async def test_nothing_or_too_much_to_review(desk: Desk, count: int) -> None:
    """As accepted while an LLM that takes reviews was there."""
    await desk.hand_in(Review("essay", (FileRef("http://f/1"),) * count))

    record = await desk.run(ChatReviewer(StubProvider(), StubFiles(), StubFiles()))

    assert record.failure is not None
    assert (record.state, record.failure.code) == (JobState.FAILED, ErrorCode.FILE_REFUSED)


@pytest.mark.parametrize(
    ("files", "state", "code"),
    [
        (StubFiles(FileError("is gone")), JobState.FAILED, ErrorCode.FILE_REFUSED),
        (StubFiles(FileError("is slow", retryable=True)), JobState.QUEUED, ErrorCode.FILE_UNREACHABLE),
        (StubFiles(length=30_000), JobState.FAILED, ErrorCode.FILE_REFUSED),
    ],
)
async def test_files_that_cannot_be_had(desk: Desk, files: StubFiles, state: JobState, code: ErrorCode) -> None:
    await desk.hand_in()
    provider = StubProvider()

    record = await desk.run(ChatReviewer(provider, files, files))

    assert record.failure is not None
    assert (record.state, record.failure.code) == (state, code)
    assert provider.requests == []


async def test_a_model_that_never_writes_json_is_not_paid_for_ever(desk: Desk) -> None:
    await desk.hand_in()
    provider = StubProvider(Answer("Lovely!", "m", None, "stop"))
    reviewer = ChatReviewer(provider, StubFiles(), StubFiles())

    while (record := await desk.run(reviewer)).state == JobState.QUEUED:
        desk.clock.advance(1_100)

    assert record.failure is not None
    assert (record.state, record.failure.code) == (JobState.FAILED, ErrorCode.UPSTREAM_INVALID)
    assert len(provider.requests) == BILLED_ATTEMPTS
