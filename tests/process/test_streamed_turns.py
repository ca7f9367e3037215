"""Turns of conversations that stream while their caller waits, by the official `openai` package."""

import asyncio
from collections.abc import Mapping
from typing import Any

import aiohttp
import openai
import pytest

from answerback.testing import replies
from answerback.testing.llm import FakeLLM
from answerback.testing.service import Service
from serving import client_of
from streamed_responses import numbers, spelt, text_of
from troubles import upstream

pytestmark = pytest.mark.asyncio(loop_scope="module")

TOKENS = {"AUTH_TOKEN": "the-key", "OPERATOR_TOKEN": "the-operator"}
WHOLE = [
    *("response.created", "response.in_progress", "response.output_item.added", "response.content_part.added"),
    *("response.output_text.delta", "response.output_text.delta", "response.output_text.done"),
    *("response.content_part.done", "response.output_item.done", "response.completed"),
]


@pytest.fixture(scope="module")
def settings() -> Mapping[str, str]:
    return TOKENS | {"LLM_TIMEOUT_SECONDS": "20", "MAX_RETRIES": "0"}


async def turn(sdk: openai.AsyncOpenAI, text: str, conversation: str, **more: Any) -> list[Any]:
    """The events of a turn."""
    stream: Any = await sdk.responses.create(model="fake", input=text, conversation=conversation, stream=True, **more)
    return [event async for event in stream]


async def texts(sdk: openai.AsyncOpenAI, conversation_id: str) -> list[str]:
    items: Any = sdk.conversations.items.list(conversation_id, order="asc")
    return [item.content[0].text async for item in items]


async def test_it_streams_as_it_comes(sdk: openai.AsyncOpenAI, llm: FakeLLM) -> None:
    go, opened = asyncio.Event(), asyncio.Event()
    opened.set()
    llm.on("turn as it comes", spelt(["One ", "two."], [opened, go]))
    conversation = (await sdk.conversations.create()).id

    stream: Any = await sdk.responses.create(
        model="fake", input="turn as it comes", conversation=conversation, stream=True
    )
    events: list[Any] = []
    async for event in stream:
        events.append(event)
        if event.type == "response.output_text.delta":
            go.set()

    assert [event.type for event in events] == WHOLE
    assert [event.response.status for event in events[:2]] == ["in_progress", "in_progress"]
    assert numbers(events) == list(range(len(events)))
    final = events[-1].response
    assert (final.output_text, final.background, final.conversation.id) == ("One two.", False, conversation)
    assert final == await sdk.responses.retrieve(final.id)
    assert await texts(sdk, conversation) == ["turn as it comes", "One two."]
    with pytest.raises(openai.BadRequestError, match="background"):
        await sdk.responses.retrieve(final.id, stream=True)


async def test_the_helper_of_the_sdk_reads_it(sdk: openai.AsyncOpenAI) -> None:
    conversation = (await sdk.conversations.create()).id
    async with sdk.responses.stream(model="fake", input="help", conversation=conversation) as stream:
        final = await stream.get_final_response()

    assert final.output_text == 'You said: "help". I was given 1 message.'


async def test_five_at_once_are_five_whole_turns(sdk: openai.AsyncOpenAI) -> None:
    conversation = (await sdk.conversations.create()).id

    made = await asyncio.gather(*(turn(sdk, f"turn {n}", conversation) for n in range(5)))

    kept = await texts(sdk, conversation)
    said = {events[-1].response.output_text: text_of(events) for events in made}
    assert [said[kept[2 * n + 1]] for n in range(5)] == kept[1::2]
    assert [int(text.split()[-2]) for text in kept[1::2]] == [1, 3, 5, 7, 9]


async def test_one_that_is_not_stored_is_added_all_the_same(sdk: openai.AsyncOpenAI) -> None:
    conversation = (await sdk.conversations.create()).id
    final = (await turn(sdk, "unstored", conversation, store=False))[-1].response

    assert (final.status, final.store) == ("completed", False)
    with pytest.raises(openai.NotFoundError):
        await sdk.responses.retrieve(final.id)
    assert await texts(sdk, conversation) == ["unstored", final.output_text]


async def test_a_failure_before_the_first_event_has_its_status(sdk: openai.AsyncOpenAI, llm: FakeLLM) -> None:
    llm.on("refuse turn", replies.status(400, {"error": {"message": "not like this", "param": "messages"}}))
    llm.on("large turn", replies.status(413))
    conversation = (await sdk.conversations.create()).id

    with pytest.raises(openai.BadRequestError, match="not like this"):
        await turn(sdk, "refuse turn", conversation)
    with pytest.raises(openai.APIStatusError) as large:
        await turn(sdk, "large turn", conversation)

    assert large.value.status_code == 413
    assert await texts(sdk, conversation) == []


@pytest.mark.parametrize("streamed", [False, True])
async def test_a_rate_limit_says_when_it_ends(llm: FakeLLM, streamed: bool) -> None:
    """Also that of a turn which the service holds back, because it knows of the limit."""
    llm.on("limit turn", replies.status(429, headers={"Retry-After": "31"}))
    async with Service(upstream(llm.base_url) | TOKENS | {"MAX_RETRIES": "1"}) as service, client_of(service) as sdk:
        conversation = (await sdk.conversations.create()).id
        for longest in (31, 30):
            with pytest.raises(openai.RateLimitError) as limited:
                await sdk.responses.create(model="fake", input="limit turn", conversation=conversation, stream=streamed)
            answered = limited.value.response.headers
            assert longest - 10 < int(answered["retry-after"]) <= 31
            assert answered.get("x-should-retry") is None
        assert await texts(sdk, conversation) == []


async def test_one_that_breaks_says_so_and_is_not_added(sdk: openai.AsyncOpenAI, llm: FakeLLM) -> None:
    llm.on("break turn", replies.break_off("Half of"), replies.say("Whole."))
    conversation = (await sdk.conversations.create()).id

    events = await turn(sdk, "break turn", conversation)

    failed = events[-1]
    assert (failed.type, failed.response.status) == ("response.failed", "failed")
    assert failed.response.output_text == text_of(events) == "Half"
    assert numbers(events) == list(range(len(events)))
    with pytest.raises(openai.NotFoundError):
        await sdk.responses.retrieve(failed.response.id)
    assert await texts(sdk, conversation) == []


async def test_a_client_that_hangs_up_stops_its_turn_alone(
    http: aiohttp.ClientSession, sdk: openai.AsyncOpenAI, llm: FakeLLM
) -> None:
    llm.on("hang up early", replies.hang())
    llm.on("hang up late", spelt(["Half"], whole=False))
    conversation = (await sdk.conversations.create()).id
    for n, text in enumerate(("hang up early", "hang up late")):
        gone, calls = llm.disconnects, llm.total
        body = {"model": "fake", "input": text, "conversation": conversation, "stream": True}
        calling = asyncio.ensure_future(http.post("/v1/responses", json=body))
        await llm.wait_for_calls(calls + 1)
        if n:
            response = await calling
            assert b"response.created" in await response.content.readany()
            response.close()
        calling.cancel()
        await llm.wait_for_disconnects(gone + 1)

    events = await turn(sdk, "next turn", conversation)

    assert await texts(sdk, conversation) == ["next turn", events[-1].response.output_text]


async def test_a_key_makes_one_turn_which_streams_again(sdk: openai.AsyncOpenAI, llm: FakeLLM) -> None:
    llm.on("once a turn", replies.status(500), replies.say("Once, and no more."))
    conversation, key = (await sdk.conversations.create()).id, {"Idempotency-Key": "streamed turn"}
    with pytest.raises(openai.InternalServerError):
        await turn(sdk, "once a turn", conversation, extra_headers=key)

    first = await turn(sdk, "once a turn", conversation, extra_headers=key)
    again = await turn(sdk, "once a turn", conversation, extra_headers=key)

    assert first == again
    assert await texts(sdk, conversation) == ["once a turn", "Once, and no more."]


async def test_one_that_is_deleted_in_the_middle_ends_with_an_error(sdk: openai.AsyncOpenAI, llm: FakeLLM) -> None:
    llm.on("delete turn", spelt(["Half"], whole=False))
    conversation = (await sdk.conversations.create()).id
    stream: Any = await sdk.responses.create(model="fake", input="delete turn", conversation=conversation, stream=True)
    events = aiter(stream)
    first = await anext(events)

    await sdk.responses.delete(first.response.id)

    with pytest.raises(openai.APIError) as raised:
        async for _ in events:
            pass
    # What it reads first is chance.
    assert raised.value.code in ("response_cancelled", "not_found")
    assert await texts(sdk, conversation) == []


async def test_it_survives_a_kill_with_its_key(llm: FakeLLM) -> None:
    words = ["I ", "am ", "back."]
    llm.on("survive a stream", spelt(words[:2], whole=False), spelt(words))
    async with Service(upstream(llm.base_url) | TOKENS | {"LEASE_SECONDS": "2"}) as service:
        key = {"Idempotency-Key": "turn"}
        async with client_of(service) as sdk:
            conversation = (await sdk.conversations.create()).id
            stream: Any = await sdk.responses.create(
                model="fake", input="survive a stream", conversation=conversation, stream=True, extra_headers=key
            )
            events = aiter(stream)
            while (await anext(events)).type != "response.output_text.delta":
                continue
            await service.kill()
            await service.start()
        async with client_of(service) as sdk:
            again = await turn(sdk, "survive a stream", conversation, extra_headers=key)
            assert text_of(again) == again[-1].response.output_text == "I am back."
            assert numbers(again) == list(range(len(again)))
            assert await texts(sdk, conversation) == ["survive a stream", "I am back."]
