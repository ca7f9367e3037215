"""Limits towards an upstream: exact, with reserved slots for queued calls, and no call made in vain."""

import asyncio
import heapq
from collections.abc import AsyncGenerator, Callable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scripting import HOUR, chunk, read, streamed

from answerback.kernel.errors import ErrorCode
from answerback.kernel.instruments import Instruments
from answerback.kernel.provider_error import ProviderError
from answerback.kernel.shares import Weights
from answerback.llm.callers import LATELY
from answerback.llm.health import Health
from answerback.llm.limiter import RESERVED_AHEAD, LimitedProvider, UpstreamLimiter
from answerback.llm.model import ChatRequest, Chunk, ModelList
from answerback.llm.provider import send_streamed
from answerback.llm.reply import OnEnd, Reply
from answerback.testing.clock import FakeClock
from builders import Journal, answer, replied

Made = Callable[..., UpstreamLimiter]


@pytest.fixture
def limiter(clock: FakeClock) -> Made:
    return lambda **limits: UpstreamLimiter("llm", Instruments(Journal(), clock), **limits)


async def wait(limiter: UpstreamLimiter, model: str = "m", tenant: str = "t1", *, queued: bool = True) -> float:
    """Begins a call that does not end: 0.0 where there is room, else the seconds to wait."""
    try:
        await limiter.begin(model, tenant, 0.0, queued=queued)
    except ProviderError as error:
        expected = (ErrorCode.UPSTREAM_RATE_LIMITED, True, False)
        return error.retry_after or -1.0 if (error.failure.code, error.retryable, error.asked) == expected else -1.0
    return 0.0


async def waits_of(limiter: UpstreamLimiter, times: int, *, queued: bool = True) -> list[float]:
    return [await wait(limiter, queued=queued) for _ in range(times)]


def rounded(waits: list[float]) -> list[float]:
    return [round(wait, 1) for wait in waits]


class TestCallsAMinute:
    async def test_jobs_without_room_reserve_one_slot_after_the_other(self, limiter: Made) -> None:
        limited = limiter(per_minute=3)

        assert rounded(await waits_of(limited, 7)) == [0, 0, 0, 60, 80.4, 100.8, 121.2]

    async def test_a_job_that_comes_back_at_its_reserved_slot_finds_room(self, limiter: Made, clock: FakeClock) -> None:
        limited = limiter(per_minute=3)
        slots = [clock.monotonic() + seconds for _ in range(12) if (seconds := await wait(limited)) > 0]

        late = (0.0, 0.3, 0.9)
        waits = []
        for number, slot in enumerate(slots):
            clock.advance(max(0.0, slot + late[number % 3] - clock.monotonic()))
            waits.append(await wait(limited))
        assert waits == [0] * len(slots)

    async def test_a_caller_who_cannot_wait_gets_the_shortest_wait_and_reserves_nothing(
        self, limiter: Made, clock: FakeClock
    ) -> None:
        limited = limiter(per_minute=2)
        await wait(limited)
        clock.advance(10)
        await wait(limited)

        assert await waits_of(limited, 100, queued=False) == [50.0] * 100
        assert await wait(limited) == pytest.approx(50, abs=0.1)

    @given(steps=st.lists(st.tuples(st.floats(0, 20), st.booleans()), max_size=120), limit=st.integers(1, 5))
    def test_no_sixty_seconds_hold_more_calls_than_the_limit(self, steps: list[tuple[float, bool]], limit: int) -> None:
        clock = FakeClock()
        limited = UpstreamLimiter("llm", Instruments(Journal(), clock), per_minute=limit)
        started: list[float] = []
        for step, queued in steps:
            clock.advance(step)
            recent = [at for at in started if at > clock.monotonic() - 60]
            admitted = asyncio.run(wait(limited, queued=queued)) == 0
            assert admitted == (len(recent) < limit)
            if admitted:
                started.append(clock.monotonic())

    async def test_slots_are_not_reserved_further_and_further_ahead(self, limiter: Made) -> None:
        limited = limiter(per_minute=20, draw=lambda: 0.5)

        waits = await waits_of(limited, 2_000)

        assert max(waits) <= 60 + RESERVED_AHEAD + 1
        assert waits[-1] == pytest.approx(60 + 0.75 * RESERVED_AHEAD, abs=0.1)

    async def asked(self, limited: UpstreamLimiter, tenant: str, times: int = 1) -> list[float]:
        """By callers who wait for the answer."""
        return [await wait(limited, tenant=tenant, queued=False) for _ in range(times)]

    async def test_a_tenants_questions_leave_some_of_the_minute_to_one_that_called_lately(
        self, limiter: Made, clock: FakeClock
    ) -> None:
        limited = limiter(per_minute=60)
        await self.asked(limited, "few")
        clock.advance(120)

        many = await self.asked(limited, "many", 100)

        assert many.count(0.0) == 48
        assert await self.asked(limited, "few", 9) == [0.0] * 9
        # Those that were refused were given the time at which there is room for them
        clock.advance(max(many))
        assert await self.asked(limited, "many") == [0.0]

    async def test_a_tenant_that_was_alone_for_long_has_the_whole_minute(self, limiter: Made, clock: FakeClock) -> None:
        limited = limiter(per_minute=60)
        await self.asked(limited, "few")
        clock.advance(LATELY)

        assert (await self.asked(limited, "many", 100)).count(0.0) == 60

    async def test_so_do_its_questions_leave_some_to_others_jobs(self, limiter: Made, clock: FakeClock) -> None:
        limited = limiter(per_minute=60)
        await wait(limited, tenant="few")
        clock.advance(120)
        await self.asked(limited, "many", 100)

        assert [await wait(limited, tenant="few") for _ in range(9)] == [0.0] * 9

    async def test_a_backlog_of_jobs_leaves_some_to_others_questions(self, limiter: Made, clock: FakeClock) -> None:
        limited = limiter(per_minute=60)
        began, jobs, refused = clock.monotonic(), 0, 0.0
        coming = [(began, number, "many") for number in range(2_000)]
        coming += [(began + 100 + 10 * number, 5_000 + number, "few") for number in range(50)]

        while coming[0][0] < began + 600:
            at, number, tenant = heapq.heappop(coming)
            clock.advance(at - clock.monotonic())
            queued = tenant == "many"
            seconds = await wait(limited, tenant=tenant, queued=queued)
            if not queued:
                refused += seconds > 0
            elif seconds:
                heapq.heappush(coming, (at + seconds, number, tenant))
            else:
                jobs += 1

        assert refused < 5, "at the beginning: nobody else had called"
        assert jobs > 0.75 * 600


class TestCallsAtOnce:
    async def test_a_slot_is_free_when_a_call_ends(self, limiter: Made) -> None:
        limited = limiter(concurrency=2)
        end = await limited.begin("m", "t1", 0.0, queued=True)
        assert [await wait(limited), await wait(limited) > 0] == [0, True]

        end(None)

        assert [await wait(limited), await wait(limited) > 0] == [0, True]

    async def test_slots_follow_each_other_at_the_pace_of_the_calls(self, limiter: Made, clock: FakeClock) -> None:
        limited = limiter(concurrency=2)
        for _ in range(100):
            end = await limited.begin("m", "t1", 0.0, queued=True)
            clock.advance(20)
            end(None)
        await wait(limited)
        await wait(limited)

        assert [round(each) for each in await waits_of(limited, 4)] == [8, 16, 24, 32]

    async def test_calls_wait_in_turn_between_tenants(self, limiter: Made) -> None:
        limited = limiter(concurrency=1)
        line = Line(limited)
        await line.enter("a", "a", "a", "b", "c", "a")

        for _ in range(6):
            await line.end()

        assert line.began == ["a", "a", "b", "c", "a", "a"]

    async def test_beside_one_that_called_lately_a_tenant_leaves_some_places(
        self, limiter: Made, clock: FakeClock
    ) -> None:
        limited = limiter(concurrency=10)
        (await limited.begin("m", "small", 0.0, queued=False))(None)

        begun = [await wait(limited, tenant="big", queued=False) for _ in range(12)]
        assert [begun.count(0), await wait(limited, tenant="small", queued=False)] == [8, 0]

        clock.advance(LATELY)
        assert await wait(limited, tenant="big", queued=False) == 0

    async def test_places_that_are_left_no_longer_go_to_those_that_wait_first(
        self, limiter: Made, clock: FakeClock
    ) -> None:
        limited = limiter(concurrency=10)
        (await limited.begin("m", "small", 0.0, queued=False))(None)
        for _ in range(8):
            await limited.begin("m", "big", 0.0, queued=False)
        waiting = [asyncio.ensure_future(limited.begin("m", "big", HOUR, queued=False)) for _ in range(2)]
        await asyncio.sleep(0)

        clock.advance(LATELY)
        assert await wait(limited, tenant="big", queued=False) > 0

        await asyncio.gather(*waiting)

    async def test_places_and_minutes_go_to_tenants_by_their_weights(self, limiter: Made) -> None:
        weights = Weights()
        weights.set({"heavy": 3})
        line = Line(limiter(concurrency=1, weights=weights))
        await line.enter("first", *["heavy"] * 6, *["light"] * 2)

        for _ in range(8):
            await line.end()

        assert line.began == ["first", "heavy", "light", "heavy", "heavy", "light", *["heavy"] * 3]

        minute = limiter(per_minute=4, weights=weights)
        waits: dict[str, list[float]] = {"heavy": [], "light": []}
        for _ in range(8):
            for tenant, of_tenant in waits.items():
                of_tenant.append(await wait(minute, tenant=tenant))
        assert waits["light"][-1] > 2 * waits["heavy"][-1]

    async def test_a_caller_whose_patience_ends_is_refused_and_leaves_the_line(self, limiter: Made) -> None:
        limited = limiter(concurrency=1)
        line = Line(limited)
        await line.enter("a")

        with pytest.raises(ProviderError) as refused:
            await limited.begin("m", "b", 0.001, queued=False)

        assert (refused.value.failure.code, refused.value.asked) == (ErrorCode.UPSTREAM_RATE_LIMITED, False)
        assert refused.value.retry_after == pytest.approx(0.08)
        await line.end()
        assert await wait(limited) == 0

    async def test_few_jobs_of_a_tenant_wait_for_each_place_and_more_go_back_to_the_queue(self, limiter: Made) -> None:
        limited = limiter(concurrency=2)
        line = Line(limited, queued=True)
        await line.enter(*["a"] * 9, "b")
        assert line.began == ["a", "a"]
        assert line.put_off == pytest.approx([0.045, 0.085, 0.125])

        for _ in range(3):
            await line.end()

        assert line.began == ["a", "a", "a", "b", "a"]

    async def test_a_backlog_of_jobs_sends_no_other_tenant_to_the_end_of_it(self, limiter: Made) -> None:
        limited = limiter(concurrency=1)
        await waits_of(limited, 500)

        assert await wait(limited, tenant="b") < 0.2

    async def test_a_pause_that_came_meanwhile_refuses_those_that_waited_and_keeps_no_place(
        self, limiter: Made
    ) -> None:
        limited = limiter(concurrency=1)
        line = Line(limited)
        await line.enter("a", "b", "c")
        limited.pause("m", 60)

        await line.end()

        assert rounded(line.put_off) == [60, 60]
        assert await wait(limited, "other") == 0


class Line:
    """Calls that wait for a place, the tenants of those that have begun, and the waits of those that were put off."""

    def __init__(self, limiter: UpstreamLimiter, *, queued: bool = False) -> None:
        self._limiter = limiter
        self._queued = queued
        self._ends: list[OnEnd] = []
        self.began: list[str] = []
        self.put_off: list[float] = []
        self._calls: list[asyncio.Task[None]] = []

    async def enter(self, *tenants: str) -> None:
        for tenant_id in tenants:
            self._calls.append(asyncio.ensure_future(self._call(tenant_id)))
            await settle()

    async def end(self) -> None:
        """Ends the call that began first."""
        self._ends.pop(0)(None)
        await settle()

    async def _call(self, tenant_id: str) -> None:
        try:
            self._ends.append(await self._limiter.begin("m", tenant_id, HOUR, queued=self._queued))
        except ProviderError as error:
            self.put_off.append(error.retry_after or -1.0)
        else:
            self.began.append(tenant_id)


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


class TestAPause:
    async def test_a_model_whose_limit_is_used_up_is_left_alone_until_then_others_are_not(
        self, limiter: Made, clock: FakeClock
    ) -> None:
        limited = limiter()
        limited.pause("free", 3_600)

        assert await wait(limited, "free", queued=False) == 3_600
        assert rounded([await wait(limited, "free") for _ in range(3)]) == [3_600, 3_600.1, 3_600.2]
        assert await wait(limited, "paid") == 0
        clock.advance(3_600)
        assert await wait(limited, "free") == 0

    async def test_a_shorter_one_does_not_end_a_longer_one_and_none_is_longer_than_a_day(self, limiter: Made) -> None:
        limited = limiter()
        limited.pause("m", 600)
        limited.pause("m", 5)
        assert await wait(limited, queued=False) == 600

        limited.pause("m", 10_000_000)
        assert await wait(limited, queued=False) == 86_400

    async def test_it_is_shown_as_long_as_it_is(self, limiter: Made, clock: FakeClock) -> None:
        health = Health(clock)
        ended = await limiter(health=health).begin("m", "t1", 0.0, queued=True)
        ended(ProviderError(ErrorCode.UPSTREAM_RATE_LIMITED, "", retryable=True, retry_after=172_800.0))

        (rest,) = health.seen()["llm"].rests
        assert rest.until - clock.now() == 86_400_000

    async def test_slots_after_it_keep_to_the_limit_of_the_minute(self, limiter: Made) -> None:
        limited = limiter(per_minute=20)
        limited.pause("m", 100)

        assert rounded(await waits_of(limited, 3)) == [100, 103.1, 106.1]


def limited_for(seconds: float | None) -> ProviderError:
    return ProviderError(ErrorCode.UPSTREAM_RATE_LIMITED, "slow down", retryable=True, retry_after=seconds)


class TestAWaitThatIsFalse:
    """Given an upstream that names a second, and limits the call after it again."""

    async def asked(self, limiter: UpstreamLimiter, clock: FakeClock, named: float = 1.0) -> float:
        """The wait after a call that is limited; the clock is then at its end."""
        end = await limiter.begin("m", "t1", 0.0, queued=False)
        error = limited_for(named)
        end(error)
        assert error.retry_after is not None
        assert await wait(limiter, queued=False) == pytest.approx(error.retry_after, abs=1e-6) or named == 0
        clock.advance(error.retry_after)
        return error.retry_after

    @pytest.mark.parametrize("named", [1.0, 0.0])
    async def test_several_times_in_a_row_is_asked_ever_more_rarely(
        self, limiter: Made, clock: FakeClock, named: float
    ) -> None:
        limited = limiter()

        waits = [await self.asked(limited, clock, named) for _ in range(20)]

        assert waits[:6] == [named, named, named, 2.0, 4.0, 8.0]
        assert waits[-1] == 3_600

    async def test_an_answer_makes_the_next_wait_credible_again(self, limiter: Made, clock: FakeClock) -> None:
        limited = limiter()
        for _ in range(6):
            await self.asked(limited, clock)

        (await limited.begin("m", "t1", 0.0, queued=False))(None)

        assert await self.asked(limited, clock) == 1.0

    async def test_calls_that_were_under_way_when_it_was_named_say_nothing_of_it(
        self, limiter: Made, clock: FakeClock
    ) -> None:
        limited = limiter()
        ends = [await limited.begin("m", "t1", 0.0, queued=False) for _ in range(10)]
        for end in ends:
            end(limited_for(1.0))
        clock.advance(1.0)

        assert await self.asked(limited, clock) == 1.0

    async def test_a_longer_one_that_the_upstream_names_is_believed(self, limiter: Made, clock: FakeClock) -> None:
        limited = limiter()
        for _ in range(10):
            await self.asked(limited, clock)

        assert await self.asked(limited, clock, named=7_200.0) == 7_200

    async def test_a_longer_one_is_not_multiplied_by_what_shorter_ones_proved(
        self, limiter: Made, clock: FakeClock
    ) -> None:
        limited = limiter()

        waits = [await self.asked(limited, clock, named) for named in (2.5, 1.66, 0.34, 2.0, 90.0)]

        assert waits == [2.5, 1.66, 0.34, 2.0, 90.0]


class Scripted:
    """A provider that waits or fails as scripted, and counts its calls."""

    name = "scripted"

    def __init__(self) -> None:
        self.failure: ProviderError | None = None
        self.until = asyncio.Event()
        self.began = asyncio.Event()
        self.asked = 0

    async def send(self, request: ChatRequest) -> Reply:
        if request.stream:
            return await streamed(self._chunks())
        await self._work()
        return replied(answer())

    async def _chunks(self) -> AsyncGenerator[Chunk, None]:
        yield chunk("one")
        await self._work()
        yield chunk("two", "stop")

    async def _work(self) -> None:
        self.asked += 1
        self.began.set()
        if self.failure is not None:
            raise self.failure
        await self.until.wait()

    async def models(self) -> ModelList:
        return ModelList(())

    async def close(self) -> None:
        return


WHOLE = ChatRequest({"model": "m", "messages": []}, 10)
STREAM = replace(WHOLE, stream=True)
AT_ONCE = replace(WHOLE, patient=False)


@pytest.fixture
def scripted() -> Scripted:
    return Scripted()


class TestTheProvider:
    @pytest.mark.parametrize("request_", [WHOLE, STREAM])
    async def test_a_call_that_is_cancelled_frees_its_slot(
        self, request_: ChatRequest, scripted: Scripted, limiter: Made
    ) -> None:
        provider = LimitedProvider(scripted, limiter(concurrency=1), "default")
        call = asyncio.ensure_future(read(provider, request_) if request_.stream else provider.send(request_))
        await scripted.began.wait()
        with pytest.raises(ProviderError):
            await provider.send(AT_ONCE)

        call.cancel()
        await asyncio.gather(call, return_exceptions=True)

        scripted.until.set()
        assert await provider.send(WHOLE)

    async def test_a_stream_holds_its_slot_until_it_is_closed(self, scripted: Scripted, limiter: Made) -> None:
        provider = LimitedProvider(scripted, limiter(concurrency=1), "default")
        reply = await send_streamed(provider, STREAM)
        assert (await anext(reply)).text == "one"
        with pytest.raises(ProviderError):
            await provider.send(AT_ONCE)

        await reply.aclose()

        scripted.until.set()
        assert await provider.send(WHOLE)

    async def test_a_failure_frees_its_slot_and_one_without_a_time_pauses_nothing(
        self, scripted: Scripted, limiter: Made
    ) -> None:
        provider = LimitedProvider(scripted, limiter(concurrency=1), "default")
        scripted.failure = ProviderError(ErrorCode.UPSTREAM_RATE_LIMITED, "limited", retryable=True)
        for _ in range(3):
            with pytest.raises(ProviderError) as caught:
                await provider.send(WHOLE)
            assert caught.value.asked

        assert scripted.asked == 3

    async def test_an_upstreams_limit_with_a_time_is_asked_once(self, scripted: Scripted, limiter: Made) -> None:
        provider = LimitedProvider(scripted, limiter(), "default")
        scripted.failure = ProviderError(ErrorCode.UPSTREAM_RATE_LIMITED, "limited", retryable=True, retry_after=60)
        for _ in range(20):
            with pytest.raises(ProviderError):
                await provider.send(WHOLE)
        assert scripted.asked == 1

        with pytest.raises(ProviderError):
            await provider.send(ChatRequest({"messages": []}, 10))
        assert scripted.asked == 2  # another model, the default

    async def test_a_failure_of_another_kind_pauses_nothing(self, scripted: Scripted, limiter: Made) -> None:
        provider = LimitedProvider(scripted, limiter(), "default")
        scripted.failure = ProviderError(ErrorCode.UPSTREAM_ERROR, "broken", retryable=True, retry_after=60)
        for _ in range(3):
            with pytest.raises(ProviderError):
                await provider.send(WHOLE)

        assert scripted.asked == 3
