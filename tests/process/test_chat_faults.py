"""A hundred ways for a stream to break (`FAULTS=1000` for more), and as many for a whole answer: none looks like
success."""

import asyncio
import os
import random
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import Any

import aiohttp
import openai
import pytest
from broken_answers import STREAMS, WHOLE, Fault, whole

from answerback.testing import replies
from answerback.testing.completions import encoded
from answerback.testing.llm import FakeLLM
from answerback.testing.service import Service
from troubles import chunk, sse

pytestmark = pytest.mark.asyncio(loop_scope="module")

SEED = 3
FAULTS = int(os.environ.get("FAULTS", "100"))
AT_ONCE = 6
"""Each is asked for on every route at one time: a stall lasts as long on all of them as on one."""

Route = Callable[[str], Awaitable[bool]]
"""Whether a client that asks for this text there sees a success."""


@pytest.fixture(scope="module")
def settings() -> Mapping[str, str]:
    return {"LLM_TIMEOUT_SECONDS": "3"}


async def taken_for_success(
    llm: FakeLLM, name: str, faults: Sequence[Fault], routes: Sequence[Route]
) -> list[tuple[int, str, list[bool]]]:
    """The faults that a client of one of the routes took for success."""
    rng = random.Random(SEED)
    for n in range(FAULTS):
        llm.on(f"{name} {n}", faults[n % len(faults)](rng))
    slots = asyncio.Semaphore(AT_ONCE)

    async def seen(text: str) -> list[bool]:
        async with slots:
            return await asyncio.gather(*(route(text) for route in routes))

    seen_by_clients = await asyncio.gather(*(seen(f"{name} {n}") for n in range(FAULTS)))
    return [(n, faults[n % len(faults)].__name__, each) for n, each in enumerate(seen_by_clients) if any(each)]


async def test_no_broken_whole_answer_looks_like_success(llm: FakeLLM, service: Service) -> None:
    async with openai.AsyncOpenAI(base_url=f"{service.url}/v1", api_key="none", max_retries=0) as client:
        # Asked for as a stream, an upstream of this kind answers whole all the same.
        routes: list[Route] = [
            partial(completed, client),
            partial(chatted, client),
            partial(responded, client, streamed=False),
            partial(responded, client, streamed=True),
        ]

        assert await taken_for_success(llm, "whole fault", WHOLE, routes) == []
        # The same eyes do see a success.
        llm.on("whole", replies.raw(encoded(whole(random.Random(SEED)))))
        assert all([await route("whole") for route in routes])


async def test_no_broken_stream_looks_like_success(llm: FakeLLM, service: Service, http: aiohttp.ClientSession) -> None:
    async with openai.AsyncOpenAI(base_url=f"{service.url}/v1", api_key="none", max_retries=0) as client:
        routes: list[Route] = [
            partial(chatted, client),
            partial(responded, client, streamed=True),
            partial(responded, client, streamed=False),
            partial(streamed_events, http),
            partial(streamed_text, http),
        ]

        assert await taken_for_success(llm, "fault", STREAMS, routes) == []
        assert all([await route("x") for route in routes])
    async with http.get("/api/history", params={"limit": 100}) as response:
        assert [each["question"] for each in (await response.json())["items"]] == ["x", "x"]
    assert "Traceback" not in service.logs


async def completed(client: openai.AsyncOpenAI, text: str) -> bool:
    """Whether the SDK got a completion."""
    try:
        await client.chat.completions.create(model="fake", messages=[{"role": "user", "content": text}])
    except openai.APIError:
        return False
    return True


async def chatted(client: openai.AsyncOpenAI, text: str) -> bool:
    """Whether the SDK came to the stream's end without raising."""
    try:
        stream = await client.chat.completions.create(
            model="fake",
            messages=[{"role": "user", "content": text}],
            stream=True,
            stream_options={"include_usage": len(text) % 2 == 0},
        )
        async for _ in stream:
            pass
    except openai.APIError:
        return False
    return True


async def responded(client: openai.AsyncOpenAI, text: str, streamed: bool) -> bool:
    """Whether the SDK got a response that says it is whole, or a stream without the end of one that broke. With a key
    it is a job's."""
    asked: Any = {"model": "fake", "input": text, "store": False, "stream": streamed}
    key = {"Idempotency-Key": f"{text}, {streamed}"} if len(text) % 2 else {}
    try:
        response: Any = await client.responses.create(**asked, extra_headers=key)
        events = [event async for event in response] if streamed else []
    except openai.APIError:
        return False
    return events[-1].type != "response.failed" if streamed else response.status == "completed"


async def streamed_events(http: aiohttp.ClientSession, text: str) -> bool:
    headers = {"Accept": "text/event-stream"}
    async with http.post("/api/streaming", json={"question": text}, headers=headers) as response:
        return response.status == 200 and '{"done":true}' in await response.text()


async def streamed_text(http: aiohttp.ClientSession, text: str) -> bool:
    try:
        async with http.post("/api/streaming", json={"question": text}) as response:
            await response.read()
            return response.status == 200
    except aiohttp.ClientPayloadError:
        return False


async def test_what_fails_before_the_first_token_is_retried_and_not_noticed(llm: FakeLLM, tmp_path: Any) -> None:
    settings = {"OPENROUTER_BASE_URL": llm.base_url, "MAX_RETRIES": "4", "MIN_RETRY_DELAY": "0.01", "RATE_LIMIT": "0"}
    llm.on(
        "patience",
        replies.status(503),
        replies.stream(sse({"error": {"code": 502, "message": "scripted"}})),
        replies.stream(sse(chunk(""), done=False), "broken"),
        replies.say("worth it"),
    )

    async with (
        Service(settings, folder=tmp_path) as service,
        openai.AsyncOpenAI(base_url=f"{service.url}/v1", api_key="none", max_retries=0) as client,
    ):
        stream = await client.chat.completions.create(
            model="fake", messages=[{"role": "user", "content": "patience"}], stream=True
        )
        pieces = [each.choices[0].delta.content or "" async for each in stream]

    assert ("".join(pieces), llm.count("patience")) == ("worth it", 4)
