"""Background responses that stream, by the official `openai` package: left, resumed, killed, cancelled."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from typing import Any

import aiohttp
import openai
import pytest

from answerback.testing import replies
from answerback.testing.llm import FakeLLM
from answerback.testing.service import Service
from serving import client_of
from streamed_responses import WORDS, numbers, rest, spelt, text_of
from troubles import upstream

pytestmark = pytest.mark.asyncio(loop_scope="module")

TOKENS = {"AUTH_TOKEN": "the-key", "OPERATOR_TOKEN": "the-operator"}
SPOKEN = ["response.created", "response.queued", "response.in_progress", "response.output_item.added"]


@pytest.fixture(scope="module")
def settings() -> Mapping[str, str]:
    return TOKENS | {"LLM_TIMEOUT_SECONDS": "20"}


async def test_it_streams_as_it_comes(sdk: openai.AsyncOpenAI, llm: FakeLLM) -> None:
    go = asyncio.Event()
    opened = asyncio.Event()
    opened.set()
    llm.on("as it comes", spelt(["One ", "two."], [opened, go]))

    events = []
    async for event in await sdk.responses.create(model="fake", input="as it comes", background=True, stream=True):
        events.append(event)
        if event.type == "response.output_text.delta":
            go.set()

    assert [event.type for event in events[:4]] == SPOKEN
    assert [event.response.status for event in events[:3]] == ["queued", "queued", "in_progress"]
    assert numbers(events) == list(range(len(events)))
    final = events[-1]
    assert (final.type, final.response.output_text) == ("response.completed", "One two.")
    assert final.response == await sdk.responses.retrieve(final.response.id)
    assert await rest(sdk, final.response.id) == events


async def test_every_event_comes_once_from_any_number_on(sdk: openai.AsyncOpenAI, llm: FakeLLM) -> None:
    llm.on("from any", spelt(WORDS))
    stream = await sdk.responses.create(model="fake", input="from any", background=True, stream=True)
    events = [event async for event in stream]
    response_id = events[0].response.id

    for after in range(len(events)):
        assert await rest(sdk, response_id, after) == events[after + 1 :]
    assert await rest(sdk, response_id, len(events) + 5) == []


async def test_a_client_that_leaves_at_the_first_event_stops_nothing(sdk: openai.AsyncOpenAI, llm: FakeLLM) -> None:
    go = asyncio.Event()
    llm.on("leave me", spelt(["Still ", "here."], [go]))
    stream = await sdk.responses.create(model="fake", input="leave me", background=True, stream=True)
    first = await anext(aiter(stream))
    await stream.close()
    go.set()

    events = await rest(sdk, first.response.id, 0)

    assert numbers(events) == list(range(1, len(events) + 1))
    assert events[-1].response.output_text == "Still here."


async def test_the_helper_of_the_sdk_reads_a_stored_stream(sdk: openai.AsyncOpenAI, llm: FakeLLM) -> None:
    llm.on("help in the back", spelt(WORDS))
    stream = await sdk.responses.create(model="fake", input="help in the back", background=True, stream=True)
    first = await anext(aiter(stream))
    await stream.close()

    async with sdk.responses.stream(response_id=first.response.id, starting_after=1) as helped:
        final = await helped.get_final_response()

    assert final.output_text == "".join(WORDS)


async def test_one_that_is_cancelled_in_the_middle_ends_with_an_error(sdk: openai.AsyncOpenAI, llm: FakeLLM) -> None:
    llm.on("stop midway", spelt(["Half a"], whole=False))
    seen: list[Any] = []
    await read_until(sdk, seen, "stop midway", until="Half a")
    await sdk.responses.cancel(seen[0].response.id)

    with pytest.raises(openai.APIError) as raised:
        await rest(sdk, seen[0].response.id, seen[-1].sequence_number)

    assert raised.value.code == "response_cancelled"
    again = await sdk.responses.retrieve(seen[0].response.id, stream=True)
    assert [event async for event in until_an_error(again)] == seen


async def test_one_that_is_cancelled_in_the_queue_was_never_in_progress(llm: FakeLLM) -> None:
    async with Service(upstream(llm.base_url) | TOKENS, role="api") as service, client_of(service) as sdk:
        stream = await sdk.responses.create(model="fake", input="nobody works", background=True, stream=True)
        events = aiter(stream)
        seen = [await anext(events), await anext(events)]
        await sdk.responses.cancel(seen[0].response.id)

        with pytest.raises(openai.APIError) as raised:
            await anext(events)

    assert [event.type for event in seen] == SPOKEN[:2]
    assert raised.value.code == "response_cancelled"


async def test_one_that_was_deleted_is_gone(sdk: openai.AsyncOpenAI, llm: FakeLLM) -> None:
    llm.on("forget me", spelt(["Half"], whole=False))
    stream = await sdk.responses.create(model="fake", input="forget me", background=True, stream=True)
    first = await anext(aiter(stream))

    await sdk.responses.delete(first.response.id)

    assert text_of([event async for event in until_an_error(stream)]) in ("", "Half")
    with pytest.raises(openai.NotFoundError):
        await rest(sdk, first.response.id)


async def test_one_that_fails_says_so_with_what_came(sdk: openai.AsyncOpenAI, llm: FakeLLM) -> None:
    refusal = {"error": {"message": "not like this", "code": 400}}
    half = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m"}
    half |= {"choices": [{"index": 0, "delta": {"content": "Half"}, "finish_reason": None}]}
    data = b"".join(b"data: %b\n\n" % json.dumps(each).encode() for each in (half, refusal))
    llm.on("fail midway", replies.stream(data))

    stream = await sdk.responses.create(model="fake", input="fail midway", background=True, stream=True)
    events: list[Any] = [event async for event in stream]

    failed = events[-1]
    assert (failed.type, failed.response.status) == ("response.failed", "failed")
    assert failed.response.error.message == "not like this"
    assert [item.content[0].text for item in failed.response.output] == ["Half"]
    assert numbers(events) == list(range(len(events)))


async def test_only_a_streamed_background_response_is_streamed_again(sdk: openai.AsyncOpenAI) -> None:
    foreground = await sdk.responses.create(model="fake", input="wait for me")
    polled = await sdk.responses.create(model="fake", input="poll me", background=True)

    for response_id in (foreground.id, polled.id):
        with pytest.raises(openai.BadRequestError) as refused:
            await rest(sdk, response_id)
        assert refused.value.param == "stream"


@pytest.mark.parametrize("wrong", ["-1", "one", "1.5", "9" * 20])
async def test_a_wrong_number_is_named(sdk: openai.AsyncOpenAI, http: aiohttp.ClientSession, wrong: str) -> None:
    stream = await sdk.responses.create(model="fake", input="number me", background=True, stream=True)
    first = await anext(aiter(stream))
    await stream.close()

    async with http.get(f"/v1/responses/{first.response.id}?stream=true&starting_after={wrong}") as response:
        error = (await response.json())["error"]

    assert (response.status, error["param"]) == (400, "starting_after")


async def test_no_stream_of_another_tenant_is_read(service: Service, sdk: openai.AsyncOpenAI) -> None:
    stream = await sdk.responses.create(model="fake", input="mine to read", background=True, stream=True)
    events = [event async for event in stream]
    async with (
        aiohttp.ClientSession(service.url, headers={"Authorization": "Bearer the-operator"}) as http,
        http.post("/v1/keys", json={"name": "reader"}) as made,
    ):
        key = (await made.json())["key"]

    async with client_of(service, key) as stranger:
        with pytest.raises(openai.NotFoundError):
            await rest(stranger, events[0].response.id)


async def test_a_request_with_a_key_joins_the_stream(sdk: openai.AsyncOpenAI, llm: FakeLLM) -> None:
    key = {"Idempotency-Key": "streamed in the back"}
    asked: Any = {
        "model": "fake",
        "input": "once in the back",
        "background": True,
        "stream": True,
        "extra_headers": key,
    }

    first, second = [[event async for event in await sdk.responses.create(**asked)] for _ in range(2)]

    assert first == second
    assert llm.count("once in the back") == 1


async def test_a_stream_goes_on_after_kills_as_if_there_were_none(llm: FakeLLM) -> None:
    kills = 5
    cut = [spelt(WORDS[: 2 * n + 2], whole=False) for n in range(kills)]
    llm.on("survive all", *cut, spelt(WORDS))
    events: list[Any] = []
    async with Service(upstream(llm.base_url) | TOKENS | {"LEASE_SECONDS": "1"}) as service:
        for n in range(kills):
            async with client_of(service) as sdk:
                await read_until(sdk, events, "survive all", until="".join(WORDS[: 2 * n + 2]))
                await service.kill()
            await service.start()
        async with client_of(service) as sdk:
            response_id = events[0].response.id
            events += await rest(sdk, response_id, events[-1].sequence_number)
            assert await rest(sdk, response_id) == events

    assert numbers(events) == list(range(len(events)))
    assert text_of(events) == "".join(WORDS) == events[-1].response.output_text
    assert [event.type for event in events].count("response.output_item.added") == 1


async def test_a_stream_that_comes_otherwise_after_a_kill_begins_a_new_item(llm: FakeLLM) -> None:
    llm.on("change", spelt(["The sun ", "shines"], whole=False), spelt(["The sun ", "is dark."]))
    events: list[Any] = []
    async with Service(upstream(llm.base_url) | TOKENS | {"LEASE_SECONDS": "1"}) as service:
        async with client_of(service) as sdk:
            await read_until(sdk, events, "change", until="The sun shines")
            await service.kill()
        await service.start()
        async with client_of(service) as sdk:
            events += await rest(sdk, events[0].response.id, events[-1].sequence_number)
            final = await sdk.responses.retrieve(events[0].response.id)

    done = [event.item for event in events if event.type == "response.output_item.done"]
    assert [(item.status, item.content[0].text) for item in done] == [
        ("incomplete", "The sun shines"),
        ("completed", "The sun is dark."),
    ]
    assert events[-1].response.output == [done[1]] == final.output
    assert numbers(events) == list(range(len(events)))


async def until_an_error(stream: Any) -> AsyncIterator[Any]:
    """What comes before the error that the stream ends with."""
    events = aiter(stream)
    while True:
        try:
            event = await anext(events)
        except openai.APIError:
            return
        yield event


async def read_until(sdk: openai.AsyncOpenAI, events: list[Any], asked: str, *, until: str) -> None:
    """Adds what comes, begun or gone on with, until that text has come."""
    if events:
        after = events[-1].sequence_number
        stream: Any = await sdk.responses.retrieve(events[0].response.id, stream=True, starting_after=after)
    else:
        stream = await sdk.responses.create(model="fake", input=asked, background=True, stream=True)
    async for event in stream:
        events.append(event)
        if text_of(events) == until:
            return
