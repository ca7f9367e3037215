"""Models, answers and streams, over real HTTP."""

import io
import json
from collections.abc import Mapping
from typing import Any

import aiohttp
import pytest

from answerback.testing import replies
from answerback.testing.llm import FakeLLM
from answerback.testing.service import Service
from api_document import errors, schema_of
from troubles import SECRET, TROUBLES, chunk, sse

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.fixture(scope="module")
def settings() -> Mapping[str, str]:
    return {"LLM_TIMEOUT_SECONDS": "2", "AUTH_TOKEN": "the-key"}


async def generate(http: aiohttp.ClientSession, prompt: Any, **fields: Any) -> tuple[int, Any]:
    async with http.post("/generate", json={"prompt": prompt, **fields}) as response:
        return response.status, await response.json()


async def events(response: aiohttp.ClientResponse) -> list[str]:
    return [each for each in (await response.text()).split("\n\n") if each]


async def test_the_models_there_are(http: aiohttp.ClientSession) -> None:
    async with http.get("/models") as response:
        assert response.status == 200
        assert await response.json() == [
            {"id": "fake", "name": "fake", "description": ""},
            {"id": "vendor/large:free", "name": "vendor/large:free", "description": ""},
        ]


async def test_a_prompt_gets_its_answer_and_what_it_took(http: aiohttp.ClientSession, llm: FakeLLM) -> None:
    llm.on("Where is Paris?", replies.say("In France, où l'on parle français 🌍."))

    status, body = await generate(
        http, "Where is Paris?", model="vendor/large:free", max_tokens=7, temperature=0.5, stream=False
    )

    assert status == 200
    assert set(body) == {"response", "finish_reason", "model", "tokens_used", "latency_seconds"}
    assert body["finish_reason"] == "stop"
    assert (body["response"], body["model"]) == ("In France, où l'on parle français 🌍.", "vendor/large:free")
    assert body["tokens_used"] > 0
    assert 0 < body["latency_seconds"] < 2
    assert llm.calls[-1].body == {
        "messages": [{"role": "user", "content": "Where is Paris?"}],
        "model": "vendor/large:free",
        "max_tokens": 7,
        "temperature": 0.5,
    }


async def test_without_a_model_the_default_answers_with_512_tokens_at_most(
    http: aiohttp.ClientSession, llm: FakeLLM
) -> None:
    assert (await generate(http, "who are you?"))[0] == 200

    assert (llm.calls[-1].model, llm.calls[-1].body["max_tokens"]) == ("fake", 512)
    assert "temperature" not in llm.calls[-1].body


async def test_tokens_that_nobody_counted_are_null(http: aiohttp.ClientSession, llm: FakeLLM) -> None:
    llm.on("uncounted", replies.completion(usage=None))

    assert (await generate(http, "uncounted"))[1]["tokens_used"] is None


@pytest.mark.parametrize("stream", [False, True])
async def test_a_model_that_is_not_there_is_refused_and_nobody_is_asked(
    http: aiohttp.ClientSession, llm: FakeLLM, stream: bool
) -> None:
    asked = llm.total

    status, body = await generate(http, "x", model="nobody/knows", stream=stream)

    assert (status, body["error"]["code"]) == (400, "model_not_found")
    assert "'nobody/knows'" in body["detail"]
    assert llm.total == asked


async def test_a_stream_comes_as_events_and_ends_with_done(http: aiohttp.ClientSession, llm: FakeLLM) -> None:
    llm.on("as events", replies.say("one two"))

    async with http.post("/generate", json={"prompt": "as events", "stream": True}) as response:
        assert (response.status, response.headers["content-type"]) == (200, "text/event-stream")
        assert await events(response) == ['data: {"content":"one"}', 'data: {"content":" two"}', 'data: {"done":true}']


async def test_words_come_before_the_answer_is_whole(http: aiohttp.ClientSession, llm: FakeLLM) -> None:
    llm.on("an endless one", replies.stream(sse(chunk("once upon"), done=False), "never"))

    async with http.post("/generate", json={"prompt": "an endless one", "stream": True}) as response:
        assert await response.content.readline() == b'data: {"content":"once upon"}\n'


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("name", TROUBLES)
async def test_upstream_trouble_is_a_status(http: aiohttp.ClientSession, llm: FakeLLM, name: str, stream: bool) -> None:
    trouble = TROUBLES[name]
    prompt = f"{name} {stream}"
    llm.on(prompt, (trouble.streamed or trouble.reply) if stream else trouble.reply)

    # A variant of its own: a model whose rate is limited rests.
    asked = {"prompt": prompt, "model": f"fake:{name}-{stream}", "stream": stream}
    async with http.post("/generate", json=asked) as response:
        body = await response.json()

    assert (response.status, body["error"]["code"]) == (trouble.status, trouble.code)
    assert body["detail"] == body["error"]["message"]
    assert SECRET not in str(body)
    assert trouble.headers.items() <= dict(response.headers).items()


BREAKS = {
    "cut": (replies.stream(sse(chunk("half"), done=False), "broken"), "upstream_invalid"),
    "ends-without-finish-reason": (replies.stream(sse(chunk("half"))), "upstream_invalid"),
    "error-chunk": (replies.stream(sse(chunk("half"), {"error": {"code": 500, "message": SECRET}})), "upstream_error"),
    "garbage": (replies.stream(sse(chunk("half"), "<html>", chunk(" more", "stop"))), "upstream_invalid"),
    "stall": (replies.stream(sse(chunk("half"), done=False), "never"), "upstream_timeout"),
}


@pytest.mark.parametrize("name", BREAKS)
async def test_a_stream_that_breaks_never_looks_complete(http: aiohttp.ClientSession, llm: FakeLLM, name: str) -> None:
    reply, code = BREAKS[name]
    llm.on(f"break {name}", reply)

    async with http.post("/generate", json={"prompt": f"break {name}", "stream": True}) as response:
        *before, last = await events(response)

    assert before == ['data: {"content":"half"}']
    kind, data = last.split("\n")
    assert kind == "event: error"
    assert json.loads(data.removeprefix("data: "))["error"]["code"] == code
    assert SECRET not in last


@pytest.mark.parametrize(
    ("body", "named"),
    [
        ({}, "prompt"),
        ({"prompt": ""}, "prompt"),
        ({"prompt": " \n"}, "prompt"),
        ({"prompt": "x" * 32_001}, "prompt"),
        ({"prompt": 5}, "prompt"),
        ({"prompt": "a\0b"}, "prompt"),
        ({"prompt": "x", "model": 5}, "model"),
        ({"prompt": "x", "max_tokens": 0}, "max_tokens"),
        ({"prompt": "x", "max_tokens": "512"}, "max_tokens"),
        ({"prompt": "x", "temperature": 2.1}, "temperature"),
        ({"prompt": "x", "stream": "yes"}, "stream"),
        ({"prompt": "x", "max_token": 5}, "max_token"),
        ([], "body"),
    ],
)
async def test_a_wrong_field_is_named(http: aiohttp.ClientSession, llm: FakeLLM, body: Any, named: str) -> None:
    asked = llm.total

    async with http.post("/generate", json=body) as response:
        problem = await response.json()

    assert (response.status, problem["error"]["code"]) == (422, "validation_error")
    assert problem["detail"][0]["loc"][-1] == named
    assert llm.total == asked


async def test_a_body_too_large_is_refused(http: aiohttp.ClientSession) -> None:
    async with http.post("/generate", data=io.BytesIO(b" " * (1024 * 1024 + 1))) as response:
        assert (response.status, (await response.json())["error"]["code"]) == (413, "body_too_large")


@pytest.mark.parametrize(("method", "path"), [("GET", "/models"), ("POST", "/generate"), ("POST", "/benchmark")])
@pytest.mark.parametrize("key", [None, "Bearer wrong"])
async def test_nothing_without_a_key(service: Service, llm: FakeLLM, method: str, path: str, key: str | None) -> None:
    asked = llm.total, llm.lists
    headers = {"Authorization": key} if key else {}

    async with (
        aiohttp.ClientSession(service.url) as stranger,
        stranger.request(method, path, json={"prompt": "x"}, headers=headers) as response,
    ):
        assert (response.status, (await response.json())["error"]["code"]) == (401, "unauthorized")

    assert (llm.total, llm.lists) == asked


async def test_each_route_documents_its_errors_and_an_example(http: aiohttp.ClientSession) -> None:
    async with http.get("/openapi.json") as response:
        document = await response.json()
    paths = document["paths"]

    for method, path in (("get", "/models"), ("post", "/generate"), ("post", "/benchmark")):
        operation = paths[path][method]
        assert operation["summary"]
        assert operation["description"]
        assert {"401", "429", "502", "503"} <= errors(document, operation).keys()
    assert {"400", "413", "422"} <= errors(document, paths["/generate"]["post"]).keys()
    assert paths["/generate"]["post"]["requestBody"]["content"]["application/json"]["example"]["prompt"]
    form = schema_of(document, paths["/benchmark"]["post"]["requestBody"]["content"]["multipart/form-data"])
    assert set(form["properties"]) == {"prompt_file", "model", "runs", "concurrency", "max_tokens", "visualize"}


async def test_upstream_trouble_leaves_no_traceback_and_no_text_in_the_log(service: Service) -> None:
    assert "Traceback" not in service.logs
    assert "never mind" not in service.logs
    assert SECRET not in service.logs
