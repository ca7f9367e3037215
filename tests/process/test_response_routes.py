"""OpenAI's responses by the official `openai` package, which refuses whatever its types do not allow, against the
running service and a scripted LLM."""

import json
from collections.abc import Mapping
from typing import Any

import aiohttp
import openai
import pydantic
import pytest

from answerback.testing import replies
from answerback.testing.llm import FakeLLM
from troubles import sse

pytestmark = pytest.mark.asyncio(loop_scope="module")

WEATHER: dict[str, Any] = {
    "type": "function",
    "name": "weather",
    "description": "The weather of a city.",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    "strict": None,
}
PARIS = {"id": "call_1", "type": "function", "function": {"name": "weather", "arguments": '{"city":"Paris"}'}}


@pytest.fixture(scope="module")
def settings() -> Mapping[str, str]:
    tokens = {"AUTH_TOKEN": "the-key", "RATE_LIMIT": "100000/minute"}
    return tokens | {"LLM_TIMEOUT_SECONDS": "5", "MAX_BODY_BYTES": "100000", "MAX_RETRIES": "0"}


def chunks(*deltas: Mapping[str, Any], finish: str | None = "stop", **last: Any) -> bytes:
    """A streamed completion of these deltas."""
    choices = [{"index": 0, "delta": delta, "finish_reason": None} for delta in deltas]
    if finish is not None:
        choices.append({"index": 0, "delta": {}, "finish_reason": finish})
    head = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "fake"}
    sent = [json.dumps({**head, "choices": [choice]}) for choice in choices]
    return sse(*sent, *([json.dumps({**head, "choices": [], **last})] if last else ()))


async def post(http: aiohttp.ClientSession, **body: Any) -> tuple[int, Any]:
    async with http.post("/v1/responses", json=body) as response:
        return response.status, await response.json()


async def events_of(http: aiohttp.ClientSession, **body: Any) -> list[Any]:
    """Each event of a stream, checked for what every stream keeps."""
    async with http.post("/v1/responses", json={**body, "stream": True}) as response:
        text = await response.text()
        assert response.status == 200, text
    *blocks, done = [block for block in text.split("\n\n") if block and not block.startswith(":")]
    assert done == "data: [DONE]"
    events = []
    for number, block in enumerate(blocks):
        name, data = block.split("\n")
        event = json.loads(data.removeprefix("data: "))
        assert name == f"event: {event['type']}"
        assert event["sequence_number"] == number
        events.append(event)
    return events


async def test_a_text(sdk: openai.AsyncOpenAI) -> None:
    response = await sdk.responses.create(model="fake", input="hello there", instructions="Be kind.")

    assert response.output_text == 'You said: "hello there". I was given 2 messages.'
    assert (response.status, response.model, response.object) == ("completed", "fake", "response")
    assert response.id.startswith("resp_")
    assert response.usage is not None
    assert response.usage.total_tokens == response.usage.input_tokens + response.usage.output_tokens
    assert response.store  # type: ignore[attr-defined]


async def test_a_streamed_text(sdk: openai.AsyncOpenAI) -> None:
    stream = await sdk.responses.create(model="fake", input="count me", stream=True)
    events = [event async for event in stream]

    first = ["response.created", "response.in_progress", "response.output_item.added", "response.content_part.added"]
    last = ["response.output_text.done", "response.content_part.done", "response.output_item.done"]
    kinds = [event.type for event in events]
    assert kinds[:4] == first
    assert kinds[-4:] == [*last, "response.completed"]
    assert set(kinds[4:-4]) == {"response.output_text.delta"}
    completed: Any = events[-1]
    said = "".join(event.delta for event in events if event.type == "response.output_text.delta")
    assert said == completed.response.output_text == 'You said: "count me". I was given 1 message.'


async def test_the_helper_of_the_sdk_reads_a_stream(sdk: openai.AsyncOpenAI) -> None:
    async with sdk.responses.stream(model="fake", input="help me") as stream:
        async for _ in stream:
            pass
        final = await stream.get_final_response()

    assert final.output_text == 'You said: "help me". I was given 1 message.'


async def test_a_call_and_its_output(sdk: openai.AsyncOpenAI, llm: FakeLLM) -> None:
    llm.on("weather?", replies.message(None, "tool_calls", tool_calls=[PARIS]), replies.say("It rains."))

    asked = await sdk.responses.create(model="fake", input="weather?", tools=[WEATHER])
    (call,) = asked.output
    assert call.type == "function_call"
    assert (call.call_id, call.name, call.arguments) == ("call_1", "weather", '{"city":"Paris"}')
    answered = await sdk.responses.create(
        model="fake",
        previous_response_id=asked.id,
        input=[{"type": "function_call_output", "call_id": call.call_id, "output": "rain"}],
        tools=[WEATHER],
    )

    assert answered.output_text == "It rains."
    assert llm.calls[-1].messages == [
        {"role": "user", "content": "weather?"},
        {"role": "assistant", "content": None, "tool_calls": [PARIS]},
        {"role": "tool", "tool_call_id": "call_1", "content": "rain"},
    ]
    assert llm.calls[-1].body["tools"][0]["function"]["name"] == "weather"


async def test_a_stored_response_is_fetched_and_deleted(sdk: openai.AsyncOpenAI) -> None:
    created = await sdk.responses.create(model="fake", input="store me", metadata={"a": "b"})

    fetched = await sdk.responses.retrieve(created.id)
    assert fetched == created
    items = await sdk.responses.input_items.list(created.id)
    assert [item.content[0].text for item in items.data] == ["store me"]  # type: ignore[union-attr]

    await sdk.responses.delete(created.id)
    with pytest.raises(openai.NotFoundError):
        await sdk.responses.retrieve(created.id)
    with pytest.raises(openai.NotFoundError):
        await sdk.responses.delete(created.id)
    with pytest.raises(openai.BadRequestError) as refused:
        await sdk.responses.create(model="fake", input="go on", previous_response_id=created.id)
    assert (refused.value.code, refused.value.param) == ("previous_response_not_found", "previous_response_id")


async def test_what_is_wrong_is_a_400_with_its_param(http: aiohttp.ClientSession, llm: FakeLLM) -> None:
    before = llm.total

    status, body = await post(http, model="fake", input=[{"role": "user", "content": [{"type": "input_image"}]}])

    assert (status, body["error"]["param"]) == (400, "input[0].content[0].image_url")
    assert (body["error"]["code"], body["error"]["type"]) == ("missing_required_parameter", "invalid_request_error")
    assert llm.total == before


async def test_a_model_that_is_not_there_is_a_wrong_parameter(sdk: openai.AsyncOpenAI, llm: FakeLLM) -> None:
    refusal = {"error": {"message": "no such model", "code": "model_not_found", "type": "x", "param": None}}
    llm.then(replies.status(404, refusal), replies.status(404, refusal))

    for stream in (False, True):
        with pytest.raises(openai.BadRequestError) as refused:
            await sdk.responses.create(model="nobody", input="x", stream=stream)
        assert (refused.value.code, refused.value.param) == ("model_not_found", "model")


async def test_an_upstream_that_fails_keeps_its_status(sdk: openai.AsyncOpenAI, llm: FakeLLM) -> None:
    llm.then(replies.status(500), replies.status(413), replies.break_off("Cut"))

    with pytest.raises(openai.InternalServerError) as failed:
        await sdk.responses.create(model="fake", input="x", stream=True)
    assert failed.value.status_code == 502
    with pytest.raises(openai.APIStatusError) as refused:
        await sdk.responses.create(model="fake", input="x", stream=True)
    assert refused.value.status_code == 413
    with pytest.raises(openai.InternalServerError) as broke:
        await sdk.responses.create(model="fake", input="x")
    assert broke.value.response.headers["x-should-retry"] == "false"


async def test_an_answer_that_a_filter_ended_is_incomplete(sdk: openai.AsyncOpenAI, llm: FakeLLM) -> None:
    llm.on("bad words", replies.stream(chunks({"content": "Well"}, finish="content_filter")))

    response = await sdk.responses.create(model="fake", input="bad words")

    assert response.status == "incomplete"
    assert response.incomplete_details is not None
    assert response.incomplete_details.reason == "content_filter"
    assert response.output_text == "Well"


async def test_every_kind_of_item_validates(sdk: openai.AsyncOpenAI, llm: FakeLLM) -> None:
    custom: Any = {"type": "custom", "name": "sql", "format": {"type": "grammar", "syntax": "lark", "definition": "x"}}
    space: Any = {"type": "namespace", "name": "crm", "description": "d", "tools": [{"type": "function", "name": "f"}]}
    calls = [
        {"index": n, "id": f"c{n}", "type": "function", "function": {"name": name, "arguments": '{"input":"1"}'}}
        for n, name in enumerate(("weather", "sql", "crm__f"))
    ]
    usage = {
        "prompt_tokens": 9,
        "completion_tokens": 4,
        "total_tokens": 13,
        "prompt_tokens_details": {"cached_tokens": 8},
        "completion_tokens_details": {"reasoning_tokens": 3},
    }
    answer = chunks({"reasoning": "hm"}, {"content": "Wait."}, {"tool_calls": calls}, finish="tool_calls", usage=usage)
    llm.on("everything", replies.stream(answer))
    asked: Any = {
        "model": "fake",
        "input": "everything",
        "tools": [WEATHER, custom, space, {"type": "web_search"}],
        "tool_choice": "auto",
        "include": ["reasoning.encrypted_content"],
        "text": {"format": {"type": "json_schema", "name": "n", "schema": {"type": "object"}, "strict": None}},
        "reasoning": {"effort": "low"},
        "metadata": {"a": "b"},
        "truncation": "auto",
        "user": "u",
    }

    raw = await sdk.responses.with_raw_response.create(**asked)
    response = raw.parse()
    async with sdk.responses.stream(**asked) as stream:
        events = [event async for event in stream]
        streamed = await stream.get_final_response()

    kinds = ["reasoning", "message", "function_call", "custom_tool_call", "function_call"]
    assert [item.type for item in response.output] == [item.type for item in streamed.output] == kinds
    assert raw.headers["x-answerback-ignored-tools"] == "web_search"
    assert response.usage is not None
    assert response.usage.input_tokens_details.cached_tokens == 8
    assert response.usage.output_tokens_details.reasoning_tokens == 3
    sealed: Any = response.output[0]
    assert sealed.encrypted_content
    assert events[-1].type == "response.completed"
    assert await sdk.responses.retrieve(response.id) == response


async def test_structured_output_is_parsed_by_the_sdk(sdk: openai.AsyncOpenAI, llm: FakeLLM) -> None:
    class Weather(pydantic.BaseModel):
        city: str

    llm.on("parse me", replies.say('{"city": "Paris"}'))

    parsed = await sdk.responses.parse(model="fake", input="parse me", text_format=Weather)

    assert parsed.output_parsed == Weather(city="Paris")
    assert llm.calls[-1].body["response_format"]["json_schema"]["name"] == "Weather"


async def test_a_model_that_only_streams_answers_whole(sdk: openai.AsyncOpenAI, llm: FakeLLM) -> None:
    words = "This model only support stream mode, please enable the stream parameter to access the model."
    llm.on("stream only", replies.status(400, {"error": {"message": words}}), replies.say("By stream."))

    response = await sdk.responses.create(model="fake", input="stream only")

    assert response.output_text == "By stream."
    assert [call.streamed for call in llm.calls[-2:]] == [False, True]
    assert (await sdk.responses.retrieve(response.id)).output == response.output


@pytest.mark.parametrize("mode", ["chain", "conversation"])
async def test_tools_among_the_items_are_offered_to_later_turns(
    sdk: openai.AsyncOpenAI, llm: FakeLLM, mode: str
) -> None:
    tools: Any = {"type": "additional_tools", "role": "developer", "tools": [WEATHER]}
    going_on: Any = {"conversation": (await sdk.conversations.create()).id} if mode == "conversation" else {}
    said: Any = [tools, {"role": "user", "content": "first"}]
    made = await sdk.responses.create(model="fake", input=said, **going_on)

    llm.then(replies.message(None, "tool_calls", tool_calls=[PARIS]))
    going_on = going_on or {"previous_response_id": made.id}
    called = await sdk.responses.create(model="fake", input="weather?", **going_on)

    assert [each["function"]["name"] for each in llm.calls[-1].body["tools"]] == ["weather"]
    assert called.output[0].type == "function_call"
    items = await sdk.responses.input_items.list(called.id, order="asc")
    assert [item.type for item in items.data] == ["additional_tools", "message", "message", "message"]
    if mode == "conversation":
        kept: Any = sdk.conversations.items.list(going_on["conversation"], order="asc")
        assert (await anext(aiter(kept))).type == "additional_tools"


FORCED: Any = {"type": "function", "name": "weather"}


@pytest.mark.parametrize("background", [False, True], ids=["waited for", "background"])
@pytest.mark.parametrize("mode", ["chain", "conversation"])
async def test_tools_of_earlier_turns_can_be_chosen(
    sdk: openai.AsyncOpenAI, llm: FakeLLM, mode: str, background: bool
) -> None:
    tools: Any = {"type": "additional_tools", "role": "developer", "tools": [WEATHER]}
    conversation: Any = {"conversation": (await sdk.conversations.create()).id} if mode == "conversation" else {}
    said: Any = [tools, {"role": "user", "content": "first"}]
    last = await sdk.responses.create(model="fake", input=said, **conversation)
    choices: list[Any] = [
        {"tool_choice": "required"},
        {"tool_choice": FORCED},
        {"tool_choice": {"type": "allowed_tools", "mode": "required", "tools": [FORCED]}},
        {"tools": [{"type": "web_search"}]},
    ]

    for choice in choices:
        going_on = conversation or {"previous_response_id": last.id}
        last = await sdk.responses.create(model="fake", input="on", background=background, **choice, **going_on)
        while last.status in ("queued", "in_progress"):
            last = await sdk.responses.retrieve(last.id)
        assert (last.status, last.error) == ("completed", None)
        assert [each["function"]["name"] for each in llm.calls[-1].body["tools"]] == ["weather"]


@pytest.mark.parametrize("more", [{}, {"stream": True}, {"background": True}])
@pytest.mark.parametrize("mode", ["chain", "conversation"])
async def test_tools_that_no_turn_offers_cannot_be_chosen(sdk: openai.AsyncOpenAI, mode: str, more: Any) -> None:
    conversation: Any = {"conversation": (await sdk.conversations.create()).id} if mode == "conversation" else {}
    first = await sdk.responses.create(model="fake", input="first", **conversation)
    going_on = conversation or {"previous_response_id": first.id}
    choices: list[tuple[Any, str, str]] = [
        ({"tool_choice": "required"}, "tool_choice", "invalid_value"),
        ({"tool_choice": FORCED}, "tool_choice", "invalid_value"),
        ({"tools": [{"type": "web_search"}]}, "tools[0].type", "unsupported_value"),
    ]

    for choice, param, code in choices:
        with pytest.raises(openai.BadRequestError) as refused:
            await sdk.responses.create(model="fake", input="on", **choice, **more, **going_on)
        assert (refused.value.param, refused.value.code) == (param, code)


@pytest.mark.parametrize("stream", [False, True])
async def test_what_the_model_does_not_know_is_left_out_and_named(
    http: aiohttp.ClientSession, llm: FakeLLM, stream: bool
) -> None:
    text = f"as Codex {stream}"
    refusals = (replies.status(400, {"error": {"message": f"unknown field {each}"}}) for each in ("user", "verbosity"))
    llm.on(text, *refusals, replies.echo())
    asked = {"user": "u", "text": {"verbosity": "low"}, "reasoning": {"effort": "low"}, "stream": stream}

    for _ in range(2):
        async with http.post("/v1/responses", json={"model": text, "input": text, **asked}) as response:
            assert response.status == 200
            assert response.headers["x-answerback-ignored-parameters"] == "text.verbosity, user"

    assert llm.count(text) == 4
    assert llm.calls[-1].body["reasoning_effort"] == "low"


async def test_items_are_referred_to_by_their_ids(sdk: openai.AsyncOpenAI, llm: FakeLLM) -> None:
    llm.on("refer to me", replies.message(None, "tool_calls", tool_calls=[PARIS]))
    first = await sdk.responses.create(model="fake", input="refer to me", tools=[WEATHER])
    llm.on("refer to me", replies.say("It rains."))

    await sdk.responses.create(
        model="fake",
        input=[
            {"role": "user", "content": "refer to me"},
            {"type": "item_reference", "id": str(first.output[0].id)},
            {"type": "function_call_output", "call_id": "call_1", "output": "rain"},
        ],
    )

    assert [said["role"] for said in llm.calls[-1].messages] == ["user", "assistant", "tool"]
    with pytest.raises(openai.NotFoundError):
        await sdk.responses.create(model="fake", input=[{"type": "item_reference", "id": "msg_1"}])


async def test_a_chain_has_every_turn_and_no_old_instructions(sdk: openai.AsyncOpenAI, llm: FakeLLM) -> None:
    last = await sdk.responses.create(model="fake", input="one", instructions="Be kind.")
    for text in ("two", "three"):
        last = await sdk.responses.create(model="fake", input=text, previous_response_id=last.id)

    said = [message["content"] for message in llm.calls[-1].messages]
    assert said[0::2] == ["one", "two", "three"]
    assert [message["role"] for message in llm.calls[-1].messages] == ["user", "assistant"] * 2 + ["user"]
    items = [item async for item in sdk.responses.input_items.list(last.id, order="asc", limit=2)]
    texts = [item.content[0].text for item in items]  # type: ignore[union-attr]
    assert texts == said
    newest = await sdk.responses.input_items.list(last.id, limit=1)
    assert newest.data[0].content[0].text == "three"  # type: ignore[union-attr]


async def test_what_is_not_stored_is_not_there(sdk: openai.AsyncOpenAI) -> None:
    response = await sdk.responses.create(model="fake", input="forget me", store=False)

    with pytest.raises(openai.NotFoundError):
        await sdk.responses.retrieve(response.id)
    with pytest.raises(openai.BadRequestError):
        await sdk.responses.create(model="fake", input="x", previous_response_id=response.id)


@pytest.mark.parametrize("path", ["", "/cancel", "/input_items"])
async def test_ids_that_are_none_are_not_there(http: aiohttp.ClientSession, path: str) -> None:
    for response_id in ("resp_1", "job_" + "0" * 32, "resp_" + "0" * 32, "%00", "é"):
        method = "POST" if path == "/cancel" else "GET"
        async with http.request(method, f"/v1/responses/{response_id}{path}") as response:
            assert response.status == 404
            assert (await response.json())["error"]["message"]


async def test_a_page_of_items_is_checked(http: aiohttp.ClientSession, sdk: openai.AsyncOpenAI) -> None:
    created = await sdk.responses.create(model="fake", input="page me")

    for query, param in (("limit=0", "limit"), ("limit=x", "limit"), ("order=up", "order"), ("after=nobody", "after")):
        async with http.get(f"/v1/responses/{created.id}/input_items?{query}") as response:
            assert (response.status, (await response.json())["error"]["param"]) == (400, param)


async def test_a_client_that_hangs_up_stops_the_model(http: aiohttp.ClientSession, llm: FakeLLM) -> None:
    llm.on(
        "hang on", replies.stream(chunks({"content": "Hel"}, finish=None).removesuffix(b"data: [DONE]\n\n"), "never")
    )
    gone = llm.disconnects

    async with http.post("/v1/responses", json={"input": "hang on", "stream": True}) as response:
        assert await response.content.readline()
    await llm.wait_for_disconnects(gone + 1)


async def test_a_request_with_a_key_is_answered_once(http: aiohttp.ClientSession, llm: FakeLLM) -> None:
    for stream in (False, True):
        said = []
        asked = {"model": "fake", "input": f"once {stream}", "stream": stream}
        for _ in range(2):
            async with http.post("/v1/responses", json=asked, headers={"Idempotency-Key": f"k{stream}"}) as response:
                said.append(await response.text())
        assert said[0] == said[1]
        assert llm.count(f"once {stream}") == 1


async def test_a_long_conversation_is_cut_where_the_request_allows_it(
    http: aiohttp.ClientSession, llm: FakeLLM
) -> None:
    too_long = {"error": {"message": "maximum context length is 10 tokens", "code": "context_length_exceeded"}}
    history = [{"role": role, "content": f"{n}"} for n in range(4) for role in ("user", "assistant")]
    asked = {
        "model": "fake",
        "input": [{"role": "system", "content": "S"}, *history, {"role": "user", "content": "end"}],
    }
    llm.then(replies.status(400, too_long))

    status, refused = await post(http, **asked)
    assert (status, refused["error"]["code"], refused["error"]["param"]) == (400, "context_length_exceeded", "input")

    llm.then(replies.status(400, too_long))
    status, answered = await post(http, **asked, truncation="auto")
    assert (status, answered["status"]) == (200, "completed")
    said = [message["content"] for message in llm.calls[-1].messages]
    assert said == ["S", "3", "3", "end"]


async def test_a_request_may_be_larger_than_on_other_routes(http: aiohttp.ClientSession) -> None:
    status, _ = await post(http, model="fake", input="x" * 200_000)
    assert status == 200
    async with http.post("/webhook", json={"message": "x" * 200_000}) as response:
        assert response.status == 413


async def test_what_is_not_offered_yet_says_so(sdk: openai.AsyncOpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as refused:
        await sdk.responses.create(model="fake", input="x", extra_body={"moderation": {}})
    assert (refused.value.code, refused.value.param) == ("unsupported_value", "moderation")


@pytest.mark.parametrize("name", ["compact", "input_tokens"])
async def test_what_openai_does_with_inputs_alone_is_not_there(http: aiohttp.ClientSession, name: str) -> None:
    async with http.post(f"/v1/responses/{name}", json={"model": "fake", "input": "x"}) as response:
        assert (response.status, (await response.json())["error"]["code"]) == (404, "not_found")


async def test_a_websocket_is_refused(http: aiohttp.ClientSession) -> None:
    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        await http.ws_connect("/v1/responses")

    assert refused.value.status == 405


async def test_a_stored_response_is_a_job_like_others(http: aiohttp.ClientSession) -> None:
    _, created = await post(http, model="fake", input="list me")

    async with http.get("/v1/jobs/" + created["id"].replace("resp_", "job_")) as response:
        job = await response.json()
    assert (job["kind"], job["status"], job["response_id"]) == ("response", "completed", created["id"])
    assert (job["background"], job["streamed"]) == (False, False)
    async with http.get("/v1/jobs?kind=response&limit=1") as response:
        (listed,) = (await response.json())["items"]
    assert listed["response_id"] == created["id"]
