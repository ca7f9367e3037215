"""An SDK that tries again by itself makes one turn of a conversation: it was impatient, or the service stops."""

import asyncio
import os
import signal
from collections.abc import Mapping
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

FIRST_TRY: Mapping[str, str] = {"x-stainless-retry-count": "0"}


async def said_in(sdk: openai.AsyncOpenAI, conversation_id: str) -> list[str]:
    items: Any = sdk.conversations.items.list(conversation_id, order="asc")
    return [item.content[0].text async for item in items if item.role == "user"]


async def test_answers_that_come_while_sdks_wait_to_try_again_are_theirs(sdk: openai.AsyncOpenAI, llm: FakeLLM) -> None:
    for text in ("impatient one", "impatient two"):
        llm.on(text, replies.delayed(0.4, replies.say("Here.")))
    conversation = (await sdk.conversations.create()).id
    impatient = sdk.with_options(timeout=0.3, max_retries=5)

    made = await asyncio.gather(
        *(
            impatient.responses.create(model="fake", input=f"impatient {text}", conversation=conversation)
            for text in ("one", "two", "two")
        )
    )

    assert len({each.id for each in made}) == 3
    assert sorted(await said_in(sdk, conversation)) == ["impatient one", "impatient two", "impatient two"]


async def test_a_stop_cancels_the_turn_of_a_caller_that_will_try_again(llm: FakeLLM) -> None:
    llm.on("stopped", replies.hang())
    async with Service(upstream(llm.base_url)) as service, client_of(service) as sdk:
        conversation = (await sdk.conversations.create()).id
        body = {"model": "fake", "input": "stopped", "conversation": conversation}
        async with aiohttp.ClientSession(service.url) as http:
            asking = asyncio.ensure_future(http.post("/v1/responses", json=body, headers=FIRST_TRY))
            await llm.wait_for_calls(llm.total + 1)
            os.kill(service.pid, signal.SIGTERM)
            assert (await asking).status == 503
            await service.exited()

        await service.start()
        async with aiohttp.ClientSession(service.url) as http, http.get("/v1/jobs?kind=response") as response:
            assert [each["status"] for each in (await response.json())["items"]] == ["cancelled"]
        assert await said_in(sdk, conversation) == []
