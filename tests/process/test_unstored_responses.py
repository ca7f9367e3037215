"""What is not to be stored is not in the database once it was given: of turns, of callers that left."""

import asyncio
import sqlite3
from contextlib import closing
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


def held(service: Service, text: str) -> int:
    """How many jobs hold it, or emitted it."""
    with closing(sqlite3.connect(service.database)) as database:
        of_jobs = database.execute("SELECT args, coalesce(result, '') FROM jobs").fetchall()
        emitted = database.execute("SELECT data FROM job_events").fetchall()
    return sum(text in str(row) for row in (*of_jobs, *emitted))


@pytest.mark.parametrize("stream", [False, True])
async def test_a_turn_that_was_given_is_in_its_conversation_only(
    service: Service, sdk: openai.AsyncOpenAI, stream: bool
) -> None:
    text = f"private {stream}"
    conversation = (await sdk.conversations.create()).id

    answer: Any = await sdk.responses.create(
        model="fake", input=text, conversation=conversation, store=False, stream=stream
    )
    if stream:
        assert [event.type async for event in answer][-1] == "response.completed"

    assert held(service, text) == 0
    kept = [item.role async for item in sdk.conversations.items.list(conversation)]  # type: ignore[union-attr]
    assert kept == ["assistant", "user"]


@pytest.mark.parametrize("stream", [False, True])
async def test_a_turn_whose_caller_left_is_nowhere(
    service: Service, sdk: openai.AsyncOpenAI, http: aiohttp.ClientSession, llm: FakeLLM, stream: bool
) -> None:
    text = f"left {stream}"
    llm.on(text, replies.hang())
    conversation = (await sdk.conversations.create()).id
    body = {"model": "fake", "input": text, "conversation": conversation, "stream": stream}
    gone, calls = llm.disconnects, llm.total
    asking = asyncio.ensure_future(http.post("/v1/responses", json=body))
    await llm.wait_for_calls(calls + 1)
    assert held(service, text) == 1

    asking.cancel()
    await llm.wait_for_disconnects(gone + 1)
    # The next turn begins behind the end of this one.
    await sdk.responses.create(model="fake", input="next", conversation=conversation)

    assert held(service, text) == 0


async def test_one_that_is_held_for_its_key_goes_after_a_day(llm: FakeLLM) -> None:
    async with Service(upstream(llm.base_url)) as service:
        async with client_of(service) as sdk:
            keyed: Any = {"extra_headers": {"Idempotency-Key": "for a day"}}
            await sdk.responses.create(model="fake", input="private for a day", store=False, **keyed)
        await service.terminate()
        assert held(service, "private for a day") == 1
        with closing(sqlite3.connect(service.database)) as database, database:
            database.execute("UPDATE jobs SET erase_at = erase_at - 86400000")

        await service.start()
        await service.until_logged("responses_erased")

        assert held(service, "private for a day") == 0


async def test_one_that_is_held_for_its_key_can_be_deleted(service: Service, sdk: openai.AsyncOpenAI) -> None:
    keyed: Any = {"extra_headers": {"Idempotency-Key": "private"}}
    made = await sdk.responses.create(model="fake", input="private and keyed", store=False, **keyed)
    assert held(service, "private and keyed") == 1

    await sdk.responses.delete(made.id)

    assert held(service, "private and keyed") == 0
    with pytest.raises(openai.NotFoundError):
        await sdk.responses.delete(made.id)
    # Its key stands for what was deleted.
    with pytest.raises(openai.ConflictError) as conflict:
        await sdk.responses.create(model="fake", input="private and keyed", store=False, **keyed)
    assert conflict.value.code == "idempotency_response_not_kept"
