"""An answer that came and is of no use may have been paid for: the caller learns of it, and it is not bought again."""

import asyncio
from collections.abc import Mapping
from typing import Any

import aiohttp
import openai
import pytest

from answerback.testing import replies
from answerback.testing.llm import FakeLLM
from answerback.testing.service import Service
from troubles import chunk, sse

pytestmark = pytest.mark.asyncio(loop_scope="module")

RETRIES = "2"


@pytest.fixture(scope="module")
def settings() -> Mapping[str, str]:
    return {"MAX_RETRIES": RETRIES, "MIN_RETRY_DELAY": "0.01"}


USELESS: dict[str, tuple[replies.Reply, replies.Reply, str]] = {
    "empty": (replies.message(""), replies.stream(sse(chunk(""), chunk(None, "stop"))), "upstream_empty"),
    "no-choices": (replies.completion(choices=[]), replies.completion(choices=[]), "upstream_invalid"),
    "not-json": (replies.raw(b"<html>"), replies.stream(sse("<html>")), "upstream_invalid"),
    "broken-off": (replies.break_off(), replies.stream(b'{"choices": [', "broken"), "upstream_invalid"),
}

ROUTES: dict[str, tuple[str, Any]] = {
    "ask": ("/api/ask", lambda text: {"question": text}),
    "streaming": ("/api/streaming", lambda text: {"question": text}),
    "generate": ("/generate", lambda text: {"prompt": text}),
    "chat": ("/v1/chat/completions", lambda text: {"messages": [{"role": "user", "content": text}]}),
    "chat-stream": (
        "/v1/chat/completions",
        lambda text: {"messages": [{"role": "user", "content": text}], "stream": True},
    ),
}


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("name", USELESS)
async def test_a_useless_answer_is_an_error_at_once_and_asked_for_once(
    http: aiohttp.ClientSession, llm: FakeLLM, name: str, route: str
) -> None:
    whole, streamed, code = USELESS[name]
    path, body = ROUTES[route]
    text = f"{name} at {route}"
    llm.on(text, streamed if "stream" in route else whole)

    async with http.post(path, json=body(text)) as response:
        problem = await response.json()

    assert (response.status, problem["error"]["code"]) == (502, code)
    assert response.headers["x-should-retry"] == "false"
    assert llm.count(text) == 1


STREAMED_TOO: dict[str, tuple[str, Any]] = {
    "generate-stream": ("/generate", lambda text: {"prompt": text, "stream": True}),
    "responses": ("/v1/responses", lambda text: {"model": "fake", "input": text}),
    "responses-stream": ("/v1/responses", lambda text: {"model": "fake", "input": text, "stream": True}),
}


async def test_an_answer_without_its_last_newlines_on_a_connection_that_stays_open_is_one_on_every_route(
    http: aiohttp.ClientSession, llm: FakeLLM
) -> None:
    async def asked(route: str, path: str, body: Any) -> tuple[int, bool, int]:
        text = f"no newline at {route}"
        llm.on(text, replies.stream(sse(chunk("Hello", "stop"), done=False).rstrip(), "never"))
        async with http.post(path, json=body(text)) as response:
            said = await response.text()
        return response.status, "Hello" in said and "upstream_timeout" not in said, llm.count(text)

    routes = ROUTES | STREAMED_TOO

    answers = await asyncio.gather(*(asked(route, *how) for route, how in routes.items()))

    assert dict(zip(routes, answers, strict=True)) == dict.fromkeys(routes, (200, True, 1))


async def test_openais_client_does_not_buy_it_again_either(service: Service, llm: FakeLLM) -> None:
    llm.on("bought once", replies.message(""))

    async with openai.AsyncOpenAI(base_url=f"{service.url}/v1", api_key="none") as client:
        with pytest.raises(openai.InternalServerError):
            await client.chat.completions.create(model="fake", messages=[{"role": "user", "content": "bought once"}])

    assert llm.count("bought once") == 1


async def test_openais_client_does_not_multiply_the_services_own_tries(service: Service, llm: FakeLLM) -> None:
    """Given its default of two retries."""
    llm.on("limited", replies.status(429))
    async with openai.AsyncOpenAI(base_url=f"{service.url}/v1", api_key="any") as client:
        with pytest.raises(openai.RateLimitError):
            await client.chat.completions.create(model="fake", messages=[{"role": "user", "content": "limited"}])

    assert llm.count("limited") == 1 + int(RETRIES)


async def test_what_may_pass_is_still_tried_again(http: aiohttp.ClientSession, llm: FakeLLM) -> None:
    llm.on("patience", replies.status(503), replies.hang_up(), replies.say("worth it"))

    async with http.post("/api/ask", json={"question": "patience"}) as response:
        assert await response.json() == {"answer": "worth it"}


async def test_a_whole_completion_for_a_stream_is_streamed(http: aiohttp.ClientSession, llm: FakeLLM) -> None:
    llm.on("at one go", replies.completion())

    async with http.post("/generate", json={"prompt": "at one go", "stream": True}) as response:
        text = await response.text()

    assert text == 'data: {"content":"A good answer."}\n\ndata: {"done":true}\n\n'


async def test_the_log_names_the_model_that_streamed(
    http: aiohttp.ClientSession, llm: FakeLLM, service: Service
) -> None:
    async with http.post("/api/streaming", json={"question": "who?", "model": "fake/streamer"}) as response:
        await response.read()

    await service.until_logged('"model":"fake/streamer"')
    (line,) = [line for line in service.logs.splitlines() if '"model":"fake/streamer"' in line]
    assert '"path":"/api/streaming"' in line
