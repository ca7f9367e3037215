"""Plain completions, by the official `openai` package."""

import json
from collections.abc import AsyncIterator, Mapping
from typing import Any

import aiohttp
import openai
import pytest
import pytest_asyncio

from answerback.testing import replies
from answerback.testing.completions import encoded
from answerback.testing.llm import FakeLLM
from answerback.testing.service import Service

pytestmark = pytest.mark.asyncio(loop_scope="module")

HEAD = {"id": "cmpl-1", "object": "text_completion", "created": 1, "model": "m"}


@pytest.fixture(scope="module")
def settings() -> Mapping[str, str]:
    return {"AUTH_TOKEN": "the-key"}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def client(service: Service) -> AsyncIterator[openai.AsyncOpenAI]:
    async with openai.AsyncOpenAI(base_url=f"{service.url}/v1", api_key="the-key", max_retries=0) as made:
        yield made


def said(text: str, finish: str | None = "stop", **fields: Any) -> dict[str, Any]:
    return {**HEAD, "choices": [{"text": text, "index": 0, "logprobs": None, "finish_reason": finish, **fields}]}


def stream(*documents: dict[str, Any], done: bool = True) -> bytes:
    events = [b"data: " + json.dumps(each).encode() + b"\n\n" for each in documents]
    return b"".join([*events, b"data: [DONE]\n\n" if done else b""])


async def test_a_text_goes_on(client: openai.AsyncOpenAI, llm: FakeLLM) -> None:
    made = await client.completions.create(model="instruct", prompt="Once", max_tokens=3, echo=False, suffix=".")

    assert (made.object, made.model, made.choices[0].text) == ("text_completion", "instruct", " and so on")
    assert (made.choices[0].finish_reason, made.choices[0].logprobs) == ("stop", None)
    assert made.usage is not None
    assert made.usage.total_tokens == 4
    openai.types.Completion.model_validate(made.to_dict(), strict=True)
    assert llm.calls[-1].body == {
        "model": "instruct",
        "prompt": "Once",
        "max_tokens": 3,
        "echo": False,
        "suffix": ".",
    }


async def test_each_of_several_prompts_has_a_choice(client: openai.AsyncOpenAI) -> None:
    made = await client.completions.create(model="m", prompt=["one", "two"])

    assert [(each.index, each.text) for each in made.choices] == [(0, " and so on"), (1, " and so on")]


async def test_chances_come_as_they_are(client: openai.AsyncOpenAI, llm: FakeLLM) -> None:
    chances = {"tokens": [" x"], "token_logprobs": [-0.5], "top_logprobs": [{" x": -0.5}], "text_offset": [0]}
    llm.on("chances", replies.raw(encoded(said(" x", logprobs=chances))))

    made = await client.completions.create(model="m", prompt="chances", logprobs=1)

    assert made.choices[0].logprobs is not None
    assert made.choices[0].logprobs.to_dict() == chances


async def test_a_stream_ends_with_its_usage(client: openai.AsyncOpenAI) -> None:
    opened = await client.completions.create(
        model="m", prompt="Once", stream=True, stream_options={"include_usage": True}
    )
    *chunks, last = [each async for each in opened]

    assert "".join(each.choices[0].text for each in chunks) == " and so on"
    assert {each.object for each in chunks} == {"text_completion"}
    assert [each.choices[0].finish_reason for each in chunks] == [None] * (len(chunks) - 1) + ["stop"]
    assert last.choices == []
    assert last.usage is not None
    assert last.usage.completion_tokens == 3


async def test_a_stream_of_several_prompts_ends_once_all_have(client: openai.AsyncOpenAI) -> None:
    opened = await client.completions.create(model="m", prompt=["one", "two"], stream=True)
    texts = {0: "", 1: ""}
    async for chunk in opened:
        for choice in chunk.choices:
            texts[choice.index] += choice.text

    assert texts == {0: " and so on", 1: " and so on"}


@pytest.mark.parametrize(
    "broken",
    [
        stream(said("half", None), done=False),
        stream(said("half", None)),
        stream(said("half", None), said("", "error")),
        stream(said("half", None), {"error": {"message": "overloaded", "code": 503}}),
    ],
    ids=["cut", "no end", "failed", "an error"],
)
async def test_a_stream_that_breaks_ends_with_an_error(
    http: aiohttp.ClientSession, llm: FakeLLM, broken: bytes
) -> None:
    text = f"broken {len(broken)}"
    llm.on(text, replies.stream(broken))

    async with http.post("/v1/completions", json={"model": "m", "prompt": text, "stream": True}) as response:
        *_, last = [line for line in (await response.text()).split("\n\n") if line]

    assert json.loads(last.removeprefix("data: "))["error"]["code"].startswith("upstream_")


async def test_a_whole_answer_that_failed_is_a_502(client: openai.AsyncOpenAI, llm: FakeLLM) -> None:
    llm.on("fail", replies.raw(encoded(said("half", "error"))))

    with pytest.raises(openai.InternalServerError) as failed:
        await client.completions.create(model="m", prompt="fail")
    assert failed.value.status_code == 502


async def test_a_provider_without_plain_completions_says_so(client: openai.AsyncOpenAI, llm: FakeLLM) -> None:
    llm.on("nowhere", replies.status(404, {"error": {"message": "no such path"}}))

    with pytest.raises(openai.InternalServerError, match="has nothing at this path"):
        await client.completions.create(model="m", prompt="nowhere")


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({}, "prompt"),
        ({"prompt": ""}, "prompt"),
        ({"prompt": []}, "prompt"),
        ({"prompt": 7}, "prompt"),
        ({"prompt": ["x"] * 2049}, "prompt"),
        ({"prompt": "x", "model": 7}, "model"),
        ({"prompt": "x", "stream": "yes"}, "stream"),
        ({"prompt": "x", "stream_options": []}, "stream_options"),
    ],
)
async def test_a_wrong_request_is_a_400_that_names_its_parameter(
    http: aiohttp.ClientSession, body: Any, param: str
) -> None:
    async with http.post("/v1/completions", json=body) as response:
        assert (response.status, (await response.json())["error"]["param"]) == (400, param)
