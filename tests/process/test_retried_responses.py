"""An SDK that tries again by itself gets the response of its first try: whole, and in the background."""

from typing import Any

import aiohttp
import openai
import pytest

from answerback.testing import replies
from answerback.testing.llm import FakeLLM
from answerback.testing.service import Service
from serving import client_of
from troubles import upstream

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def create(http: aiohttp.ClientSession, body: Any, tries: int) -> str:
    async with http.post("/v1/responses", json=body, headers={"x-stainless-retry-count": str(tries)}) as response:
        assert response.status == 200
        return str((await response.json())["id"])


async def test_an_impatient_sdk_is_answered_once(sdk: openai.AsyncOpenAI, llm: FakeLLM) -> None:
    llm.on("impatient", replies.delayed(0.4, replies.say("Here.")))

    made = await sdk.with_options(timeout=0.3, max_retries=5).responses.create(model="fake", input="impatient")

    assert made.output_text == "Here."
    assert llm.count("impatient") == 1
    assert (await sdk.responses.retrieve(made.id)).output == made.output


@pytest.mark.parametrize("more", [{}, {"stream": True}], ids=["polled", "streamed"])
async def test_a_background_response_is_made_once(http: aiohttp.ClientSession, llm: FakeLLM, more: Any) -> None:
    text = f"background {more}"
    llm.on(text, replies.hang())
    body: Any = {"model": "fake", "input": text, "background": True, **more}
    calls = llm.total

    made = []
    for tries in (0, 1, 2, 0):
        headers = {"x-stainless-retry-count": str(tries)}
        async with http.post("/v1/responses", json=body, headers=headers) as response:
            made.append((response.headers.get("Idempotent-Replayed"), await response.content.readline()))
            response.close()

    assert [again for again, _ in made] == [None, "true", "true", None]
    await llm.wait_for_calls(calls + 2)
    assert llm.count(text) == 2


@pytest.mark.parametrize("ended", [True, False], ids=["ended", "running"])
async def test_a_retry_of_what_was_deleted_meanwhile_is_a_new_response(
    http: aiohttp.ClientSession, sdk: openai.AsyncOpenAI, llm: FakeLLM, ended: bool
) -> None:
    text = f"deleted {ended}"
    llm.on(text, replies.say("Here.") if ended else replies.hang())
    body = {"model": "fake", "input": text, "background": True}
    first = await create(http, body, 0)
    while ended and (await sdk.responses.retrieve(first)).status in ("queued", "in_progress"):
        continue
    await sdk.responses.delete(first)

    again = await create(http, body, 1)

    assert again != first
    assert await create(http, body, 2) == again
    assert (await sdk.responses.retrieve(again)).id == again


async def test_a_kill_before_the_first_try_was_answered_costs_no_second_job(llm: FakeLLM) -> None:
    body = {"model": "fake", "input": "killed", "background": True}
    async with Service(upstream(llm.base_url) | {"LEASE_SECONDS": "2"}) as service:
        async with aiohttp.ClientSession(service.url) as http:
            first = await create(http, body, 0)
        await service.kill()
        await service.start()
        async with aiohttp.ClientSession(service.url) as http:
            assert await create(http, body, 1) == first
        async with client_of(service) as sdk:
            while (ended := await sdk.responses.retrieve(first)).status in ("queued", "in_progress"):
                continue
    assert ended.status == "completed"
