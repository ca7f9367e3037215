"""Responses that run in the background, by the official `openai` package."""

import asyncio
from collections.abc import Mapping
from typing import Any

import aiohttp
import openai
import pytest
from openai.types.responses import Response

from answerback.testing import replies
from answerback.testing.llm import FakeLLM
from answerback.testing.receiver import Receiver
from answerback.testing.service import Service
from serving import client_of
from troubles import upstream

pytestmark = pytest.mark.asyncio(loop_scope="module")

TOKENS = {"AUTH_TOKEN": "the-key", "OPERATOR_TOKEN": "the-operator"}


@pytest.fixture(scope="module")
def settings() -> Mapping[str, str]:
    return TOKENS | {"LLM_TIMEOUT_SECONDS": "20"}


async def ended(sdk: openai.AsyncOpenAI, response_id: str) -> Response:
    """Polls as OpenAI's guide does; polls count against no rate."""
    while (response := await sdk.responses.retrieve(response_id)).status in ("queued", "in_progress"):
        pass
    return response


async def test_it_is_queued_at_once_and_there_later(sdk: openai.AsyncOpenAI, llm: FakeLLM) -> None:
    go, calls = asyncio.Event(), llm.total
    llm.on("later", replies.hang(go, replies.say("Now.")))

    queued = await sdk.responses.create(model="fake", input="later", background=True, metadata={"a": "b"})
    assert (queued.status, queued.output, queued.background) == ("queued", [], True)
    await llm.wait_for_calls(calls + 1)
    go.set()
    response = await ended(sdk, queued.id)

    assert (response.status, response.output_text, response.metadata) == ("completed", "Now.", {"a": "b"})
    assert response.created_at == queued.created_at
    again = await sdk.responses.create(model="fake", input="on", previous_response_id=response.id)
    assert again.output_text == 'You said: "on". I was given 3 messages.'


async def test_one_that_has_not_ended_is_not_gone_on_from(sdk: openai.AsyncOpenAI, llm: FakeLLM) -> None:
    llm.on("never", replies.hang())
    queued = await sdk.responses.create(model="fake", input="never", background=True)

    with pytest.raises(openai.BadRequestError, match="only one that is whole") as refused:
        await sdk.responses.create(model="fake", input="x", previous_response_id=queued.id)

    assert (refused.value.code, refused.value.param) == ("invalid_value", "previous_response_id")
    await sdk.responses.cancel(queued.id)


async def test_it_is_cancelled_twice_and_after_its_end(sdk: openai.AsyncOpenAI, llm: FakeLLM) -> None:
    llm.on("stop me", replies.hang())
    gone, calls = llm.disconnects, llm.total
    queued = await sdk.responses.create(model="fake", input="stop me", background=True)
    await llm.wait_for_calls(calls + 1)

    for _ in range(2):
        assert (await sdk.responses.cancel(queued.id)).status == "cancelled"
    await llm.wait_for_disconnects(gone + 1)
    done = await sdk.responses.create(model="fake", input="done", background=True)
    await ended(sdk, done.id)
    assert (await sdk.responses.cancel(done.id)).status == "completed"
    foreground = await sdk.responses.create(model="fake", input="here")
    with pytest.raises(openai.BadRequestError):
        await sdk.responses.cancel(foreground.id)
    with pytest.raises(openai.NotFoundError):
        await sdk.responses.cancel("resp_" + "0" * 32)


async def test_one_that_the_model_refuses_has_failed(sdk: openai.AsyncOpenAI, llm: FakeLLM) -> None:
    llm.on("refuse me", replies.status(400, {"error": {"message": "not like this", "param": "messages"}}))

    queued = await sdk.responses.create(model="fake", input="refuse me", background=True)
    response = await ended(sdk, queued.id)

    assert response.status == "failed"
    assert response.error is not None
    assert (response.error.code, response.error.message) == ("invalid_prompt", "not like this")


async def test_one_is_deleted_while_it_runs(sdk: openai.AsyncOpenAI, llm: FakeLLM) -> None:
    llm.on("delete me", replies.hang())
    queued = await sdk.responses.create(model="fake", input="delete me", background=True)

    await sdk.responses.delete(queued.id)

    with pytest.raises(openai.NotFoundError):
        await sdk.responses.retrieve(queued.id)


async def test_a_request_with_a_key_makes_one(sdk: openai.AsyncOpenAI, llm: FakeLLM) -> None:
    key = {"Idempotency-Key": "background"}
    asked: Any = {"model": "fake", "input": "once in the background", "background": True, "extra_headers": key}

    first, second = [await sdk.responses.create(**asked) for _ in range(2)]

    assert first == second
    await ended(sdk, first.id)
    assert llm.count("once in the background") == 1


async def test_a_webhook_endpoint_hears_of_the_end(sdk: openai.AsyncOpenAI) -> None:
    async with Receiver() as receiver:
        endpoint = await sdk.webhooks.create(
            name="ends", url=receiver.url("/ends"), event_types=["response.completed", "response.failed"]
        )
        queued = await sdk.responses.create(model="fake", input="call me", background=True)
        await sdk.responses.create(model="fake", input="nobody is called")
        (came,) = await receiver.wait_for(1)
        event = sdk.webhooks.unwrap(came.body, came.headers, secret=endpoint.signing_secret)
        await sdk.webhooks.delete(endpoint.id)

    assert event.type == "response.completed"
    assert event.data.id == queued.id


async def test_a_webhook_endpoint_hears_of_one_that_was_cut(sdk: openai.AsyncOpenAI, llm: FakeLLM) -> None:
    llm.on("cut me", replies.message("Half of it", "length"))
    async with Receiver() as receiver:
        endpoint = await sdk.webhooks.create(name="cut", url=receiver.url("/cut"), event_types=["response.incomplete"])
        queued = await sdk.responses.create(model="fake", input="cut me", background=True)
        (came,) = await receiver.wait_for(1)
        event = sdk.webhooks.unwrap(came.body, came.headers, secret=endpoint.signing_secret)
        await sdk.webhooks.delete(endpoint.id)

    assert (event.type, event.data.id) == ("response.incomplete", queued.id)


async def test_10_of_many_that_are_cancelled_each_has_one_end_and_one_event(
    sdk: openai.AsyncOpenAI, llm: FakeLLM
) -> None:
    """What batches stand on: some have been answered, the others are in flight."""
    llm.on(lambda text: text.startswith("in flight"), replies.hang())
    types: Any = ["response.completed", "response.cancelled", "response.failed"]
    async with Receiver() as receiver:
        endpoint = await sdk.webhooks.create(name="many", url=receiver.url("/many"), event_types=types)
        texts = [f"{'in flight' if n % 3 else 'at once'} {n}" for n in range(25)]
        made = await asyncio.gather(
            *(sdk.responses.create(model="fake", input=text, background=True) for text in texts)
        )
        answered = [each.id for each, text in zip(made, texts, strict=True) if text.startswith("at once")]
        await asyncio.gather(*(ended(sdk, each) for each in answered))

        cancelled = await asyncio.gather(*(sdk.responses.cancel(each.id) for each in made for _ in range(2)))

        came = await receiver.wait_for(len(made))
        await sdk.webhooks.delete(endpoint.id)
    ends = {each.id: "completed" if each.id in answered else "cancelled" for each in made}
    assert [(each.id, each.status) for each in cancelled] == [item for item in ends.items() for _ in range(2)]
    events = [(each.json["data"]["id"], each.json["type"].removeprefix("response.")) for each in came]
    assert sorted(events) == sorted(ends.items())


async def test_no_id_of_another_tenant_is_of_use(service: Service, sdk: openai.AsyncOpenAI) -> None:
    created = await sdk.responses.create(model="fake", input="mine")
    queued = await sdk.responses.create(model="fake", input="mine too", background=True)
    async with (
        aiohttp.ClientSession(service.url, headers={"Authorization": "Bearer the-operator"}) as http,
        http.post("/v1/keys", json={"name": "stranger"}) as made,
    ):
        key = (await made.json())["key"]
    async with client_of(service, key) as stranger:
        for response_id in (created.id, queued.id):
            for call in (
                stranger.responses.retrieve,
                stranger.responses.delete,
                stranger.responses.cancel,
                stranger.responses.input_items.list,
            ):
                with pytest.raises(openai.NotFoundError):
                    await call(response_id)
            with pytest.raises(openai.BadRequestError) as refused:
                await stranger.responses.create(model="fake", input="x", previous_response_id=response_id)
            assert refused.value.code == "previous_response_not_found"
        item: Any = {"type": "item_reference", "id": created.output[0].id}
        with pytest.raises(openai.NotFoundError):
            await stranger.responses.create(model="fake", input=[item])
    assert (await sdk.responses.retrieve(created.id)).status == "completed"


async def test_it_survives_a_kill(llm: FakeLLM) -> None:
    llm.on("survive", replies.hang(), replies.say("I am back."))
    calls = llm.total
    async with Service(upstream(llm.base_url) | TOKENS | {"LEASE_SECONDS": "2"}) as service:
        async with client_of(service) as sdk:
            queued = await sdk.responses.create(model="fake", input="survive", background=True)
            await llm.wait_for_calls(calls + 1)
            await service.kill()
            await service.start()
        async with client_of(service) as sdk:
            assert (await ended(sdk, queued.id)).output_text == "I am back."
