"""Fallback: what moves on, what does not, which route is tried first, which cools down."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import Any

import pytest
from scripting import ask, chunk, read, streamed

from answerback.kernel.errors import ErrorCode
from answerback.kernel.instruments import Instruments
from answerback.kernel.provider_error import Concerns, ProviderError
from answerback.llm.health import Health
from answerback.llm.model import ChatRequest, Chunk, Model, ModelList
from answerback.llm.provider import send_streamed
from answerback.llm.reply import Reply
from answerback.llm.routing import COOLDOWN_SECONDS, FallbackProvider, Route
from answerback.testing.clock import FakeClock
from builders import Journal, answer, replied

STREAM = ChatRequest({"model": "smart"}, 5, stream=True)


def broken(
    code: ErrorCode = ErrorCode.UPSTREAM_ERROR,
    *,
    retryable: bool = True,
    retry_after: float | None = None,
    asked: bool = True,
    concerns: Concerns | None = None,
) -> ProviderError:
    return ProviderError(
        code,
        f"{code}!",
        retryable=retryable,
        retry_after=retry_after,
        asked=asked,
        concerns=concerns,
        elsewhere=not retryable,
    )


class Scripted:
    """Answers each model with its failure, or with its own name. Remembers what it was asked for."""

    def __init__(self, name: str, **failures: ProviderError) -> None:
        self.name = name
        self.failures = failures
        self.asked: list[Any] = []
        self.closed = 0
        self.streams_closed = 0
        self.breaks_after_first = False
        self.listing: Sequence[str] | ProviderError = ("a",)

    def _meet(self, request: ChatRequest) -> str:
        model = request.body.get("model")
        self.asked.append(model)
        if model in self.failures:
            raise self.failures[model]
        return f"{self.name}:{model}"

    async def send(self, request: ChatRequest) -> Reply:
        text = self._meet(request)
        return await streamed(self._chunks(text)) if request.stream else replied(answer(text))

    async def _chunks(self, text: str) -> AsyncGenerator[Chunk, None]:
        try:
            yield chunk(text)
            if self.breaks_after_first:
                raise broken()
            yield chunk("", "stop")
        finally:
            self.streams_closed += 1

    async def models(self) -> ModelList:
        if isinstance(self.listing, ProviderError):
            raise self.listing
        return ModelList(tuple(Model(name, name, "", 0, self.name) for name in self.listing), complete=True)

    async def close(self) -> None:
        self.closed += 1


class World:
    """Two providers, and `smart`: model `a` of the first, then `b` of the first, then `c` of the second."""

    def __init__(self, **failures: ProviderError) -> None:
        self.one = Scripted("one", **failures)
        self.two = Scripted("two", **failures)
        smart = [Route(self.one, "a"), Route(self.one, "b"), Route(self.two, "c")]
        self.clock = FakeClock()
        self.health = Health(self.clock)
        instruments = Instruments(Journal(), self.clock)
        self.provider = FallbackProvider({"smart": smart}, smart, self.one, instruments, health=self.health)

    async def ask(self, model: str | None = "smart") -> str:
        body: dict[str, Any] = {"messages": []} if model is None else {"messages": [], "model": model}
        return (await ask(self.provider, ChatRequest(body, 5))).text or ""


async def test_the_first_that_is_well_answers() -> None:
    world = World()

    assert await world.ask() == "one:a"
    assert await world.ask(None) == "one:a"
    assert world.two.asked == []


async def test_a_failure_that_may_be_retried_moves_on_in_order() -> None:
    world = World(a=broken(), b=broken(ErrorCode.UPSTREAM_TIMEOUT))

    assert await world.ask() == "two:c"
    assert world.one.asked == ["a", "b"]


async def test_who_rests_is_shown_and_until_when() -> None:
    world = World(a=broken(retry_after=7), b=broken(ErrorCode.UPSTREAM_AUTH, retryable=False))
    await world.ask()

    (standing,) = world.health.standings()
    began = world.clock.now()
    assert standing.name == "one"
    assert [(rest.model, rest.until - began, rest.code) for rest in standing.rests] == [
        ("a", 7_000, ErrorCode.UPSTREAM_ERROR),
        (None, COOLDOWN_SECONDS * 1000, ErrorCode.UPSTREAM_AUTH),
    ]


async def test_a_name_that_stands_for_nothing_goes_as_it_is_to_the_first_provider() -> None:
    world = World()

    assert await world.ask("other") == "one:other"
    assert world.two.asked == []


async def test_such_a_name_moves_on_where_the_first_provider_is_dead_or_does_not_have_it() -> None:
    world = World()
    world.one.failures["plain"] = broken(ErrorCode.UPSTREAM_UNREACHABLE)
    world.one.failures["theirs"] = broken(ErrorCode.UPSTREAM_REFUSED, retryable=False)

    assert await world.ask("plain") == "two:plain"
    assert await world.ask("plain") == "two:plain"
    assert world.one.asked == ["plain"], "a provider that cannot be reached is asked last for a while"
    world.clock.advance(COOLDOWN_SECONDS)
    assert await world.ask("theirs") == "two:theirs"
    assert await world.ask("other") == "one:other", "a name that a caller made up rests nothing"


@pytest.mark.parametrize("listed", ["openai/*", "openai/gpt-x", "openai/gpt-x:latest", "models/gpt-x"])
async def test_a_name_goes_to_the_provider_whose_list_covers_it_however_it_is_written(listed: str) -> None:
    world = World()
    world.one.listing, world.two.listing = broken(ErrorCode.UPSTREAM_UNREACHABLE), (listed, "c")
    await world.provider.models()

    assert await world.ask("openai/gpt-x") == "two:openai/gpt-x"
    assert world.one.asked == []


async def test_a_provider_that_lists_the_very_name_is_asked_before_one_with_a_wildcard() -> None:
    world = World(x=broken())
    world.one.listing, world.two.listing = ("*",), ("gpt-x",)
    await world.provider.models()
    world.two.failures = {"gpt-x": broken()}

    assert await world.ask("gpt-x") == "one:gpt-x"
    assert world.two.asked == ["gpt-x"]


async def test_a_failure_of_the_request_itself_is_raised_at_once() -> None:
    world = World(a=ProviderError(ErrorCode.UPSTREAM_REFUSED, "no", retryable=False))

    with pytest.raises(ProviderError) as caught:
        await world.ask()

    assert caught.value.failure.code is ErrorCode.UPSTREAM_REFUSED
    assert (world.one.asked, world.two.asked) == (["a"], [])


@pytest.mark.parametrize("code", [ErrorCode.UPSTREAM_AUTH, ErrorCode.UPSTREAM_CREDIT])
async def test_an_account_in_trouble_is_not_asked_for_another_model_but_another_account_is(code: ErrorCode) -> None:
    world = World(a=broken(code, retryable=False))

    assert await world.ask() == "two:c"
    assert world.one.asked == ["a"]


@pytest.mark.parametrize("code", [ErrorCode.UPSTREAM_AUTH, ErrorCode.UPSTREAM_CREDIT])
async def test_an_account_in_trouble_rests_with_all_its_models(code: ErrorCode) -> None:
    world = World(a=broken(code, retryable=False))
    await world.ask()

    assert await world.ask() == "two:c"
    assert world.one.asked == ["a"]
    world.clock.advance(COOLDOWN_SECONDS)
    del world.one.failures["a"]
    assert await world.ask() == "one:a"


async def test_a_refusal_of_one_model_leaves_the_providers_other_models_alone() -> None:
    """Given a 403, or an empty free tier, that concerns one model of the provider."""
    trouble = broken(ErrorCode.UPSTREAM_CREDIT, retryable=False, concerns=Concerns.MODEL)
    world = World(a=trouble)

    assert await world.ask() == "one:b"
    assert await world.ask() == "one:b"
    assert world.one.asked == ["a", "b", "b"], "the model itself is asked last for a while"


async def test_what_one_request_met_is_no_reason_to_ask_another_provider_for_others() -> None:
    """Given a request that a firewall takes for an attack, or that costs more than is left."""
    world = World(a=broken(ErrorCode.UPSTREAM_AUTH, retryable=False, concerns=Concerns.REQUEST))
    assert await world.ask() == "one:b"
    del world.one.failures["a"]

    assert await world.ask() == "one:a"


async def test_where_there_is_one_account_its_trouble_ends_every_request_alike() -> None:
    world = World(a=broken(ErrorCode.UPSTREAM_AUTH, retryable=False))
    only = [Route(world.one, "a"), Route(world.one, "b")]
    world.provider = FallbackProvider({}, only, world.one, Instruments(Journal(), world.clock))

    for _ in range(3):
        with pytest.raises(ProviderError):
            await world.ask(None)

    assert world.one.asked == ["a", "a", "a"]
    del world.one.failures["a"]
    assert await world.ask(None) == "one:a"


async def test_when_all_accounts_are_in_trouble_that_is_final() -> None:
    trouble = broken(ErrorCode.UPSTREAM_CREDIT, retryable=False)
    world = World(a=trouble, c=trouble)

    with pytest.raises(ProviderError) as caught:
        await world.ask()

    assert not caught.value.retryable


@pytest.mark.parametrize(
    ("failures", "expected"),
    [
        ({"a": broken(retry_after=900), "b": broken(retry_after=5), "c": broken(retry_after=60)}, (True, 5)),
        ({"a": broken(retry_after=9), "b": broken(), "c": broken(retry_after=60)}, (True, None)),
        # The last one's refusal is not the first one's: asked again, that may answer.
        (
            {"a": broken(retry_after=9), "b": ProviderError(ErrorCode.UPSTREAM_REFUSED, "no", retryable=False)},
            (True, 9),
        ),
        ({"a": broken(ErrorCode.UPSTREAM_AUTH, retryable=False), "c": broken(retry_after=7)}, (True, 7)),
    ],
)
async def test_when_all_fail_the_failure_that_promises_most_is_raised(
    failures: dict[str, ProviderError], expected: tuple[bool, float | None]
) -> None:
    with pytest.raises(ProviderError) as caught:
        await World(**failures).ask()

    assert (caught.value.retryable, caught.value.retry_after) == expected


async def test_one_that_failed_is_asked_last_until_it_has_cooled_down() -> None:
    world = World(a=broken())
    await world.ask()
    del world.one.failures["a"]

    assert await world.ask() == "one:b"
    world.clock.advance(COOLDOWN_SECONDS)
    assert await world.ask() == "one:a"


async def test_it_cools_as_long_as_it_asked_but_not_for_hours() -> None:
    world = World(a=broken(retry_after=100), b=broken(retry_after=90_000))
    await world.ask()
    world.one.failures.clear()

    world.clock.advance(99)
    assert await world.ask() == "two:c"
    world.clock.advance(1)
    assert await world.ask() == "one:a"
    world.one.failures["a"] = broken()
    world.clock.advance(200)
    assert await world.ask() == "one:b"


async def test_when_all_cool_the_one_that_is_well_soonest_is_asked_first() -> None:
    world = World(a=broken(retry_after=50), b=broken(retry_after=20), c=broken(retry_after=40))
    with pytest.raises(ProviderError):
        await world.ask()
    world.one.failures.clear()

    assert await world.ask() == "one:b"


@pytest.mark.parametrize(
    "error", [broken(ErrorCode.UPSTREAM_EMPTY), broken(ErrorCode.UPSTREAM_RATE_LIMITED, retry_after=900, asked=False)]
)
async def test_what_says_nothing_about_the_provider_moves_on_without_cooling_it(error: ProviderError) -> None:
    world = World(a=error)
    assert await world.ask() == "one:b"

    del world.one.failures["a"]
    assert await world.ask() == "one:a"


class TestStreams:
    async def texts(self, world: World) -> list[str]:
        return [each.text for each in await read(world.provider, STREAM)]

    async def test_before_the_first_token_the_next_is_asked(self) -> None:
        assert await self.texts(World(a=broken(), b=broken())) == ["two:c", ""]

    async def test_after_the_first_token_nobody_else_is_asked(self) -> None:
        world = World()
        world.one.breaks_after_first = True
        texts = []

        async def read() -> None:
            async with aclosing(await send_streamed(world.provider, STREAM)) as reply:
                async for each in reply:
                    texts.append(each.text)

        with pytest.raises(ProviderError):
            await read()
        assert texts == ["one:a"]
        assert world.one.asked == ["a"]

    async def test_closing_it_closes_the_upstreams(self) -> None:
        world = World()
        reply = await send_streamed(world.provider, STREAM)
        await anext(reply)

        await reply.aclose()

        assert world.one.streams_closed == 1


async def test_all_providers_lists_are_joined_behind_the_names_of_routes() -> None:
    world = World()
    world.one.listing, world.two.listing = ("a", "shared"), ("shared", "c")

    listed = await world.provider.models()

    shown = [(model.id, model.description or model.owned_by) for model in listed.models]
    assert shown == [("smart", "Stands for a, then b, then c."), ("a", "one"), ("shared", "one"), ("c", "two")]
    assert listed.complete


@pytest.mark.parametrize("dead", ["one", "two"])
async def test_a_dead_provider_costs_its_own_entries_only(dead: str) -> None:
    world = World()
    world.one.listing, world.two.listing = ("a",), ("c",)
    getattr(world, dead).listing = broken(ErrorCode.UPSTREAM_UNREACHABLE)

    listed = await world.provider.models()

    assert [model.id for model in listed.models] == ["smart", "c" if dead == "one" else "a"]
    assert not listed.complete, "what the dead one has is not known"


async def test_where_all_are_dead_that_is_raised() -> None:
    world = World()
    world.one.listing = world.two.listing = broken(ErrorCode.UPSTREAM_UNREACHABLE)

    with pytest.raises(ProviderError):
        await world.provider.models()


async def test_a_model_that_only_another_provider_lists_is_asked_there() -> None:
    world = World()
    world.two.listing = ("c", "theirs")
    assert await world.ask("theirs") == "one:theirs", "no list has been read"
    await world.provider.models()

    assert await world.ask("theirs") == "two:theirs"
    world.two.listing = broken()
    await world.provider.models()
    assert await world.ask("theirs") == "two:theirs", "a list that failed is not forgotten"


async def test_every_provider_is_closed_once() -> None:
    world = World()

    await world.provider.close()

    assert (world.one.closed, world.two.closed) == (1, 1)


@pytest.mark.parametrize("code", ["model_not_found", None])
async def test_a_model_that_a_provider_does_not_have_is_looked_for_elsewhere(code: str | None) -> None:
    """Given a route whose model its provider no longer has, or whose base URL is wrong."""
    unknown = ProviderError(
        ErrorCode.UPSTREAM_REFUSED, "gone", retryable=False, elsewhere=True, upstream_code=code, http_status=404
    )

    assert await World(a=unknown).ask() == "one:b"


class Full(Scripted):
    """Has no place: refuses calls that cannot wait, and counts those that do."""

    def __init__(self, name: str, retry_after: float) -> None:
        super().__init__(name)
        self.retry_after = retry_after
        self.waited: list[ChatRequest] = []

    async def send(self, request: ChatRequest) -> Reply:
        if not request.patient:
            raise broken(ErrorCode.UPSTREAM_RATE_LIMITED, retry_after=self.retry_after, asked=False)
        self.waited.append(request)
        return await super().send(request)


def full_world(*providers: Scripted) -> FallbackProvider:
    routes = [Route(each, "m") for each in providers]
    return FallbackProvider({}, routes, providers[0], Instruments(Journal(), FakeClock()))


async def test_a_route_without_a_place_is_passed() -> None:
    full, free = Full("full", 1.0), Scripted("free")

    assert (await ask(full_world(full, free), ChatRequest({}, 5))).text == "free:m"
    assert full.waited == []


async def test_where_no_route_has_a_place_the_call_waits_for_the_one_that_is_free_soonest() -> None:
    slow, quick = Full("slow", 9.0), Full("quick", 1.0)
    request = ChatRequest({}, 5, "t1", queued=True)

    assert (await ask(full_world(slow, quick), request)).text == "quick:m"
    assert slow.waited == []
    assert [(each.tenant_id, each.queued) for each in quick.waited] == [("t1", True)]


async def test_a_route_that_failed_is_no_reason_not_to_wait_for_another() -> None:
    failing = Scripted("failing", m=broken())

    assert (await ask(full_world(failing, Full("full", 1.0)), ChatRequest({}, 5))).text == "full:m"
