"""The list of models when its upstream is slow, failing or odd; a service for each story."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from answerback.testing import replies
from answerback.testing.llm import FakeLLM
from answerback.testing.service import Service
from troubles import SECRET, TROUBLES, upstream

pytestmark = pytest.mark.asyncio(loop_scope="function")

CONCURRENT = 1000


def listing(*data: Any) -> replies.Reply:
    return replies.status(200, {"object": "list", "data": list(data)})


@pytest.fixture
async def llm() -> AsyncIterator[FakeLLM]:
    async with FakeLLM(models=("a", "b")) as server:
        yield server


async def models(http: aiohttp.ClientSession) -> tuple[int, Any]:
    async with http.get("/models") as response:
        return response.status, await response.json()


async def test_a_thousand_callers_of_a_cold_list_make_one_upstream_call(llm: FakeLLM) -> None:
    opened, sent, all_sent = asyncio.Event(), 0, asyncio.Event()
    llm.list_reply = replies.hang(opened, listing({"id": "a"}, {"id": "b"}))

    async def count(*_: Any) -> None:
        nonlocal sent
        sent += 1
        if sent == CONCURRENT:
            all_sent.set()

    trace = aiohttp.TraceConfig()
    trace.on_request_headers_sent.append(count)
    connector = aiohttp.TCPConnector(limit=0)
    async with (
        Service(upstream(llm.base_url)) as service,
        aiohttp.ClientSession(service.url, connector=connector, trace_configs=[trace]) as http,
    ):
        callers = [asyncio.create_task(models(http)) for _ in range(CONCURRENT)]
        await all_sent.wait()
        await llm.wait_for_lists(1)
        opened.set()
        answers = await asyncio.gather(*callers)

    assert {status for status, _ in answers} == {200}
    assert all([each["id"] for each in body] == ["a", "b"] for _, body in answers)
    assert llm.lists == 1


async def test_a_caller_that_hangs_up_takes_the_list_from_nobody(llm: FakeLLM) -> None:
    opened = asyncio.Event()
    llm.list_reply = replies.hang(opened, listing({"id": "a"}))
    async with Service(upstream(llm.base_url)) as service, aiohttp.ClientSession(service.url) as http:
        impatient, patient = asyncio.create_task(models(http)), asyncio.create_task(models(http))
        await llm.wait_for_lists(1)
        impatient.cancel()
        await asyncio.gather(impatient, return_exceptions=True)
        opened.set()

        assert (await patient)[0] == 200
    assert llm.lists == 1


async def test_odd_entries_are_skipped_and_details_listed(llm: FakeLLM) -> None:
    good = {"id": "vendor/good", "name": "Good", "description": "Knows <b>much</b>, schön."}
    llm.list_reply = listing(None, 5, "text", [], {}, {"id": None}, {"id": ""}, good, {"id": "bare", "name": 7}, good)
    async with Service(upstream(llm.base_url)) as service, aiohttp.ClientSession(service.url) as http:
        assert await models(http) == (200, [good, {"id": "bare", "name": "bare", "description": ""}])


async def test_an_old_list_is_served_when_the_upstream_fails(llm: FakeLLM) -> None:
    async with (
        Service(upstream(llm.base_url) | {"CACHE_TTL": "0.01"}) as service,
        aiohttp.ClientSession(service.url) as http,
    ):
        fresh = await models(http)
        llm.list_reply = replies.status(500)
        async with asyncio.timeout(10):
            while "models_failed" not in service.logs:
                assert await models(http) == fresh
        failed_after = llm.lists

        assert await models(http) == fresh
        assert llm.lists == failed_after


@pytest.fixture
async def down(llm: FakeLLM) -> AsyncIterator[aiohttp.ClientSession]:
    llm.list_reply = replies.status(500)
    async with Service(upstream(llm.base_url)) as service, aiohttp.ClientSession(service.url) as http:
        yield http


async def test_with_no_list_at_all_trouble_is_a_status(down: aiohttp.ClientSession, llm: FakeLLM) -> None:
    names = ("429-soon", "429-late", "500", "error-in-200", "not-json", "unreachable", "not-http", "401", "402", "404")
    for name in names:
        trouble = TROUBLES[name]
        llm.list_reply = trouble.reply
        async with down.get("/models") as response:
            body = await response.json()
        # Nothing of the caller's was sent, so that nothing of it was refused.
        status = 502 if name == "404" else trouble.status
        assert (response.status, body["error"]["code"]) == (status, trouble.code), name
        assert trouble.headers.items() <= dict(response.headers).items(), name
        assert SECRET not in str(body)
    llm.list_reply = replies.raw(b'{"data": {}}')
    assert (await models(down))[0] == 502


async def test_with_no_list_at_all_any_model_may_be_asked(down: aiohttp.ClientSession, llm: FakeLLM) -> None:
    async with down.post("/generate", json={"prompt": "hi", "model": "nobody/knows"}) as response:
        assert response.status == 200
    assert llm.calls[-1].model == "nobody/knows"


async def test_failures_that_pass_are_tried_again_and_reported_when_they_do_not(llm: FakeLLM) -> None:
    settings = upstream(llm.base_url) | {"MAX_RETRIES": "2", "MIN_RETRY_DELAY": "0.01", "MAX_RETRY_DELAY": "0.05"}
    llm.on("third time lucky", replies.status(503), replies.hang_up(), replies.say("at last"))
    llm.on("never", replies.status(503))
    llm.on("hopeless", replies.status(400))
    llm.on("too long a wait", replies.status(429, headers={"Retry-After": "30"}))
    async with Service(settings) as service, aiohttp.ClientSession(service.url) as http:

        async def ask(prompt: str, *, stream: bool) -> int:
            async with http.post("/generate", json={"prompt": prompt, "stream": stream}) as response:
                await response.read()
                return response.status

        assert await ask("third time lucky", stream=False) == 200
        assert await ask("never", stream=False) == 502
        assert await ask("never", stream=True) == 502
        assert await ask("hopeless", stream=False) == 400
        assert await ask("too long a wait", stream=False) == 429

    assert llm.counts == {"third time lucky": 3, "never": 6, "hopeless": 1, "too long a wait": 1}


async def test_without_a_provider_the_mock_answers() -> None:
    async with (
        Service({"MOCK_MODE": "true", "MOCK_DELAY_SECONDS": "0"}) as service,
        aiohttp.ClientSession(service.url) as http,
    ):
        assert (await models(http))[1][0]["id"] == "mock"
        for model, status in (("mock", 200), ("nobody/knows", 400)):
            async with http.post("/generate", json={"prompt": "hi", "model": model}) as response:
                assert response.status == status
