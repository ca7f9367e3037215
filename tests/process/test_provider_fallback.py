"""Fallback as users of the service meet it: the next provider answers."""

from collections.abc import AsyncIterator

import aiohttp
import pytest

from answerback.testing import FakeLLM, Receiver, Service, replies

pytestmark = pytest.mark.asyncio(loop_scope="function")


@pytest.fixture
async def first() -> AsyncIterator[FakeLLM]:
    async with FakeLLM(models=("big",)) as llm:
        yield llm


@pytest.fixture
async def second() -> AsyncIterator[FakeLLM]:
    async with FakeLLM(models=("small",)) as llm:
        yield llm


@pytest.fixture
async def http(
    first: FakeLLM, second: FakeLLM, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[aiohttp.ClientSession]:
    """A service with the routes of two providers."""
    folder = tmp_path_factory.mktemp("routed")
    (folder / "routes.toml").write_text(
        f"""
        [providers.main]
        base_url = "{first.base_url}"
        api_key_env = "MAIN_KEY"

        [providers.spare]
        base_url = "{second.base_url}"
        api_key = "sk-spare"

        [routes]
        smart = [{{ provider = "main", model = "big" }}, {{ provider = "spare", model = "small" }}]
        """
    )
    settings = {"LLM_ROUTES_FILE": "routes.toml", "MAIN_KEY": "sk-main", "MAX_RETRIES": "0"}
    async with Service(settings, folder=folder) as service, aiohttp.ClientSession(service.url) as session:
        yield session


async def test_a_job_is_answered_by_the_next_provider_at_its_first_attempt(
    http: aiohttp.ClientSession, first: FakeLLM, second: FakeLLM
) -> None:
    first.on("hello", replies.status(503))
    async with Receiver() as receiver:
        body = {"message": "hello", "callback_url": receiver.url("/done")}
        async with http.post("/webhook", json=body) as accepted:
            assert accepted.status == 202
        (callback,) = await receiver.wait_for(1)

    assert (callback.json["status"], callback.json["model"]) == ("completed", "small")
    assert (first.calls[0].model, first.calls[0].headers["Authorization"]) == ("big", "Bearer sk-main")
    assert (second.calls[0].model, second.calls[0].headers["Authorization"]) == ("small", "Bearer sk-spare")


async def test_the_synchronous_routes_fall_back_and_a_cooling_provider_is_spared(
    http: aiohttp.ClientSession, first: FakeLLM, second: FakeLLM
) -> None:
    first.on(lambda _: True, replies.status(429, headers={"Retry-After": "120"}))

    async with http.post("/api/ask", json={"question": "one"}) as asked:
        assert (asked.status, await asked.json()) == (200, {"answer": 'You said: "one". I was given 1 message.'})
    async with http.post("/api/streaming", json={"question": "two"}) as streamed:
        assert (streamed.status, await streamed.text()) == (200, 'You said: "two". I was given 1 message.')
    said = {"model": "smart", "messages": [{"role": "user", "content": "three"}]}
    async with http.post("/v1/chat/completions", json=said) as completed:
        assert (completed.status, (await completed.json())["model"]) == (200, "small")

    assert first.total == 1
    assert second.total == 3


async def test_a_refused_request_is_reported_and_not_tried_elsewhere(
    http: aiohttp.ClientSession, first: FakeLLM, second: FakeLLM
) -> None:
    first.on("too long", replies.status(400))

    async with http.post("/api/ask", json={"question": "too long"}) as response:
        assert (response.status, (await response.json())["error"]["code"]) == (400, "upstream_refused")

    assert second.total == 0


async def test_a_stream_that_breaks_after_its_first_word_is_not_begun_anew(
    http: aiohttp.ClientSession, first: FakeLLM, second: FakeLLM
) -> None:
    first.on("break", replies.break_off())

    async with http.post(
        "/api/streaming", json={"question": "break"}, headers={"Accept": "text/event-stream"}
    ) as response:
        text = await response.text()

    assert response.status == 200
    assert "event: error" in text
    assert second.total == 0


async def test_the_list_of_models_names_the_route_and_joins_both_providers(http: aiohttp.ClientSession) -> None:
    async with http.get("/v1/models") as response:
        assert [model["id"] for model in (await response.json())["data"]] == ["smart", "big", "small"]


async def test_account_trouble_of_one_provider_is_the_same_for_all(first: FakeLLM) -> None:
    first.on(lambda _: True, replies.status(401))
    settings = {"OPENROUTER_BASE_URL": first.base_url, "LLM_MODEL": "big", "LLM_FALLBACK_MODELS": "small, tiny"}
    async with Service(settings) as service, aiohttp.ClientSession(service.url) as http:
        for _ in range(2):
            async with http.post("/api/ask", json={"question": "hello"}) as response:
                assert (response.status, (await response.json())["error"]["code"]) == (502, "upstream_auth")

    assert {call.model for call in first.calls} == {"big"}


async def test_fallback_models_of_one_provider(first: FakeLLM) -> None:
    first.then(replies.error_in_200(502))
    settings = {"OPENROUTER_BASE_URL": first.base_url, "LLM_MODEL": "big", "LLM_FALLBACK_MODELS": "small, tiny"}
    async with (
        Service(settings) as service,
        aiohttp.ClientSession(service.url) as http,
        http.post("/api/ask", json={"question": "hello"}) as response,
    ):
        assert response.status == 200

    assert [call.model for call in first.calls] == ["big", "small"]
