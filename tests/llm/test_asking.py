"""What a question takes: tries, waits and tokens on a clock that only the test moves."""

from collections.abc import AsyncGenerator, Callable

import pytest
from scripting import chunk, streamed

from answerback.kernel.current_request import CURRENT_REQUEST, CurrentRequest
from answerback.kernel.errors import ErrorCode
from answerback.kernel.instruments import Instruments
from answerback.kernel.provider_error import ProviderError
from answerback.kernel.retry import ShortRetries
from answerback.kernel.telemetry import ANSWERED, JobEnd
from answerback.kernel.usage import Usage
from answerback.llm.asking import TIMER_SLACK, Asker
from answerback.llm.limiter import LimitedProvider, UpstreamLimiter
from answerback.llm.model import Answer, ChatRequest, Chunk, ModelList
from answerback.llm.reply import Reply
from answerback.testing.clock import FakeClock
from builders import Journal, StubProvider, answer, replied

BODY = {"messages": [{"role": "user", "content": "hi"}]}
RETRIES = ShortRetries(retries=3, first=0.5, limit=8.0, multiplier=2.0)


def trouble(retry_after: float | None = None, *, retryable: bool = True) -> ProviderError:
    return ProviderError(ErrorCode.UPSTREAM_RATE_LIMITED, "not now", retryable=retryable, retry_after=retry_after)


def said(text: str, usage: Usage | None = None) -> Chunk:
    return chunk(text, usage=usage, model="m-1")


class Scripted:
    """Each call takes the next step: seconds to pass, chunks to say, an error to raise."""

    name = "scripted"

    def __init__(self, clock: FakeClock, *calls: list[float | Chunk | ProviderError]) -> None:
        self._clock = clock
        self._calls = list(calls)
        self.asked = 0

    async def send(self, request: ChatRequest) -> Reply:
        self.asked += 1
        steps = self._play(self._calls.pop(0))
        if request.stream:
            return await streamed(steps)
        async for _ in steps:
            continue
        return replied(answer())

    async def models(self) -> ModelList:
        return ModelList(())

    async def close(self) -> None:
        return

    async def _play(self, steps: list[float | Chunk | ProviderError]) -> AsyncGenerator[Chunk, None]:
        for step in steps:
            if isinstance(step, float):
                self._clock.advance(step)
            elif isinstance(step, Chunk):
                yield step
            else:
                raise step


Made = Callable[..., tuple[Asker, Scripted]]


@pytest.fixture
def waits() -> list[float]:
    return []


@pytest.fixture
def made(clock: FakeClock, journal: Journal, waits: list[float]) -> Made:
    async def sleep(seconds: float) -> None:
        waits.append(seconds)
        clock.advance(seconds)

    def make(*calls: list[float | Chunk | ProviderError]) -> tuple[Asker, Scripted]:
        provider = Scripted(clock, *calls)
        return Asker(provider, RETRIES, 60.0, Instruments(journal, clock), sleep=sleep), provider

    return make


async def test_a_stream_is_timed_to_its_first_token_and_to_its_end(made: Made) -> None:
    asker, _ = made([0.25, said("one"), 1.0, said(" two"), 0.5, said("", Usage(3, 7, 10))])

    measured = await asker.measure("t1", BODY)

    assert (measured.first_token_seconds, measured.seconds, measured.tries) == (0.25, 1.75, 1)
    assert (measured.text, measured.model, measured.usage) == ("one two", "m-1", Usage(3, 7, 10))


async def test_retries_wait_as_long_as_asked_are_counted_and_leave_latency_alone(
    made: Made, waits: list[float]
) -> None:
    asker, _ = made([0.125, trouble(5.0)], [4.0, said("half"), trouble()], [0.5, said("whole"), 0.25])

    measured = await asker.measure("t1", BODY)

    assert (measured.tries, measured.text) == (3, "whole")
    assert measured.seconds == pytest.approx(0.75)
    assert measured.first_token_seconds == pytest.approx(0.5)
    assert waits[0] == pytest.approx(5.0, abs=0.01)
    assert 1.0 <= waits[1] <= 8.0


async def test_a_plain_answer_is_timed_without_the_waits_too(made: Made, waits: list[float]) -> None:
    asker, _ = made([1.0, trouble(5.0)], [0.75])

    timed = await asker.ask("t1", BODY)

    assert timed.seconds == pytest.approx(0.75)
    assert waits == [5.0 + TIMER_SLACK]


async def test_tries_that_are_used_up_are_a_failure_not_an_error(made: Made, waits: list[float]) -> None:
    asker, provider = made(*([trouble()] for _ in range(4)))

    measured = await asker.measure("t1", BODY)

    assert measured.failure is not None
    assert (measured.failure.code, measured.tries, provider.asked) == (ErrorCode.UPSTREAM_RATE_LIMITED, 4, 4)
    assert len(waits) == 3


@pytest.mark.parametrize("final", [trouble(retryable=False), trouble(retry_after=8.5)])
async def test_what_another_try_cannot_mend_is_tried_once(made: Made, final: ProviderError, waits: list[float]) -> None:
    asker, provider = made([final])

    measured = await asker.measure("t1", BODY)

    assert (measured.tries, provider.asked, waits) == (1, 1, [])
    assert measured.failure is final.failure


CALL = {"id": "c1", "type": "function", "function": {"name": "weather", "arguments": "{}"}}
CALLS = Answer(None, "m-1", None, "tool_calls", (CALL,))


async def test_a_text_that_was_asked_for_is_not_answered_by_a_tool_call(clock: FakeClock, journal: Journal) -> None:
    asker = Asker(StubProvider(CALLS), RETRIES, 60.0, Instruments(journal, clock))  # type: ignore[arg-type]

    with pytest.raises(ProviderError) as caught:
        await asker.ask("t1", BODY)

    assert caught.value.failure.code is ErrorCode.UPSTREAM_EMPTY
    assert "called a tool" in caught.value.failure.message
    assert "POST /v1/chat/completions" in caught.value.failure.message
    assert not caught.value.retryable
    assert (await asker.relay("t1", BODY)).answer() == CALLS


async def test_a_stream_of_calls_alone_says_that_a_tool_was_called(made: Made) -> None:
    calls = {"choices": [{"delta": {"tool_calls": [{"index": 0, **CALL}]}, "finish_reason": "tool_calls"}]}
    asker, _ = made([said(" "), Chunk(b"{}", calls, "", "tool_calls", None)])

    with pytest.raises(ProviderError, match="called a tool") as caught:
        await asker.stream_text("t1", BODY)

    assert (caught.value.failure.code, caught.value.retryable) == (ErrorCode.UPSTREAM_EMPTY, False)


async def test_a_stream_of_text_begins_with_text_and_one_without_any_is_empty(made: Made) -> None:
    cut = chunk(" two", "MAX_TOKENS")
    asker, _ = made([said(""), said("\n"), said("one"), said(""), cut], [said(""), said(" ")])

    text = await asker.stream_text("t1", BODY)

    assert [piece async for piece in text.pieces] == ["\none", " two"]
    assert text.finish_reason == "length"
    with pytest.raises(ProviderError) as caught:
        await asker.stream_text("t1", BODY)
    assert caught.value.failure.code is ErrorCode.UPSTREAM_EMPTY


@pytest.mark.parametrize(
    ("reason", "code"), [("length", ErrorCode.UPSTREAM_EMPTY), ("SAFETY", ErrorCode.UPSTREAM_REFUSED)]
)
async def test_a_stream_that_a_limit_or_a_filter_left_empty_is_final(made: Made, reason: str, code: ErrorCode) -> None:
    asker, _ = made([said(""), chunk("", reason)])

    with pytest.raises(ProviderError) as caught:
        await asker.stream_text("t1", BODY)

    assert (caught.value.failure.code, caught.value.retryable) == (code, False)


async def test_an_answer_that_was_cut_first_stays_cut_whatever_is_said_later(made: Made) -> None:
    asker, _ = made([said("one"), chunk("", "length"), chunk("", "stop")])

    assert (await asker.measure("t1", BODY)).finish_reason == "length"


async def test_a_wait_that_the_upstream_names_is_over_when_it_is_asked_again(
    clock: FakeClock, journal: Journal
) -> None:
    """Given timers that fire 2 ms early, and the limiter, which pauses the model for as long as the upstream named."""
    provider = Scripted(clock, [trouble(5.0)], [0.1])
    limiter = UpstreamLimiter("llm", Instruments(journal, clock))

    async def early(seconds: float) -> None:
        clock.advance(seconds - 0.002)

    once = ShortRetries(retries=1, first=0.5, limit=8.0, multiplier=2.0)
    limited = LimitedProvider(provider, limiter, "m-1")
    asker = Asker(limited, once, 60.0, Instruments(journal, clock), sleep=early)

    await asker.ask("t1", BODY)

    assert provider.asked == 2
    assert [line for line in journal.lines if line[0] == "call_retried"][1:] == [], "the pause itself refused nothing"


async def test_a_refusal_of_the_limiter_spends_no_try(made: Made, waits: list[float]) -> None:
    """Given another caller's 429, which lengthens the pause while this one waits, again and again."""
    full = ProviderError(ErrorCode.UPSTREAM_RATE_LIMITED, "paused", retryable=True, retry_after=1.0, asked=False)
    asker, provider = made([trouble(1.0)], *([full] for _ in range(9)), [trouble()], [trouble()], [0.1])

    await asker.ask("t1", BODY)

    assert (provider.asked, len(waits)) == (13, 12)


async def test_a_caller_waits_for_places_no_longer_than_for_an_answer(made: Made, waits: list[float]) -> None:
    full = ProviderError(ErrorCode.UPSTREAM_RATE_LIMITED, "no place", retryable=True, retry_after=0.1, asked=False)
    asker, provider = made([20.0, full], [60.0, full], [0.1])

    with pytest.raises(ProviderError):
        await asker.ask("t1", BODY)

    assert (provider.asked, len(waits)) == (2, 1)


async def test_calls_that_clients_wait_for_are_counted_as_they_end(clock: FakeClock, journal: Journal) -> None:
    ended: list[JobEnd] = []
    provider = Scripted(clock, [said("one", Usage(3, 7, 10))], [said("half"), trouble()], [trouble()], [trouble()])
    asker = Asker(provider, ShortRetries(0, 1, 1, 1), 60.0, Instruments(journal, clock), ended=ended.append)

    async for _ in await asker.stream("t1", BODY):
        pass
    with pytest.raises(ProviderError):
        async for _ in await asker.stream("t1", BODY):
            pass
    with pytest.raises(ProviderError):
        await asker.stream("t2", BODY)

    code = trouble().failure.code
    assert ended == [JobEnd("t1", ANSWERED, Usage(3, 7, 10)), JobEnd("t1", code), JobEnd("t2", code)]


async def test_an_answer_is_noted_on_the_line_of_its_request(made: Made, journal: Journal) -> None:
    asker, _ = made([1.0])
    request = CurrentRequest("req_1")
    CURRENT_REQUEST.set(request)

    await asker.ask("t1", BODY)

    assert request.notes == {"model": "model-1", "tokens": 3, "finish": "stop", "llm_ms": 1000}
    assert journal.lines == []


async def test_an_answer_without_a_request_leaves_a_line_of_its_own(made: Made, journal: Journal) -> None:
    asker, _ = made([1.0])

    await asker.ask("t1", BODY)

    assert journal.lines == [("answered", {"model": "model-1", "ms": 1000, "tokens": 3, "finish": "stop"})]
