"""The list of models: one call however many ask, old rather than none, nobody else's to cancel."""

import asyncio
from collections.abc import Sequence

import pytest

from answerback.kernel.errors import ErrorCode, UnknownModel
from answerback.kernel.instruments import Instruments
from answerback.kernel.provider_error import ProviderError
from answerback.llm import catalog as module
from answerback.llm.catalog import PAUSE_SECONDS, Catalog
from answerback.llm.model import Model, ModelList
from answerback.testing.clock import FakeClock
from builders import Journal

TTL = 300.0


def model(name: str, description: str = "") -> Model:
    return Model(name, name, description, 0, "vendor")


def down(retry_after: float | None = None) -> ProviderError:
    return ProviderError(ErrorCode.UPSTREAM_ERROR, "the upstream failed", retryable=True, retry_after=retry_after)


class Lister:
    """Lists `answer`, once `open` is set; an error is raised. The list claims to be `complete`."""

    def __init__(self) -> None:
        self.answer: Sequence[Model] | Exception = [model("a"), model("b")]
        self.complete = True
        self.calls = 0
        self.asked = asyncio.Event()
        self.open = asyncio.Event()
        self.open.set()

    async def models(self) -> ModelList:
        self.calls += 1
        self.asked.set()
        await self.open.wait()
        if isinstance(self.answer, Exception):
            raise self.answer
        return ModelList(tuple(self.answer), self.complete)


@pytest.fixture
def lister() -> Lister:
    return Lister()


@pytest.fixture
def catalog(lister: Lister, clock: FakeClock, journal: Journal) -> Catalog:
    return Catalog(lister, TTL, Instruments(journal, clock), always=("house/default",))


def names(models: Sequence[Model]) -> list[str]:
    return [each.id for each in models]


async def test_a_thousand_callers_of_a_cold_list_make_one_call(catalog: Catalog, lister: Lister) -> None:
    lister.open.clear()
    callers = [asyncio.create_task(catalog.list()) for _ in range(1000)]
    await lister.asked.wait()

    lister.open.set()

    assert {tuple(names(each)) for each in await asyncio.gather(*callers)} == {("a", "b")}
    assert lister.calls == 1


async def test_a_caller_that_goes_away_takes_the_list_from_nobody(catalog: Catalog, lister: Lister) -> None:
    lister.open.clear()
    first, second = asyncio.create_task(catalog.list()), asyncio.create_task(catalog.list())
    await lister.asked.wait()

    first.cancel()
    await asyncio.gather(first, return_exceptions=True)
    lister.open.set()

    assert first.cancelled()
    assert names(await second) == ["a", "b"]
    assert lister.calls == 1


async def test_a_list_is_cached_for_its_time_and_then_asked_for_anew(
    catalog: Catalog, lister: Lister, clock: FakeClock
) -> None:
    await catalog.list()
    lister.answer = [model("c")]

    clock.advance(TTL - 0.001)
    assert names(await catalog.list()) == ["a", "b"]
    clock.advance(0.001)
    assert names(await catalog.list()) == ["c"]
    assert lister.calls == 2


async def test_an_old_list_is_served_while_the_upstream_is_down_and_it_is_not_pestered(
    catalog: Catalog, lister: Lister, clock: FakeClock, journal: Journal
) -> None:
    await catalog.list()
    clock.advance(TTL)
    lister.answer = down()

    for _ in range(10):
        assert names(await catalog.list()) == ["a", "b"]
    assert lister.calls == 2
    assert journal.lines[-1][0] == "models_failed"

    clock.advance(PAUSE_SECONDS)
    lister.answer = [model("c")]
    assert names(await catalog.list()) == ["c"]


async def test_an_upstream_that_names_a_time_is_left_alone_until_then(
    catalog: Catalog, lister: Lister, clock: FakeClock
) -> None:
    await catalog.list()
    clock.advance(TTL)
    lister.answer = down(retry_after=100)
    await catalog.list()

    clock.advance(99)
    await catalog.list()
    assert lister.calls == 2
    clock.advance(1)
    await catalog.list()
    assert lister.calls == 3


async def test_an_old_list_does_not_wait_for_a_slow_upstream(
    catalog: Catalog, lister: Lister, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PATIENCE_SECONDS", 0.0)
    await catalog.list()
    clock.advance(TTL)
    lister.open.clear()
    lister.answer = [model("c")]

    assert names(await catalog.list()) == ["a", "b"]
    assert names(await catalog.list()) == ["a", "b"]

    assert lister.calls == 2


async def test_with_nothing_to_serve_all_hear_why_and_the_next_asks_again(catalog: Catalog, lister: Lister) -> None:
    lister.answer = down()

    outcomes = await asyncio.gather(*(catalog.list() for _ in range(3)), return_exceptions=True)
    assert [type(each) for each in outcomes] == [ProviderError] * 3
    assert lister.calls == 1

    lister.answer = [model("a")]
    assert names(await catalog.list()) == ["a"]


async def test_a_model_listed_twice_is_one(catalog: Catalog, lister: Lister) -> None:
    lister.answer = [model("a", "first"), model("b"), model("a", "second")]

    listed = await catalog.list()

    assert [(each.id, each.description) for each in listed] == [("a", "first"), ("b", "")]


@pytest.mark.parametrize(
    "name",
    [
        *(None, "house/default", "openai/gpt-oss", "openai/gpt-oss:free", "openai/gpt-oss:nitro", "llama3"),
        *("@preset/mine", "gpt-oss", "azure/gpt-oss", "models/llama3", "gemini-2.0-flash", "anthropic/claude-x"),
    ],
)
async def test_a_model_that_is_there_passes_however_it_is_written(
    catalog: Catalog, lister: Lister, name: str | None
) -> None:
    listed = "openai/gpt-oss", "llama3:latest", "models/gemini-2.0-flash", "anthropic/*"
    lister.answer = [model(each) for each in listed]

    await catalog.check(name)


async def test_a_model_that_is_not_there_is_refused(catalog: Catalog) -> None:
    with pytest.raises(UnknownModel, match="there is no model 'nobody/knows'"):
        await catalog.check("nobody/knows")


@pytest.mark.parametrize("name", ["a", "openai/gpt-9", "llama3", "gemini-2.0-flash"])
async def test_a_model_is_found_by_the_name_that_it_may_be_asked_by(
    catalog: Catalog, lister: Lister, name: str
) -> None:
    lister.answer = [model(each, "mine") for each in ("a", "openai/*", "llama3:latest", "models/gemini-2.0-flash")]
    lister.complete = False

    found = await catalog.find(name)

    assert found is not None
    assert (found.id, found.owned_by) == (name, "vendor")
    assert await catalog.find("nobody/knows") is None


async def test_a_list_that_does_not_claim_to_be_complete_is_no_whitelist(catalog: Catalog, lister: Lister) -> None:
    """Given deployments, aliases, wildcards that are not listed: the upstream itself says what it does not have."""
    lister.complete = False

    await catalog.check("my-deployment")


async def test_without_a_list_every_model_passes_and_nobody_waits_twice(
    catalog: Catalog, lister: Lister, clock: FakeClock
) -> None:
    lister.answer = down()
    for _ in range(5):
        await catalog.check("nobody/knows")
    assert lister.calls == 1

    clock.advance(PAUSE_SECONDS)
    lister.answer = [model("a")]
    with pytest.raises(UnknownModel):
        await catalog.check("nobody/knows")


async def test_an_empty_list_says_nothing_of_what_there_is(catalog: Catalog, lister: Lister) -> None:
    lister.answer = []

    assert await catalog.list() == ()
    await catalog.check("nobody/knows")


async def test_a_list_that_does_not_come_holds_nobody_up(
    catalog: Catalog, lister: Lister, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PATIENCE_SECONDS", 0.0)
    lister.open.clear()

    await catalog.check("nobody/knows")
