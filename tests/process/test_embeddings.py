"""Embeddings, by the official `openai` package."""

from collections.abc import Mapping
from typing import Any

import aiohttp
import openai
import pytest

from answerback.testing import replies
from answerback.testing.completions import encoded
from answerback.testing.llm import FakeLLM

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.fixture(scope="module")
def settings() -> Mapping[str, str]:
    return {"AUTH_TOKEN": "the-key", "MAX_RETRIES": "1", "MIN_RETRY_DELAY": "0.01"}


def vectors(*data: Any, **changes: Any) -> bytes:
    counts = {"prompt_tokens": 1, "total_tokens": 1}
    return encoded({"object": "list", "data": list(data), "model": "m", "usage": counts, **changes})


async def test_texts_become_vectors(sdk: openai.AsyncOpenAI, llm: FakeLLM) -> None:
    made = await sdk.embeddings.create(model="small", input=["one", "three"], dimensions=2, user="me")

    assert [(each.index, each.embedding) for each in made.data] == [(0, [3.0, 0.0]), (1, [5.0, 1.0])]
    assert (made.object, made.model, made.usage.prompt_tokens) == ("list", "small", 2)
    call = llm.calls[-1]
    assert {"model": "small", "input": ["one", "three"], "dimensions": 2, "user": "me"}.items() <= call.body.items()


async def test_they_come_byte_for_byte(http: aiohttp.ClientSession, llm: FakeLLM) -> None:
    said = b'{"data" : [{"embedding": [0.10000000000000000555, 1e-9] }], "x_own": 1}'
    llm.on("to the letter", replies.raw(said))

    async with http.post("/v1/embeddings", json={"model": "m", "input": "to the letter"}) as response:
        assert (response.status, await response.read()) == (200, said)


async def test_as_many_tokens_as_openai_embeds_at_once_are_taken(sdk: openai.AsyncOpenAI, llm: FakeLLM) -> None:
    tokens = [[100_000 + place for place in range(293)]] * 1024

    embedded = await sdk.embeddings.create(model="fake", input=tokens)

    assert len(embedded.data) == 1024
    assert llm.calls[-1].body["input"] == tokens


async def test_large_ones_are_taken(sdk: openai.AsyncOpenAI, llm: FakeLLM) -> None:
    numbers = [0.123456789] * 100_000
    llm.on("much", replies.raw(vectors(*({"object": "embedding", "index": n, "embedding": numbers} for n in range(9)))))

    made = await sdk.embeddings.create(model="m", input=["much"] * 9, encoding_format="float")

    assert sum(len(each.embedding) for each in made.data) == 900_000


@pytest.mark.parametrize(
    ("said", "code"),
    [
        (vectors(), "upstream_invalid"),
        (vectors({"embedding": []}), "upstream_invalid"),
        (vectors({"embedding": None}), "upstream_invalid"),
        (vectors("x"), "upstream_invalid"),
        (b'{"object": "list"}', "upstream_invalid"),
        (b'{"data": [{"embedding": [NaN]}]}', "upstream_invalid"),
        (b'{"error": {"message": "overloaded", "code": 503}}', "upstream_error"),
        (b"<html>", "upstream_invalid"),
    ],
)
async def test_what_is_no_vector_is_a_502(http: aiohttp.ClientSession, llm: FakeLLM, said: bytes, code: str) -> None:
    text = f"broken {said[:60]!r}"
    llm.on(text, replies.raw(said))

    async with http.post("/v1/embeddings", json={"model": "m", "input": text}) as response:
        assert (response.status, (await response.json())["error"]["code"]) == (502, code)


async def test_an_upstreams_refusal_keeps_its_words(sdk: openai.AsyncOpenAI, llm: FakeLLM) -> None:
    error = {"error": {"message": "no such dimensions", "param": "dimensions", "code": "bad_dimensions"}}
    llm.on("refuse me", replies.status(400, error))

    with pytest.raises(openai.BadRequestError, match="no such dimensions") as refused:
        await sdk.embeddings.create(model="m", input="refuse me")
    assert (refused.value.param, refused.value.code) == ("dimensions", "bad_dimensions")


async def test_a_failure_that_may_pass_is_tried_again(sdk: openai.AsyncOpenAI, llm: FakeLLM) -> None:
    llm.on("flaky", replies.status(503), replies.embeddings())

    assert (await sdk.embeddings.create(model="m", input="flaky")).data[0].embedding == [5.0, 0.0]
    assert llm.count("flaky") == 2


async def test_an_idempotency_key_pays_once(sdk: openai.AsyncOpenAI, llm: FakeLLM) -> None:
    keyed = {"Idempotency-Key": "once"}

    first, again = [await sdk.embeddings.create(model="m", input="paid for", extra_headers=keyed) for _ in range(2)]

    assert first == again
    assert llm.count("paid for") == 1


@pytest.mark.parametrize(
    ("body", "param", "code"),
    [
        ({"input": "x"}, "model", "missing_required_parameter"),
        ({"model": "m"}, "input", "missing_required_parameter"),
        ({"model": "m", "input": None}, "input", "missing_required_parameter"),
        ({"model": "m", "input": ""}, "input", "invalid_value"),
        ({"model": "m", "input": []}, "input", "invalid_value"),
        ({"model": "m", "input": 7}, "input", "invalid_type"),
        ({"model": "m", "input": ["x"] * 2049}, "input", "invalid_value"),
        ({"model": "", "input": "x"}, "model", "missing_required_parameter"),
        ({"model": 7, "input": "x"}, "model", "invalid_type"),
        ({"model": "m" * 257, "input": "x"}, "model", "invalid_value"),
    ],
)
async def test_a_wrong_request_is_a_400_that_names_its_parameter(
    http: aiohttp.ClientSession, body: Any, param: str, code: str
) -> None:
    async with http.post("/v1/embeddings", json=body) as response:
        error = (await response.json())["error"]
    assert (response.status, error["param"], error["code"]) == (400, param, code)


async def test_the_tokens_and_the_call_are_counted(sdk: openai.AsyncOpenAI, http: aiohttp.ClientSession) -> None:
    await sdk.embeddings.create(model="counted", input=["a", "b", "c"])

    async with http.get("/metrics") as response:
        page = await response.text()
    assert 'answerback_llm_tokens_total{model="counted",type="prompt"} 3.0' in page
    assert 'answerback_http_requests_total{method="POST",route="/v1/embeddings",status="200"}' in page
