"""Turns of conversations that stream while their caller waits, by the official `openai` package."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import Any

import aiohttp
import openai
import pytest
import pytest_asyncio

from answerback.testing import replies
from answerback.testing.llm import FakeLLM
from answerback.testing.service import Service
from streamed_responses import client_of, numbers, spelt, text_of
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


@pytest.fixture(scope="module")
def headers() -> Mapping[str, str]:
    return {"Authorization": "Bearer the-key"}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def client(service: Service) -> AsyncIterator[openai.AsyncOpenAI]:
    async with client_of(service) as made:
        yield made


async def turn(client: openai.AsyncOpenAI, text: str, conversation: str, **more: Any) -> list[Any]:
    """The events of a turn."""
    stream: Any = await client.responses.create(
        model="fake", input=text, conversation=conversation, stream=True, **more
    )
    return [event async for event in stream]


async def texts(client: openai.AsyncOpenAI, conversation_id: str) -> list[str]:
    items: Any = client.conversations.items.list(conversation_id, order="asc")
    return [item.content[0].text async for item in items]


async def test_it_streams_as_it_comes(client: openai.AsyncOpenAI, llm: FakeLLM) -> None:
    go, opened = asyncio.Event(), asyncio.Event()
    opened.set()
    llm.on("turn as it comes", spelt(["One ", "two."], [opened, go]))
    conversation = (await client.conversations.create()).id

    stream: Any = await client.responses.create(
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
    assert final == await client.responses.retrieve(final.id)
    assert await texts(client, conversation) == ["turn as it comes", "One two."]
    with pytest.raises(openai.BadRequestError, match="background"):
        await client.responses.retrieve(final.id, stream=True)


async def test_the_helper_of_the_sdk_reads_it(client: openai.AsyncOpenAI) -> None:
    conversation = (await client.conversations.create()).id
    async with client.responses.stream(model="fake", input="help", conversation=conversation) as stream:
        final = await stream.get_final_response()

    assert final.output_text == 'You said: "help". I was given 1 message.'


async def test_five_at_once_are_five_whole_turns(client: openai.AsyncOpenAI) -> None:
    conversation = (await client.conversations.create()).id

    made = await asyncio.gather(*(turn(client, f"turn {n}", conversation) for n in range(5)))

    kept = await texts(client, conversation)
    said = {events[-1].response.output_text: text_of(events) for events in made}
    assert [said[kept[2 * n + 1]] for n in range(5)] == kept[1::2]
    assert [int(text.split()[-2]) for text in kept[1::2]] == [1, 3, 5, 7, 9]


async def test_one_that_is_not_stored_is_added_all_the_same(client: openai.AsyncOpenAI) -> None:
    conversation = (await client.conversations.create()).id
    final = (await turn(client, "unstored", conversation, store=False))[-1].response

    assert (final.status, final.store) == ("completed", False)
    with pytest.raises(openai.NotFoundError):
        await client.responses.retrieve(final.id)
    assert await texts(client, conversation) == ["unstored", final.output_text]


async def test_a_failure_before_the_first_event_has_its_status(client: openai.AsyncOpenAI, llm: FakeLLM) -> None:
    llm.on("refuse turn", replies.status(400, {"error": {"message": "not like this", "param": "messages"}}))
    llm.on("large turn", replies.status(413))
    conversation = (await client.conversations.create()).id

    with pytest.raises(openai.BadRequestError, match="not like this"):
        await turn(client, "refuse turn", conversation)
    with pytest.raises(openai.APIStatusError) as large:
        await turn(client, "large turn", conversation)

    assert large.value.status_code == 413
    assert await texts(client, conversation) == []


@pytest.mark.parametrize("streamed", [False, True])
async def test_a_rate_limit_says_when_it_ends(llm: FakeLLM, streamed: bool) -> None:
    """Also that of a turn which the service holds back, because it knows of the limit."""
    llm.on("limit turn", replies.status(429, headers={"Retry-After": "31"}))
    async with Service(upstream(llm.base_url) | TOKENS) as service, client_of(service) as client:
        conversation = (await client.conversations.create()).id
        for longest in (31, 30):
            with pytest.raises(openai.RateLimitError) as limited:
                await client.responses.create(
                    model="fake", input="limit turn", conversation=conversation, stream=streamed
                )
            answered = limited.value.response.headers
            assert longest - 10 < int(answered["retry-after"]) <= 31
            assert answered.get("x-should-retry") is None
        assert await texts(client, conversation) == []


async def test_one_that_breaks_says_so_and_is_not_added(client: openai.AsyncOpenAI, llm: FakeLLM) -> None:
    llm.on("break turn", replies.break_off("Half of"), replies.say("Whole."))
    conversation = (await client.conversations.create()).id

    events = await turn(client, "break turn", conversation)

    failed = events[-1]
    assert (failed.type, failed.response.status) == ("response.failed", "failed")
    assert failed.response.output_text == text_of(events) == "Half"
    assert numbers(events) == list(range(len(events)))
    with pytest.raises(openai.NotFoundError):
        await client.responses.retrieve(failed.response.id)
    assert await texts(client, conversation) == []


async def test_a_client_that_hangs_up_stops_its_turn_alone(
    http: aiohttp.ClientSession, client: openai.AsyncOpenAI, llm: FakeLLM
) -> None:
    llm.on("hang up early", replies.hang())
    llm.on("hang up late", spelt(["Half"], whole=False))
    conversation = (await client.conversations.create()).id
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

    events = await turn(client, "next turn", conversation)

    assert await texts(client, conversation) == ["next turn", events[-1].response.output_text]


async def test_a_key_makes_one_turn_which_streams_again(client: openai.AsyncOpenAI, llm: FakeLLM) -> None:
    llm.on("once a turn", replies.status(500), replies.say("Once, and no more."))
    conversation, key = (await client.conversations.create()).id, {"Idempotency-Key": "streamed turn"}
    with pytest.raises(openai.InternalServerError):
        await turn(client, "once a turn", conversation, extra_headers=key)

    first = await turn(client, "once a turn", conversation, extra_headers=key)
    again = await turn(client, "once a turn", conversation, extra_headers=key)

    assert first == again
    assert await texts(client, conversation) == ["once a turn", "Once, and no more."]


async def test_one_that_is_deleted_in_the_middle_ends_with_an_error(client: openai.AsyncOpenAI, llm: FakeLLM) -> None:
    llm.on("delete turn", spelt(["Half"], whole=False))
    conversation = (await client.conversations.create()).id
    stream: Any = await client.responses.create(
        model="fake", input="delete turn", conversation=conversation, stream=True
    )
    events = aiter(stream)
    first = await anext(events)

    await client.responses.delete(first.response.id)

    with pytest.raises(openai.APIError) as raised:
        async for _ in events:
            pass
    # What it reads first is chance.
    assert raised.value.code in ("response_cancelled", "not_found")
    assert await texts(client, conversation) == []


async def test_it_survives_a_kill_with_its_key(llm: FakeLLM) -> None:
    words = ["I ", "am ", "back."]
    llm.on("survive a stream", spelt(words[:2], whole=False), spelt(words))
    async with Service(upstream(llm.base_url) | TOKENS | {"LEASE_SECONDS": "2"}) as service:
        key = {"Idempotency-Key": "turn"}
        async with client_of(service) as client:
            conversation = (await client.conversations.create()).id
            stream: Any = await client.responses.create(
                model="fake", input="survive a stream", conversation=conversation, stream=True, extra_headers=key
            )
            events = aiter(stream)
            while (await anext(events)).type != "response.output_text.delta":
                continue
            await service.kill()
            await service.start()
        async with client_of(service) as client:
            again = await turn(client, "survive a stream", conversation, extra_headers=key)
            assert text_of(again) == again[-1].response.output_text == "I am back."
            assert numbers(again) == list(range(len(again)))
            assert await texts(client, conversation) == ["survive a stream", "I am back."]
