"""Limits towards an upstream: exact, with turns for those who wait, and nobody asked in vain."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from datetime import datetime
from typing import Any

import aiohttp
import pytest
from hypothesis import given
from hypothesis import strategies as st

from answerback.kernel.errors import ErrorCode, ProviderError
from answerback.llm.model import Answer, ChatRequest, Chunk, Model, Relayed
from answerback.llm.pacing import LONGEST_LINE, Gate, PacedProvider
from answerback.testing import FakeLLM, Receiver, Service, replies
from builders import Journal, answer


class Time:
    def __init__(self) -> None:
        self.now = 500.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def time() -> Time:
    return Time()


def enter(gate: Gate, model: str = "m", *, queued: bool = True) -> float:
    """0.0 where there is room, else the seconds to wait."""
    try:
        gate.enter(model, queued=queued)
    except ProviderError as error:
        expected = (ErrorCode.UPSTREAM_RATE_LIMITED, True, False)
        return error.retry_after or -1.0 if (error.failure.code, error.retryable, error.asked) == expected else -1.0
    return 0.0


def rounded(waits: list[float]) -> list[float]:
    return [round(wait, 1) for wait in waits]


class TestAMinute:
    def test_jobs_without_room_get_turns_one_after_the_other(self, time: Time) -> None:
        gate = Gate(per_minute=3, monotonic=time)

        assert rounded([enter(gate) for _ in range(7)]) == [0, 0, 0, 60, 80.4, 100.8, 121.2]

    def test_whoever_comes_back_at_his_turn_finds_room(self, time: Time) -> None:
        gate = Gate(per_minute=3, monotonic=time)
        turns = [time.now + wait for _ in range(12) if (wait := enter(gate)) > 0]

        late = (0.0, 0.3, 0.9)
        waits = []
        for number, turn in enumerate(turns):
            time.now = max(time.now, turn + late[number % 3])
            waits.append(enter(gate))
        assert waits == [0] * len(turns)

    def test_a_caller_who_cannot_wait_hears_the_soonest_and_takes_no_turn(self, time: Time) -> None:
        gate = Gate(per_minute=2, monotonic=time)
        enter(gate)
        time.now += 10
        enter(gate)

        assert [enter(gate, queued=False) for _ in range(100)] == [50.0] * 100
        assert enter(gate) == pytest.approx(50, abs=0.1)

    @given(steps=st.lists(st.tuples(st.floats(0, 20), st.booleans()), max_size=120), limit=st.integers(1, 5))
    def test_no_sixty_seconds_hold_more_calls_than_the_limit(self, steps: list[tuple[float, bool]], limit: int) -> None:
        time = Time()
        gate = Gate(per_minute=limit, monotonic=time)
        started: list[float] = []
        for step, queued in steps:
            time.now += step
            recent = [at for at in started if at > time.now - 60]
            admitted = enter(gate, queued=queued) == 0
            assert admitted == (len(recent) < limit)
            if admitted:
                started.append(time.now)

    def test_turns_are_not_given_away_for_ever(self, time: Time) -> None:
        gate = Gate(per_minute=20, monotonic=time, draw=lambda: 0.5)

        waits = [enter(gate) for _ in range(2_000)]

        assert max(waits) <= 60 + LONGEST_LINE + 1
        assert waits[-1] == pytest.approx(60 + 0.75 * LONGEST_LINE, abs=0.1)


class TestAtOnce:
    def test_a_place_is_free_when_a_call_ends(self, time: Time) -> None:
        gate = Gate(concurrency=2, monotonic=time)
        assert [enter(gate), enter(gate)] == [0, 0]
        assert enter(gate) > 0

        gate.leave(1.0)

        assert enter(gate) == 0
        assert enter(gate) > 0

    def test_turns_follow_each_other_at_the_pace_of_the_calls(self, time: Time) -> None:
        gate = Gate(concurrency=2, monotonic=time)
        for _ in range(100):
            gate.enter("m", queued=True)
            gate.leave(20.0)
        enter(gate)
        enter(gate)

        assert [round(enter(gate)) for _ in range(4)] == [8, 16, 24, 32]


class TestARest:
    def test_a_model_whose_limit_is_used_up_is_left_alone_until_then_others_are_not(self, time: Time) -> None:
        gate = Gate(monotonic=time)
        gate.rest("free", 3_600)

        assert enter(gate, "free", queued=False) == 3_600
        assert rounded([enter(gate, "free") for _ in range(3)]) == [3_600, 3_600.1, 3_600.2]
        assert enter(gate, "paid") == 0
        time.now += 3_600
        assert enter(gate, "free") == 0

    def test_a_shorter_one_does_not_end_a_longer_one_and_none_is_longer_than_a_day(self, time: Time) -> None:
        gate = Gate(monotonic=time)
        gate.rest("m", 600)
        gate.rest("m", 5)
        assert enter(gate, queued=False) == 600

        gate.rest("m", 10_000_000)
        assert enter(gate, queued=False) == 86_400

    def test_turns_after_it_keep_to_the_limit_of_the_minute(self, time: Time) -> None:
        gate = Gate(per_minute=20, monotonic=time)
        gate.rest("m", 100)

        assert rounded([enter(gate) for _ in range(3)]) == [100, 103.1, 106.1]


class Scripted:
    """A provider that does as told and says how many ask it at once."""

    name = "scripted"

    def __init__(self) -> None:
        self.failure: ProviderError | None = None
        self.until = asyncio.Event()
        self.began = asyncio.Event()
        self.asked = 0

    async def complete(self, request: ChatRequest) -> Answer:
        self.asked += 1
        self.began.set()
        if self.failure is not None:
            raise self.failure
        await self.until.wait()
        return answer()

    async def relay(self, request: ChatRequest) -> Relayed:
        await self.complete(request)
        return Relayed(b"{}", "m", None)

    async def stream(self, request: ChatRequest) -> AsyncGenerator[Chunk, None]:
        yield Chunk(b"{}", "one", None, None, has_choices=True)
        await self.complete(request)
        yield Chunk(b"{}", "two", "stop", None, has_choices=True)

    async def models(self) -> list[Model]:
        return []

    async def close(self) -> None:
        return


REQUEST = ChatRequest({"model": "m", "messages": []}, 10)


def paced(provider: Scripted, **limits: Any) -> PacedProvider:
    return PacedProvider(provider, Gate(**limits), "default", Journal())


class TestTheProvider:
    @pytest.mark.parametrize("how", ["complete", "relay"])
    async def test_a_call_that_is_cancelled_frees_its_place(self, how: str) -> None:
        scripted = Scripted()
        provider = paced(scripted, concurrency=1)
        call = asyncio.ensure_future(getattr(provider, how)(REQUEST))
        await scripted.began.wait()
        with pytest.raises(ProviderError):
            await provider.complete(REQUEST)

        call.cancel()
        await asyncio.gather(call, return_exceptions=True)

        scripted.until.set()
        assert await provider.complete(REQUEST)

    async def test_a_stream_holds_its_place_until_it_is_closed(self) -> None:
        scripted = Scripted()
        provider = paced(scripted, concurrency=1)
        stream = provider.stream(REQUEST)
        assert (await anext(stream)).text == "one"
        with pytest.raises(ProviderError):
            await provider.complete(REQUEST)

        await stream.aclose()

        scripted.until.set()
        assert await provider.complete(REQUEST)

    async def test_a_failure_frees_its_place_and_one_without_a_time_closes_nothing(self) -> None:
        scripted = Scripted()
        provider = paced(scripted, concurrency=1)
        scripted.failure = ProviderError(ErrorCode.UPSTREAM_RATE_LIMITED, "limited", retryable=True)
        for _ in range(3):
            with pytest.raises(ProviderError) as caught:
                await provider.complete(REQUEST)
            assert caught.value.asked

        assert scripted.asked == 3

    async def test_an_upstreams_limit_with_a_time_is_asked_once(self) -> None:
        scripted = Scripted()
        provider = paced(scripted)
        scripted.failure = ProviderError(ErrorCode.UPSTREAM_RATE_LIMITED, "limited", retryable=True, retry_after=60)
        for _ in range(20):
            with pytest.raises(ProviderError):
                await provider.complete(REQUEST)
        assert scripted.asked == 1

        with pytest.raises(ProviderError):
            await provider.complete(ChatRequest({"messages": []}, 10))
        assert scripted.asked == 2  # another model, the default

    async def test_a_failure_of_another_kind_closes_nothing(self) -> None:
        scripted = Scripted()
        provider = paced(scripted)
        scripted.failure = ProviderError(ErrorCode.UPSTREAM_ERROR, "broken", retryable=True, retry_after=60)
        for _ in range(3):
            with pytest.raises(ProviderError):
                await provider.complete(REQUEST)

        assert scripted.asked == 3


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with Receiver() as started:
        yield started


def settings(llm: FakeLLM, **more: str) -> dict[str, str]:
    return {"OPENROUTER_BASE_URL": llm.base_url, "LLM_MODEL": "fake", **more}


async def post(http: aiohttp.ClientSession, receiver: Receiver, text: str, **fields: str) -> str:
    body = {"message": text, "callback_url": receiver.url("/done"), "stateless": True, **fields}
    async with http.post("/webhook", json=body) as response:
        assert response.status == 202
        return str((await response.json())["job_id"])


async def job(http: aiohttp.ClientSession, job_id: str) -> dict[str, Any]:
    async with http.get(f"/v1/jobs/{job_id}") as response:
        found: dict[str, Any] = await response.json()
        return found


async def put_off(http: aiohttp.ClientSession, job_id: str) -> dict[str, Any]:
    """The job, once it waits with a reason."""
    async with asyncio.timeout(10):
        while not (found := await job(http, job_id))["error"] or found["status"] != "queued":
            continue
    return found


def due(found: dict[str, Any]) -> float:
    return datetime.fromisoformat(found["run_at"]).timestamp()


async def test_many_jobs_share_few_places_and_all_are_answered_at_their_first_attempt(receiver: Receiver) -> None:
    async with (
        FakeLLM(default=replies.delayed(0.02)) as llm,
        Service(settings(llm, UPSTREAM_CONCURRENCY="3")) as service,
        aiohttp.ClientSession(service.url) as http,
    ):
        ids = [await post(http, receiver, f"job {n}") for n in range(30)]
        callbacks = await receiver.wait_for(30, timeout=30)
        found = [await job(http, job_id) for job_id in ids]

    assert {callback.json["status"] for callback in callbacks} == {"completed"}
    assert llm.total == 30
    assert llm.peak <= 3
    assert {each["attempt"] for each in found} == {1}
    assert {len(each["attempts"]) for each in found} == {1}


async def test_jobs_beyond_the_minute_wait_as_rows_spread_and_sync_callers_hear_when(receiver: Receiver) -> None:
    limited = {"UPSTREAM_REQUESTS_PER_MINUTE": "3", "MAX_RETRIES": "2", "MAX_RETRY_DELAY": "1"}
    async with (
        FakeLLM() as llm,
        Service(settings(llm, **limited)) as service,
        aiohttp.ClientSession(service.url) as http,
    ):
        for n in range(3):
            await post(http, receiver, f"within {n}")
        await receiver.wait_for(3)
        waiting = [await put_off(http, await post(http, receiver, f"beyond {n}")) for n in range(3)]
        async with http.post("/api/ask", json={"question": "now, please"}) as refused:
            body = await refused.json()

    assert llm.total == 3
    assert {(each["attempt"], len(each["attempts"])) for each in waiting} == {(0, 0)}
    assert {each["error"]["code"] for each in waiting} == {"upstream_rate_limited"}
    first, second, third = map(due, waiting)
    assert (second - first, third - second) == (pytest.approx(20.4, abs=2), pytest.approx(20.4, abs=2))
    assert refused.status == 429
    assert body["error"]["code"] == "upstream_rate_limited"
    assert 50 <= int(refused.headers["Retry-After"]) <= 60


async def test_a_quota_that_is_used_up_is_waited_for_by_all_and_asked_by_one(receiver: Receiver) -> None:
    async with FakeLLM() as llm, Service(settings(llm)) as service, aiohttp.ClientSession(service.url) as http:
        llm.on("the first", replies.status(429, headers={"Retry-After": "3600"}))
        first = await put_off(http, await post(http, receiver, "the first", model="quota:free"))
        others = [await put_off(http, await post(http, receiver, f"n {n}", model="quota:free")) for n in range(5)]
        async with http.post("/api/ask", json={"question": "me too", "model": "quota:free"}) as refused:
            assert refused.status == 429
            assert 3_500 <= int(refused.headers["Retry-After"]) <= 3_600
        await post(http, receiver, "another model", model="paid")
        (callback,) = await receiver.wait_for(1)

    assert callback.json["model"] == "paid"
    assert llm.total == 2
    assert [each["attempt"] for each in (first, *others)] == [0] * 6
    assert all(abs(due(each) - due(first)) < 70 for each in others)
    assert [due(each) for each in others] == sorted({due(each) for each in others})
