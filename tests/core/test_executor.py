"""Answering one job: what is asked, and what comes of each way the LLM can react."""

import asyncio
import json
from collections.abc import Sequence

import pytest
from answerback.jobs.ports import Store

from answerback.jobs.model import JobRecord, JobState, Message
from answerback.jobs.run import Executor
from answerback.kernel.errors import ErrorCode, ProviderError, StorageUnavailable
from answerback.kernel.failpoints import Failpoint
from answerback.llm.model import Answer, ChatRequest, Memory, Turn
from answerback.llm.reply import WholeReply
from answerback.testing.clock import FakeClock
from builders import (
    DAY,
    FAILURE,
    MEMORY,
    TENANT,
    Journal,
    Notifier,
    StubProvider,
    accept,
    answer,
    claim_delivery,
    claim_job,
    claim_jobs,
    completed,
    ended_job,
    refusal,
)
from stores import Stores


class Desk:
    """An executor with everything around it in view."""

    def __init__(self, stores: Stores, clock: FakeClock, journal: Journal) -> None:
        self.store = store
        self.clock = clock
        self.journal = journal
        self.notifier = Notifier()
        self.boundaries: list[Failpoint] = []

    def executor(self, provider: StubProvider, memory: Memory = MEMORY, stores: Store | None = None) -> Executor:
        failpoint = self.boundaries.append
        where = stores or self.store
        return Executor(where, provider, self.notifier, memory, 120.0, self.journal, failpoint)

    async def answer_next(self, provider: StubProvider, memory: Memory = MEMORY) -> JobRecord:
        claim = await claim_job(self.stores)
        await self.executor(provider, memory).run(claim)
        return await self.stores.jobs.get(TENANT, claim.id)


@pytest.fixture
def desk(stores: Stores, clock: FakeClock, journal: Journal) -> Desk:
    return Desk(stores, clock, journal)


async def test_the_context_is_system_then_remembered_turns_oldest_first_then_the_message(desk: Desk) -> None:
    for n in range(3):
        await ended_job(desk.stores, f"q{n}", ending=completed(f"a{n}"))
    await accept(desk.stores, request=Message(message="now", session_id="s", system="be kind"))
    provider = StubProvider()

    await desk.answer_next(provider, Memory(max_messages=4, max_tokens=8_000, ttl_seconds=DAY))

    assert [each["content"] for each in provider.requests[0].body["messages"]] == [
        "be kind", "q1", "a1", "q2", "a2", "now",
    ]  # fmt: skip


async def test_a_stateless_message_is_asked_alone(desk: Desk) -> None:
    await ended_job(desk.stores, "earlier")
    await accept(desk.stores, "now", session=None)
    provider = StubProvider()

    await desk.answer_next(provider)

    assert provider.requests[0].body == {"messages": [{"role": "user", "content": "now"}]}


async def test_model_temperature_and_max_tokens_travel_when_given(desk: Desk) -> None:
    await accept(desk.stores, request=Message("hi", session_id="s", model="m", temperature=0.0, max_tokens=9))
    provider = StubProvider()

    await desk.answer_next(provider)

    body = provider.requests[0].body
    assert (body["model"], body["temperature"], body["max_tokens"]) == ("m", 0.0, 9)


async def test_an_answer_completes_the_job_and_wakes_both_lanes(desk: Desk) -> None:
    await accept(desk.stores)

    record = await desk.answer_next(StubProvider(answer("hi")))

    assert (record.state, record.answer) == (JobState.COMPLETED, "hi")
    assert (desk.notifier.jobs, desk.notifier.deliveries) == (1, 1)
    assert desk.boundaries == [Failpoint.AFTER_CLAIM, Failpoint.AFTER_ANSWER, Failpoint.AFTER_FINISH]
    assert desk.journal.events == ["answered"]


async def test_a_retryable_failure_goes_back_to_the_queue_and_counts(desk: Desk, clock: FakeClock) -> None:
    await accept(desk.stores)

    record = await desk.answer_next(StubProvider(refusal(retryable=True)))

    assert (record.state, record.attempt, record.failure) == (JobState.QUEUED, 1, FAILURE)
    assert 1_600 <= record.run_at - clock.now() <= 2_400
    assert desk.notifier.jobs == 1


@pytest.mark.parametrize("retryable", [True, False])
async def test_what_the_llm_answered_stands_with_the_attempt(desk: Desk, *, retryable: bool) -> None:
    await accept(desk.stores)
    error = ProviderError(ErrorCode.UPSTREAM_ERROR, "no", retryable=retryable, http_status=503)

    record = await desk.answer_next(StubProvider(error))

    assert [each.http_status for each in record.attempts] == [503]


async def test_a_rate_limit_that_names_its_end_waits_for_it_and_costs_no_attempt(desk: Desk, clock: FakeClock) -> None:
    limited = ProviderError(ErrorCode.UPSTREAM_RATE_LIMITED, "later", retryable=True, retry_after=3_600.0)
    await accept(desk.stores)

    record = await desk.answer_next(StubProvider(limited))

    assert (record.state, record.attempt) == (JobState.QUEUED, 0)
    assert 3_600_000 <= record.run_at - clock.now() <= 4_320_000


async def test_a_final_failure_ends_the_job_and_owes_a_callback(desk: Desk) -> None:
    await accept(desk.stores)

    record = await desk.answer_next(StubProvider(refusal(retryable=False)))

    assert (record.state, record.failure) == (JobState.FAILED, FAILURE)
    assert json.loads((await claim_delivery(desk.stores)).body)["error"]["code"] == "upstream_error"


async def test_a_provider_that_keeps_failing_is_asked_twelve_times(desk: Desk, clock: FakeClock) -> None:
    await accept(desk.stores)
    provider = StubProvider(refusal(retryable=True))

    for _ in range(12):
        record = await desk.answer_next(provider)
        clock.advance(1_200)

    assert record.state == JobState.FAILED
    assert len(provider.requests) == 12
    assert await claim_jobs(desk.stores) == []


async def test_a_provider_that_breaks_is_logged_and_asked_again(desk: Desk) -> None:
    await accept(desk.stores)

    record = await desk.answer_next(StubProvider(ZeroDivisionError("our own fault")))

    assert record.state == JobState.QUEUED
    assert record.failure is not None
    assert record.failure.code == ErrorCode.INTERNAL
    assert "our own fault" not in record.failure.message
    assert "job_broke" in desk.journal.events


@pytest.mark.parametrize(("deadline", "timeout"), [(DAY, 120.0), (30.0, 30.0)])
async def test_a_near_deadline_shortens_the_call(desk: Desk, deadline: float, timeout: float) -> None:
    await accept(desk.stores, deadline_seconds=deadline)
    provider = StubProvider()

    await desk.answer_next(provider)

    assert provider.requests[0].timeout == timeout


async def test_an_answer_to_what_was_taken_away_is_discarded(desk: Desk, clock: FakeClock) -> None:
    class Slow(StubProvider):
        async def send(self, request: ChatRequest) -> WholeReply:
            clock.advance(61)
            await desk.stores.jobs.recover()
            return await super().send(request)

    await accept(desk.stores)

    record = await desk.answer_next(Slow())

    assert (record.state, record.answer) == (JobState.QUEUED, None)
    assert desk.journal.events == ["stale_result_discarded"]
    assert desk.notifier.deliveries == 0


async def test_an_answer_that_comes_after_the_lease_counts_if_nobody_else_took_the_job(
    desk: Desk, clock: FakeClock
) -> None:
    await accept(desk.stores)

    def slow(_: ChatRequest) -> Answer:
        clock.advance(600)
        return answer("late")

    record = await desk.answer_next(StubProvider(slow))

    assert (record.state, record.answer, record.lease_losses) == (JobState.COMPLETED, "late", 0)


class Flaky:
    """A store whose next calls find the database away."""

    def __init__(self, stores: Stores, times: int) -> None:
        self._store = store
        self._times = times

    def __getattr__(self, name: str) -> object:
        return getattr(self._store, name)

    def _fail(self) -> None:
        self._times -= 1
        if self._times >= 0:
            raise StorageUnavailable("database is locked")

    async def finish(self, *arguments: object) -> bool:
        self._fail()
        return await self._store.finish(*arguments)  # type: ignore[arg-type]

    async def recent_turns(self, conversation_id: int, limit: int) -> Sequence[Turn]:
        self._fail()
        return await self._store.recent_turns(conversation_id, limit)


async def test_a_paid_answer_outlasts_a_database_that_is_away(desk: Desk) -> None:
    await ended_job(desk.stores)
    job_id = (await accept(desk.stores)).job_id
    provider = StubProvider()

    await desk.executor(provider, store=Flaky(desk.stores, 2)).run(await claim_job(desk.stores))  # type: ignore[arg-type]

    assert (await desk.stores.jobs.get(TENANT, job_id)).state == JobState.COMPLETED
    assert len(provider.requests) == 1


async def test_a_cancellation_that_comes_with_the_answer_does_not_lose_it(desk: Desk) -> None:
    job_id = (await accept(desk.stores)).job_id
    task: asyncio.Task[None]

    def cancelling(boundary: Failpoint) -> None:
        if boundary is Failpoint.AFTER_ANSWER:
            task.cancel()

    executor = Executor(desk.stores, StubProvider(), desk.notifier, MEMORY, 120.0, desk.journal, cancelling)
    task = asyncio.ensure_future(executor.run(await claim_job(desk.stores)))

    with pytest.raises(asyncio.CancelledError):
        await task
    await desk.journal.seen("answered")
    assert (await desk.stores.jobs.get(TENANT, job_id)).state == JobState.COMPLETED
