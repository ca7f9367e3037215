"""The official `openai` package against the running service, with nothing but `base_url` changed."""

import io
import json
from collections.abc import AsyncIterator, Mapping
from typing import Any

import aiohttp
import openai
import pytest
import pytest_asyncio

from answerback.testing import replies
from answerback.testing.llm import FakeLLM
from answerback.testing.service import Service
from troubles import SECRET, TROUBLES, chunk, sse, upstream

pytestmark = pytest.mark.asyncio(loop_scope="module")

USAGE = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5, "cost": 0.001}


@pytest.fixture(scope="module")
def settings() -> Mapping[str, str]:
    return {"LLM_TIMEOUT_SECONDS": "2", "AUTH_TOKEN": "the-key", "MAX_BODY_BYTES": "100000"}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def client(service: Service) -> AsyncIterator[openai.AsyncOpenAI]:
    async with openai.AsyncOpenAI(base_url=f"{service.url}/v1", api_key="the-key", max_retries=0) as made:
        yield made


def user(text: str) -> list[Any]:
    return [{"role": "user", "content": text}]


async def post(http: aiohttp.ClientSession, **body: Any) -> aiohttp.ClientResponse:
    response = await http.post("/v1/chat/completions", json=body)
    await response.read()
    return response


async def data_of(response: aiohttp.ClientResponse) -> list[Any]:
    lines = [line for line in (await response.text()).split("\n\n") if line]
    assert all(line.startswith("data: ") for line in lines)
    return [line[6:] if line == "data: [DONE]" else json.loads(line[6:]) for line in lines]


async def test_a_chat(client: openai.AsyncOpenAI) -> None:
    answer = await client.chat.completions.create(model="fake", messages=user("hello there"))

    assert answer.choices[0].message.content == 'You said: "hello there". I was given 1 message.'
    assert (answer.object, answer.model, answer.choices[0].finish_reason) == ("chat.completion", "fake", "stop")
    assert answer.usage is not None
    assert answer.usage.total_tokens > 0
    assert answer._request_id


async def test_the_answer_comes_byte_for_byte(http: aiohttp.ClientSession, llm: FakeLLM) -> None:
    said = (
        b'{ "choices":[{"index":0,"message":{"role":"assistant","content":"h\\u00e9 \xc3\xa9","x_own":[1.5]},'
        b'"finish_reason":"a_word_of_its_own"}] ,\n "zeta":1e2, '
        b'"object":"chat.completion","id":"c","created":1,"model":"m"}'
    )
    llm.on("to the letter", replies.raw(said))

    response = await post(http, messages=user("to the letter"))

    assert (response.status, await response.read()) == (200, said)
    assert response.headers["content-type"] == "application/json"


async def test_what_the_relay_does_not_know_passes_through(http: aiohttp.ClientSession, llm: FakeLLM) -> None:
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
    asked = {
        "model": "vendor/large:free",
        "models": ["vendor/large:free", "other/model"],
        "messages": [{"role": "user", "content": [{"type": "text", "text": "what is this"}, image], "x": None}],
        "tools": [{"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {}}}}],
        "tool_choice": {"type": "function", "function": {"name": "f"}},
        "response_format": {"type": "json_schema", "json_schema": {"name": "s", "schema": {}}},
        "provider": {"order": ["a", "b"], "allow_fallbacks": False},
        "reasoning": {"effort": "low"},
        "seed": 12345678901234567890,
        "temperature": 0.1,
        "user": "ünïcode 🌍",
    }

    response = await post(http, **asked, stream=False)

    assert response.status == 200
    assert llm.calls[-1].body == asked


async def test_large_images_pass_through(http: aiohttp.ClientSession, llm: FakeLLM) -> None:
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64," + "A" * 5_000_000}}

    body = io.BytesIO(json.dumps({"model": "fake", "messages": [{"role": "user", "content": [image]}]}).encode())

    async with http.post("/v1/chat/completions", data=body) as response:
        assert response.status == 200
    assert llm.calls[-1].messages[0]["content"] == [image]


async def test_a_body_may_be_long_but_not_of_many_values(http: aiohttp.ClientSession) -> None:
    response = await post(http, model="fake", messages=[{"role": "user", "content": [""] * 100_001}])

    assert response.status == 400
    assert "values" in (await response.json())["error"]["message"]


async def test_a_tool_call_comes_back(client: openai.AsyncOpenAI, llm: FakeLLM) -> None:
    call = {"id": "call_1", "type": "function", "function": {"name": "weather", "arguments": '{"city":"Paris"}'}}
    llm.on("weather?", replies.message(None, "tool_calls", tool_calls=[call]))

    answer = await client.chat.completions.create(
        model="fake",
        messages=user("weather?"),
        tools=[{"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}],
    )

    assert answer.choices[0].finish_reason == "tool_calls"
    assert answer.choices[0].message.tool_calls is not None
    assert answer.choices[0].message.tool_calls[0].to_dict() == call
    assert llm.calls[-1].body["tools"][0]["function"]["name"] == "weather"


async def test_a_stream_ends_with_its_usage(client: openai.AsyncOpenAI) -> None:
    stream = await client.chat.completions.create(
        model="fake", messages=user("count me"), stream=True, stream_options={"include_usage": True}
    )
    *chunks, last = [each async for each in stream]

    text = "".join(each.choices[0].delta.content or "" for each in chunks)
    assert text == 'You said: "count me". I was given 1 message.'
    assert [each.choices[0].finish_reason for each in chunks[-2:]] == [None, "stop"]
    assert {each.object for each in chunks} == {"chat.completion.chunk"}
    assert {each.usage for each in chunks} == {None}
    assert last.choices == []
    assert last.usage is not None
    assert last.usage.total_tokens == last.usage.prompt_tokens + last.usage.completion_tokens


async def test_without_being_asked_no_usage_is_sent(http: aiohttp.ClientSession, llm: FakeLLM) -> None:
    response = await post(http, messages=user("just talk"), stream=True)

    *chunks, done = await data_of(response)
    assert response.headers["content-type"] == "text/event-stream"
    assert done == "[DONE]"
    assert all(each["choices"] and not each.get("usage") for each in chunks)
    assert llm.calls[-1].body["stream_options"] == {"include_usage": True}, "usage is counted all the same"


async def test_chunks_are_forwarded_as_they_came(http: aiohttp.ClientSession, llm: FakeLLM) -> None:
    head = '"id":"c","object":"chat.completion.chunk","created":1,"model":"m"'
    choice = '{"index":0,"delta":{"role":"assistant","content":"h\\u00e9"},"finish_reason":null}'
    first = f'{{{head}, "x_own": [1.50], "choices":[{choice}]}}'
    llm.on("raw chunks", replies.stream(b": OPENROUTER PROCESSING\n\n" + sse(first, chunk("", "stop"))))

    response = await post(http, messages=user("raw chunks"), stream=True)

    assert (await response.text()).startswith(f"data: {first}\n\n")
    assert "OPENROUTER" not in await response.text()


@pytest.mark.parametrize("asked", [True, False])
async def test_usage_on_the_last_chunk_with_words_is_moved_to_where_openai_has_it(
    http: aiohttp.ClientSession, llm: FakeLLM, asked: bool
) -> None:
    events = sse(chunk("Hello"), chunk("", "stop", usage=USAGE))
    llm.on(f"openrouter {asked}", replies.stream(events))

    response = await post(
        http, messages=user(f"openrouter {asked}"), stream=True, stream_options={"include_usage": asked}
    )

    expected: list[Any] = [chunk("Hello"), chunk("", "stop")]
    if asked:
        expected = [each | {"usage": None} for each in expected]
        expected.append(expected[0] | {"choices": [], "usage": USAGE})
    assert await data_of(response) == [*expected, "[DONE]"]


async def test_a_streamed_tool_call_comes_through(client: openai.AsyncOpenAI, llm: FakeLLM) -> None:
    piece = {"index": 0, "id": "call_1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    called = chunk()
    called["choices"][0]["delta"] = {"role": "assistant", "content": None, "tool_calls": [piece]}
    llm.on("call f", replies.stream(sse(called, chunk(None, "tool_calls"))))

    stream = await client.chat.completions.create(model="fake", messages=user("call f"), stream=True)
    first, last = [each async for each in stream]

    assert first.choices[0].delta.tool_calls is not None
    assert first.choices[0].delta.tool_calls[0].to_dict() == piece
    assert last.choices[0].finish_reason == "tool_calls"


EXCEPTIONS = {
    400: openai.BadRequestError,
    429: openai.RateLimitError,
    502: openai.InternalServerError,
    503: openai.InternalServerError,
}
TYPES = {400: "invalid_request_error", 429: "rate_limit_error", 502: "server_error", 503: "server_error"}


@pytest.mark.parametrize("name", TROUBLES)
@pytest.mark.parametrize("stream", [False, True])
async def test_upstream_trouble_is_a_typed_exception(
    client: openai.AsyncOpenAI, llm: FakeLLM, name: str, stream: bool
) -> None:
    trouble = TROUBLES[name]
    text = f"chat {name} {stream}"
    llm.on(text, (stream and trouble.streamed) or trouble.reply)

    with pytest.raises(EXCEPTIONS[trouble.status]) as caught:
        # A model of its own: one whose rate is limited rests.
        await client.chat.completions.create(model=f"{name}-{stream}", messages=user(text), stream=stream)

    error = caught.value
    assert (error.status_code, error.code, error.type) == (trouble.status, trouble.code, TYPES[trouble.status])
    assert SECRET not in str(error)
    assert (
        trouble.headers.items() <= dict(error.response.headers).items()
        or {key.lower(): value for key, value in trouble.headers.items()}.items()
        <= dict(error.response.headers).items()
    )


async def test_a_stream_that_breaks_raises_and_has_no_done(
    http: aiohttp.ClientSession, client: openai.AsyncOpenAI, llm: FakeLLM
) -> None:
    broken = sse(chunk("half"), {"error": {"code": 429, "message": SECRET}}, chunk(" whole", "stop"))
    llm.on("break it", replies.stream(broken))

    stream = await client.chat.completions.create(model="fake", messages=user("break it"), stream=True)
    assert (await anext(stream)).choices[0].delta.content == "half"
    with pytest.raises(openai.APIError) as caught:
        await anext(stream)
    assert caught.value.code == "upstream_rate_limited"

    first, error = await data_of(await post(http, messages=user("break it"), stream=True))
    assert first == chunk("half")
    assert error["error"].keys() == {"message", "type", "param", "code"}
    assert SECRET not in str(error)


async def test_a_choice_that_never_ends_never_looks_whole(client: openai.AsyncOpenAI, llm: FakeLLM) -> None:
    second = chunk("two")
    second["choices"][0]["index"] = 1
    llm.on("two answers", replies.stream(sse(chunk("one"), second, chunk("", "stop"))))

    stream = await client.chat.completions.create(model="fake", messages=user("two answers"), n=2, stream=True)

    with pytest.raises(openai.APIError):
        [each async for each in stream]


@pytest.mark.parametrize(
    ("body", "param", "code"),
    [
        (b"{", None, "invalid_value"),
        (b'"\xff"', None, "invalid_value"),
        (b"[" * 100_000, None, "invalid_value"),
        (b"[]", None, "invalid_value"),
        (b"{}", "messages", "missing_required_parameter"),
        (b'{"messages": []}', "messages", "invalid_value"),
        (b'{"messages": ["x"]}', "messages[0]", "invalid_type"),
        (b'{"messages": [{}], "stream": "yes"}', "stream", "invalid_type"),
        (rb'{"messages": [{}], "model": "half \ud800"}', None, "invalid_value"),
        (b'{"messages": [{}], "model": "%b"}' % (b"m" * 257), "model", "invalid_value"),
        (b'{"messages": [{}], "stream_options": 1}', "stream_options", "invalid_type"),
        (b'{"messages": [{}], "model": 1}', "model", "invalid_type"),
        (b'{"messages": [{}], "temperature": NaN}', None, "invalid_value"),
        (b'{"messages": [{}], "temperature": -Infinity}', None, "invalid_value"),
        (b'{"messages": [{}], "temperature": 1e400}', None, "invalid_value"),
        (b'{"messages": [{}], "seed": %s}' % (b"1" * 5000), None, "invalid_value"),
    ],
)
async def test_a_wrong_request_is_a_400_that_names_the_parameter(
    http: aiohttp.ClientSession, llm: FakeLLM, body: bytes, param: str | None, code: str
) -> None:
    asked = llm.total

    async with http.post("/v1/chat/completions", data=body) as response:
        problem = await response.json()

    assert response.status == 400
    assert problem["error"].keys() == {"message", "type", "param", "code"}
    assert (problem["error"]["type"], problem["error"]["param"], problem["error"]["code"]) == (
        "invalid_request_error",
        param,
        code,
    )
    assert llm.total == asked


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"{", "not JSON"),
        (b'"\xff"', "UTF-8"),
        (b"[" * 10_000 + b"]" * 10_000, "nested too deep"),
        (b"[" + b"1" * 5_000 + b"]", "too many digits"),
        (b"[NaN]", "NaN"),
        (b"[1e400]", "too large a number"),
    ],
)
async def test_a_body_that_cannot_be_read_is_refused_with_the_reason(
    http: aiohttp.ClientSession, body: bytes, words: str
) -> None:
    async with http.post("/v1/chat/completions", data=body) as response:
        assert words in (await response.json())["error"]["message"]


async def test_an_openai_route_that_is_not_offered_is_refused_in_its_shape(client: openai.AsyncOpenAI) -> None:
    with pytest.raises(openai.NotFoundError) as moderation:
        await client.moderations.create(input="x")
    with pytest.raises(openai.NotFoundError) as image:
        await client.images.generate(prompt="x")

    assert (moderation.value.type, moderation.value.code) == ("invalid_request_error", "not_found")
    assert (image.value.type, image.value.code) == ("invalid_request_error", "not_found")


async def test_a_route_of_our_own_under_v1_keeps_our_shape(http: aiohttp.ClientSession) -> None:
    async with http.get("/openapi.json") as response:
        paths = (await response.json())["paths"]
    rooms = {path.split("/")[2] for path in paths if path.startswith("/v1/")}

    for room in rooms - {
        "chat",
        "completions",
        "conversations",
        "embeddings",
        "models",
        "responses",
        "webhook_endpoints",
        "webhook_event_types",
    }:
        async with http.get(f"/v1/{room}/no/such/thing") as response:
            assert (response.status, (await response.json()).keys()) == (404, {"detail", "error"})


async def test_models_are_listed_and_found_by_ids_with_slashes(
    client: openai.AsyncOpenAI, http: aiohttp.ClientSession
) -> None:
    listed = [each async for each in client.models.list()]

    assert [each.id for each in listed] == ["fake", "vendor/large:free"]
    assert (await client.models.retrieve("vendor/large:free")) == listed[1]
    for path in ("/v1/models/vendor/large:free", "/v1/models/vendor%2Flarge%3Afree"):
        async with http.get(path) as response:
            assert await response.json() == {
                "id": "vendor/large:free",
                "object": "model",
                "created": 0,
                "owned_by": "answerback",
            }
    with pytest.raises(openai.NotFoundError) as caught:
        await client.models.retrieve("vendor/none")
    assert caught.value.code == "model_not_found"


async def test_every_error_of_these_routes_reads_as_openais(http: aiohttp.ClientSession, service: Service) -> None:
    async def seen(method: str, path: str, **options: Any) -> tuple[int, str, str]:
        async with http.request(method, path, **options) as response:
            error = (await response.json())["error"]
            assert error.keys() == {"message", "type", "param", "code"}
            return response.status, error["type"], error["code"]

    chat, wrong = "/v1/chat/completions", {"Authorization": "wrong"}
    assert await seen("GET", chat) == (405, "invalid_request_error", "method_not_allowed")
    assert await seen("POST", "/v1/chat/nothing") == (404, "invalid_request_error", "not_found")
    large = io.BytesIO(bytes(33 * 1024 * 1024))
    assert await seen("POST", chat, data=large) == (413, "invalid_request_error", "body_too_large")
    assert await seen("POST", chat, headers=wrong) == (401, "invalid_request_error", "invalid_api_key")
    assert await seen("GET", "/v1/models", headers=wrong) == (401, "invalid_request_error", "invalid_api_key")
    async with http.get("/v1/jobs/none") as response:
        assert (response.status, (await response.json())["error"].keys()) == (404, {"code", "message"})
    async with openai.AsyncOpenAI(base_url=f"{service.url}/v1", api_key="wrong", max_retries=0) as stranger:
        with pytest.raises(openai.AuthenticationError):
            await stranger.models.list()


async def test_an_sdks_own_retry_joins_the_call_that_still_runs(service: Service, llm: FakeLLM) -> None:
    llm.on("take your time", replies.delayed(1.2))
    impatient = openai.AsyncOpenAI(base_url=f"{service.url}/v1", api_key="the-key", timeout=0.5, max_retries=4)

    async with impatient as client:
        answer = await client.chat.completions.create(model="fake", messages=user("take your time"))

    assert answer.choices[0].message.content == 'You said: "take your time". I was given 1 message.'
    assert llm.count("take your time") == 1


async def test_trouble_leaves_no_traceback_and_no_text_in_the_log(service: Service) -> None:
    assert "Traceback" not in service.logs
    assert SECRET not in service.logs


async def test_an_upstream_that_is_not_there_is_503_on_every_route(service: Service) -> None:
    settings = upstream(f"http://127.0.0.1:{service.port}/v1")
    # Nobody listens there once its service is gone, and nobody else can take the port.
    await service.kill()
    async with Service(settings) as lonely, aiohttp.ClientSession(lonely.url) as http:
        for path, body in (
            ("/api/ask", {"question": "x"}),
            ("/api/streaming", {"question": "x"}),
            ("/v1/chat/completions", {"messages": user("x")}),
            ("/v1/chat/completions", {"messages": user("x"), "stream": True}),
        ):
            async with http.post(path, json=body) as response:
                assert (response.status, (await response.json())["error"]["code"]) == (503, "upstream_unreachable")
        async with http.get("/v1/models") as response:
            assert (response.status, (await response.json())["error"]["code"]) == (503, "upstream_unreachable")
