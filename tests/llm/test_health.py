"""Whether providers answer, as their calls have shown."""

import asyncio
from collections.abc import Sequence

import pytest

from answerback.kernel.errors import ErrorCode
from answerback.kernel.instruments import Instruments
from answerback.kernel.provider_error import ProviderError
from answerback.kernel.telemetry import LLMCall
from answerback.llm.health import AWAY_AFTER, Health
from answerback.llm.model import ModelList
from answerback.llm.observed import ObservedProvider
from answerback.llm.standing import WINDOW_MS, Rest, Standing, Step
from answerback.testing.clock import FakeClock
from builders import Journal


@pytest.fixture
def health(clock: FakeClock) -> Health:
    made = Health(clock)
    made.add("first")
    made.add("second")
    return made


def call(seconds: float = 1.0, provider: str = "first") -> LLMCall:
    return LLMCall(provider, "m", seconds)


def failure(code: ErrorCode = ErrorCode.UPSTREAM_UNREACHABLE, *, asked: bool = True) -> ProviderError:
    return ProviderError(code, f"the upstream: {code}", retryable=True, asked=asked)


def first(health: Health) -> Standing:
    return health.standings()[0]


def test_providers_are_shown_in_their_order_before_their_first_calls(health: Health) -> None:
    assert [(each.name, each.reachable, each.since, each.calls) for each in health.standings()] == [
        ("first", None, None, 0),
        ("second", None, None, 0),
    ]


def test_it_says_since_when_a_provider_is_away_and_since_when_it_is_back(health: Health, clock: FakeClock) -> None:
    health.called(call(), None)
    clock.advance(10)
    health.called(call(), failure())
    away_since = clock.now()
    clock.advance(10)
    health.called(call(), failure(ErrorCode.UPSTREAM_AUTH))

    away = first(health)
    assert (away.reachable, away.since, away.error) == (False, away_since, "the upstream: upstream_auth")

    clock.advance(10)
    health.called(call(), None)
    back = first(health)
    assert (back.reachable, back.since, back.error) == (True, clock.now(), None)
    assert back.last_error == "the upstream: upstream_auth"


@pytest.mark.parametrize("code", [ErrorCode.UPSTREAM_TIMEOUT, ErrorCode.UPSTREAM_ERROR])
def test_one_call_that_broke_does_not_make_a_provider_unreachable(health: Health, code: ErrorCode) -> None:
    health.called(call(), failure(code))
    assert first(health).reachable is None
    health.called(call(), None)
    answering_since = first(health).since

    for _ in range(AWAY_AFTER - 1):
        health.called(call(), failure(code))

    assert (first(health).reachable, first(health).since) == (True, answering_since)
    assert (first(health).error, first(health).last_error) == (None, f"the upstream: {code}")


def test_calls_that_broke_in_a_row_do_since_the_first_of_them(health: Health, clock: FakeClock) -> None:
    health.called(call(), failure(ErrorCode.UPSTREAM_TIMEOUT))
    health.called(call(), None)
    clock.advance(10)
    away_since = clock.now()
    for _ in range(AWAY_AFTER):
        health.called(call(), failure(ErrorCode.UPSTREAM_TIMEOUT))
        clock.advance(10)

    away = first(health)

    assert (away.reachable, away.since, away.error) == (False, away_since, "the upstream: upstream_timeout")


@pytest.mark.parametrize("code", [ErrorCode.UPSTREAM_REFUSED, ErrorCode.UPSTREAM_RATE_LIMITED])
def test_who_refuses_a_request_is_reachable(health: Health, code: ErrorCode) -> None:
    health.called(call(), failure(code))

    assert (first(health).reachable, first(health).failures) == (True, 1)


@pytest.mark.parametrize("error", [asyncio.CancelledError(), GeneratorExit(), failure(asked=False), TypeError()])
def test_what_was_not_the_providers_says_nothing_of_it(health: Health, error: BaseException) -> None:
    health.called(call(), error)

    assert (first(health).reachable, first(health).calls) == (None, 0)


def test_calls_are_those_of_the_window(health: Health, clock: FakeClock) -> None:
    for seconds in (9.0, 1.0, 3.0):
        health.called(call(seconds), None)
        clock.advance(60)
    health.called(call(5.0), failure())
    clock.advance(WINDOW_MS / 1000 - 90)

    seen = first(health)

    assert (seen.calls, seen.failures, seen.latency_ms_p50) == (2, 1, 3000)


def test_all_calls_of_the_window_are_counted_in_bounded_memory(health: Health, clock: FakeClock) -> None:
    for _ in range(60):
        for milliseconds in range(1_000, 1_100):
            health.called(call(milliseconds / 1000), None)
            health.called(call(), failure())
        clock.advance(20)

    seen = first(health)

    assert (seen.calls, seen.failures, seen.latency_ms_p50) == (9_000, 4_500, 1000)
    assert sum(len(minute.answers) for minute in health.seen()["first"].minutes) <= 16 * 2


class Lists:
    """A provider whose model list comes, or does not."""

    name = "lists"

    def __init__(self, answers: Sequence[ModelList | ProviderError]) -> None:
        self._answers = list(answers)

    async def models(self) -> ModelList:
        answer = self._answers.pop(0)
        if isinstance(answer, ProviderError):
            raise answer
        return answer


async def test_a_list_of_models_shows_it_too(clock: FakeClock, journal: Journal) -> None:
    health = Health(clock)
    lists = Lists([failure(), ModelList(())])
    provider = ObservedProvider(lists, "m", Instruments(journal, clock), health)  # type: ignore[arg-type]

    with pytest.raises(ProviderError):
        await provider.models()
    assert (first(health).reachable, first(health).calls) == (False, 0)
    await provider.models()
    assert first(health).reachable


@pytest.mark.parametrize("code", [ErrorCode.UPSTREAM_AUTH, ErrorCode.UPSTREAM_CREDIT])
def test_a_list_of_models_does_not_say_that_calls_are_answered(health: Health, code: ErrorCode) -> None:
    health.called(call(), failure(code))

    health.listed("first", None)

    assert (first(health).reachable, first(health).error) == (False, f"the upstream: {code}")


def share(*processes: Health) -> None:
    """Each knows what the others have seen."""
    for health in processes:
        health.others = [other.seen() for other in processes if other is not health]


def test_processes_show_the_same_of_a_provider(health: Health, clock: FakeClock) -> None:
    other = Health(clock)
    other.add("first")
    health.called(call(), failure(ErrorCode.UPSTREAM_AUTH))
    away_since = clock.now()
    clock.advance(10)
    share(health, other)
    assert (first(other).reachable, first(other).since) == (False, away_since)
    assert first(other).error == first(other).last_error == "the upstream: upstream_auth"

    other.called(call(), None)
    share(health, other)

    assert [(each.reachable, each.since, each.error) for each in (first(health), first(other))] == [
        (True, clock.now(), None)
    ] * 2


@pytest.mark.parametrize("step", [-86_400, 86_400])
def test_a_clock_that_is_set_changes_nothing_of_what_is_shown(health: Health, clock: FakeClock, step: int) -> None:
    # Given a provider that rests for a minute after a failure, and another process that saw it answer before
    other = Health(clock)
    other.add("first")
    other.called(call(), None)
    clock.advance(10)
    health.called(call(), failure())
    health.rests("first", None, 60, ErrorCode.UPSTREAM_UNREACHABLE)

    # When the clock is set
    clock.step(step)
    share(health, other)

    # Then both show the same, in its times
    for each in (first(health), first(other)):
        assert (each.reachable, each.since, each.calls, each.failures) == (False, clock.now(), 2, 1)
        assert [rest.until for rest in each.rests] == [clock.now() + 60_000]

    # And the next call counts, and what is over is over
    clock.advance(61)
    other.called(call(), None)
    share(health, other)
    for each in (first(health), first(other)):
        assert (each.reachable, each.calls, list(each.rests)) == (True, 3, [])
    clock.advance(WINDOW_MS / 1000 + 1)
    assert first(other).calls == 0


def test_the_calls_of_all_processes_are_counted(health: Health, clock: FakeClock) -> None:
    other = Health(clock)
    other.add("first")
    other.called(call(4.0), None)
    clock.advance(WINDOW_MS / 1000 - 5)
    health.called(call(1.0), None)
    other.called(call(2.0), None)
    other.called(call(9.0), failure(ErrorCode.UPSTREAM_TIMEOUT))
    share(health, other)
    for each in (first(health), first(other)):
        assert (each.calls, each.failures, each.latency_ms_p50) == (4, 1, 2000)

    clock.advance(10)

    for each in (first(health), first(other)):
        assert (each.calls, each.failures, each.latency_ms_p50) == (3, 1, 1500)


def test_since_when_is_what_the_process_knows_that_saw_it_first(health: Health, clock: FakeClock) -> None:
    other = Health(clock)
    other.add("first")
    health.called(call(), None)
    reachable_since = clock.now()
    clock.advance(10)
    other.called(call(), None)
    share(health, other)
    assert first(health).since == first(other).since == reachable_since

    # One process could not reach it in between.
    clock.advance(10)
    other.called(call(), failure())
    away = clock.now()
    clock.advance(10)
    health.called(call(), None)
    share(health, other)

    assert [(each.reachable, each.since) for each in (first(health), first(other))] == [(True, away)] * 2


def test_who_rests_in_any_process_is_shown_until_the_last_rest_ends(health: Health, clock: FakeClock) -> None:
    other = Health(clock)
    other.add("first")
    health.rests("first", "m", 30, ErrorCode.UPSTREAM_RATE_LIMITED)
    other.rests("first", "m", 60, ErrorCode.UPSTREAM_CREDIT)
    share(health, other)

    assert first(health).rests == [Rest("m", clock.now() + 60_000, ErrorCode.UPSTREAM_CREDIT)]


def test_who_rests_is_shown_until_the_rest_ends(health: Health, clock: FakeClock) -> None:
    health.rests("first", "m", 30, ErrorCode.UPSTREAM_RATE_LIMITED)
    health.rests("first", None, 60, ErrorCode.UPSTREAM_CREDIT)
    began = clock.now()

    assert first(health).rests == [
        Rest("m", began + 30_000, ErrorCode.UPSTREAM_RATE_LIMITED),
        Rest(None, began + 60_000, ErrorCode.UPSTREAM_CREDIT),
    ]
    clock.advance(45)
    assert [rest.model for rest in first(health).rests] == [None]
    clock.advance(15)
    assert first(health).rests == []


def test_providers_are_shown_in_the_order_of_the_routes_with_their_models(health: Health) -> None:
    health.routed(
        {
            "default": [Step("second", "large"), Step("third", "tiny")],
            "other": [Step("second", "small"), Step("second", "large")],
        }
    )

    assert [(each.name, each.models) for each in health.standings()] == [
        ("second", ("large", "small")),
        ("third", ("tiny",)),
        ("first", None),
    ]
