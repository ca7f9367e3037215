"""What is wrong in a request of OpenAI's routes is a 400 that names it as OpenAI does, and asks no model."""

import base64
from collections.abc import Mapping
from typing import Any

import aiohttp
import openai
import pytest
from multidict import CIMultiDict

from answerback.testing import replies
from answerback.testing.llm import FakeLLM

pytestmark = pytest.mark.asyncio(loop_scope="module")

PDF = "data:application/pdf;base64," + base64.b64encode(b"%PDF-1.7").decode()
LONG = "k" * 65


@pytest.fixture(scope="module")
def settings() -> Mapping[str, str]:
    return {"AUTH_TOKEN": "the-key", "OPERATOR_TOKEN": "the-operator", "MAX_RETRIES": "0"}


def part(**fields: Any) -> dict[str, Any]:
    return {"input": [{"role": "user", "content": [fields]}]}


@pytest.mark.parametrize(
    ("wrong", "param", "words"),
    [
        ({"include": ["reasoning.everything"]}, "include[0]", "reasoning.encrypted_content"),
        ({"stream": "maybe"}, "stream", "must be true or false"),
        ({"metadata": {LONG: "a"}}, "metadata", LONG),
        ({"metadata": {"a": 1}}, "metadata.a", "must be a string"),
        ({"metadata": {"path": 1}}, "metadata.path", "string"),
        ({"metadata": {"7": 1}}, "metadata.7", "string"),
        ({"tools": [{"type": "zzz"}]}, "tools[0].type", "'function', 'custom', 'namespace'"),
        (part(type="input_file", file_data="JVBERi0xLjc="), "input[0].content[0].file_data", "data URL"),
        (part(type="input_file", file_data=PDF + "@"), "input[0].content[0].file_data", "base64"),
        (part(type="input_file", file_data=PDF.partition(",")[0] + ","), "input[0].content[0].file_data", "empty"),
        (part(type="input_image", image_url="data:image/png;base64,@"), "input[0].content[0].image_url", "base64"),
        (part(type="input_image", image_url="picture.png"), "input[0].content[0].image_url", "data URL"),
    ],
)
async def test_a_request_for_a_response(
    http: aiohttp.ClientSession, llm: FakeLLM, wrong: Mapping[str, Any], param: str, words: str
) -> None:
    before = llm.total

    async with http.post("/v1/responses", json={"model": "fake", "input": "x", **wrong}) as response:
        error = (await response.json())["error"]

    assert (response.status, error["param"]) == (400, param)
    assert words in error["message"]
    assert error["code"] in ("invalid_value", "invalid_type", "unsupported_value")
    assert llm.total == before


async def test_a_file_and_a_picture_that_are_whole_reach_the_model(sdk: openai.AsyncOpenAI, llm: FakeLLM) -> None:
    content: Any = [
        {"type": "input_file", "filename": "a.pdf", "file_data": PDF},
        {"type": "input_image", "image_url": "data:image/png;base64,AAAA", "detail": "low"},
        {"type": "input_text", "text": "what is it?"},
    ]

    await sdk.responses.create(model="fake", input=[{"role": "user", "content": content}])

    sent = llm.calls[-1].messages[-1]["content"]
    assert [each["type"] for each in sent] == ["file", "image_url", "text"]
    assert sent[0]["file"] == {"filename": "a.pdf", "file_data": PDF}


@pytest.mark.parametrize(
    ("query", "param"),
    [
        ("stream=maybe", "stream"),
        ("starting_after=x", "starting_after"),
        ("include[]=everything", "include"),
        ("include=everything", "include"),
    ],
)
async def test_a_query_for_a_response(
    http: aiohttp.ClientSession, sdk: openai.AsyncOpenAI, query: str, param: str
) -> None:
    made = await sdk.responses.create(model="fake", input="queried")

    async with http.get(f"/v1/responses/{made.id}?{query}") as response:
        assert (response.status, (await response.json())["error"]["param"]) == (400, param)
    async with http.get(f"/v1/responses/{made.id}?stream=false") as response:
        assert response.status == 200


@pytest.mark.parametrize("path", ["/v1/responses", "/v1/chat/completions", "/v1/conversations", "/v1/embeddings"])
async def test_a_key_that_is_none(http: aiohttp.ClientSession, path: str) -> None:
    asked = {"model": "fake", "input": "x", "messages": [{"role": "user", "content": "x"}]}
    async with http.post(path, json=asked, headers={"Idempotency-Key": "x" * 256}) as response:
        error = (await response.json())["error"]

    assert (response.status, error["param"], error["code"]) == (400, "Idempotency-Key", "invalid_value")
    assert error["message"] == "invalid 'Idempotency-Key': must be 1 to 255 printable ASCII characters"


@pytest.mark.parametrize("path", ["/v1/responses", "/v1/chat/completions", "/v1/conversations"])
async def test_two_keys(http: aiohttp.ClientSession, llm: FakeLLM, path: str) -> None:
    """The same key twice is one."""
    text = f"two keys {path}"
    asked = {"model": "fake", "input": text, "messages": [{"role": "user", "content": text}]}
    if path == "/v1/conversations":
        asked = {}
    keys = [("Idempotency-Key", text), ("Idempotency-Key", "another")]
    async with http.post(path, json=asked, headers=CIMultiDict(keys)) as response:
        error = (await response.json())["error"]
    assert llm.count(text) == 0
    async with http.post(path, json=asked, headers=CIMultiDict(keys[:1] * 2)) as response:
        assert response.status == 200

    assert (error["param"], error["code"]) == ("Idempotency-Key", "invalid_value")
    assert error["message"] == "invalid 'Idempotency-Key': was sent more than once, with different values: send one"


async def test_a_reference_to_nothing(sdk: openai.AsyncOpenAI) -> None:
    items: Any = [{"role": "user", "content": "x"}, {"type": "item_reference", "id": "msg_gone"}]

    with pytest.raises(openai.NotFoundError, match="msg_gone") as refused:
        await sdk.responses.create(model="fake", input=items)

    assert refused.value.param == "input[1].id"


async def test_a_previous_response_that_is_not_whole(sdk: openai.AsyncOpenAI, llm: FakeLLM) -> None:
    calls = llm.total
    llm.on("not whole yet", replies.hang())
    queued = await sdk.responses.create(model="fake", input="not whole yet", background=True)
    await llm.wait_for_calls(calls + 1)

    with pytest.raises(openai.BadRequestError, match="in_progress") as refused:
        await sdk.responses.create(model="fake", input="x", previous_response_id=queued.id)
    await sdk.responses.cancel(queued.id)
    with pytest.raises(openai.BadRequestError, match="cancelled"):
        await sdk.responses.create(model="fake", input="x", previous_response_id=queued.id)

    assert (refused.value.code, refused.value.param) == ("invalid_value", "previous_response_id")


async def test_why_a_provider_refuses_is_shown_without_its_address(sdk: openai.AsyncOpenAI, llm: FakeLLM) -> None:
    words = f"there is no POST {llm.base_url}/chat/completions"
    llm.on("no such path", *[replies.status(400, {"error": {"message": words}})] * 3)

    with pytest.raises(openai.BadRequestError, match="there is no POST") as refused:
        await sdk.responses.create(model="fake", input="no such path")
    made = await sdk.responses.create(model="fake", input="no such path", background=True)
    while made.status != "failed":
        made = await sdk.responses.retrieve(made.id)

    assert made.error is not None
    for text in (refused.value.message, made.error.message):
        assert "there is no POST [redacted]/chat/completions" in text
