"""Embeddings are passed on as they came, and however many numbers they hold, others have their turns."""

import asyncio
import json
from collections.abc import Mapping
from typing import Any

import pytest

from answerback.http.upstream import status_of
from answerback.kernel.errors import ErrorCode
from answerback.kernel.heavy import HEAVY_BYTES, HeavyWork
from answerback.kernel.provider_error import ProviderError
from answerback.llm.answers.embeddings import read_embeddings
from answerback.llm.model import Api, ChatRequest
from answerback.llm.openai_compatible import OpenAICompatible
from answerback.testing import replies
from answerback.testing.llm import FakeLLM

VECTOR = ", ".join(str(n * 1.25e-7) for n in range(3_072))


class Whole:
    status = 200
    headers: Mapping[str, str] = {}

    def __init__(self, *vectors: str) -> None:
        data = ", ".join(f'{{"index": {n}, "embedding": {vector}}}' for n, vector in enumerate(vectors))
        self.body = f'{{"model": "m[1, 2]", "data": [{data}], "usage": {{"prompt_tokens": 7}}}}'.encode()

    async def read_what_came(self) -> tuple[bytes, ProviderError | None]:
        return self.body, None


async def test_millions_of_numbers_are_passed_on_while_others_have_their_turns() -> None:
    response = Whole(*[f"[{VECTOR}]"] * 100)
    turns = 0

    async def others() -> None:
        nonlocal turns
        while True:
            await asyncio.sleep(0)
            turns += 1

    task = asyncio.create_task(others())
    body, document = await read_embeddings(response, lambda: 0, HeavyWork())  # type: ignore[arg-type]
    task.cancel()

    assert body == response.body
    assert (document["model"], document["usage"], len(document["data"])) == ("m[1, 2]", {"prompt_tokens": 7}, 100)
    assert [each["index"] for each in document["data"]] == list(range(100))
    assert turns >= len(body) // (2 * HEAVY_BYTES)


@pytest.mark.parametrize("vector", [f"[{VECTOR}, NaN]", f"[{VECTOR}, Infinity]", f"[{VECTOR}", f"[{VECTOR}, [1]", "[]"])
async def test_a_long_vector_that_is_none_is_refused(vector: str) -> None:
    with pytest.raises(ProviderError):
        await read_embeddings(Whole(f"[{VECTOR}]", vector), lambda: 0, HeavyWork())  # type: ignore[arg-type]


async def test_short_vectors_are_read_as_they_are() -> None:
    _, document = await read_embeddings(Whole("[0.5, -1]"), lambda: 0, HeavyWork())  # type: ignore[arg-type]

    assert json.dumps(document["data"]) == '[{"index": 0, "embedding": [0.5, -1]}]'


GOOD = b'{"data": [{"index": 0, "embedding": [0.5]}]}'


@pytest.mark.parametrize("sent", [b"\xef\xbb\xbf" + GOOD, b"data: " + GOOD + b"\n\ndata: [DONE]\n\n", b"data: " + GOOD])
async def test_what_stands_around_the_json_is_not_passed_on(
    llm: FakeLLM, provider: OpenAICompatible, sent: bytes
) -> None:
    llm.then(replies.raw(sent))

    assert (await provider.send(ChatRequest({"model": "m", "input": "x"}, 5, api=Api.EMBEDDINGS))).body == GOOD  # type: ignore[union-attr]


@pytest.mark.parametrize("vector", ["[null, null]", "[0.5, null]", "[true]", '["0.5"]', f"[{VECTOR}, null]"])
async def test_a_vector_of_what_are_no_numbers_is_refused(vector: str) -> None:
    with pytest.raises(ProviderError, match="no numbers"):
        await read_embeddings(Whole(vector), lambda: 0, HeavyWork())  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("asked", "vectors"),
    [("a", 1), ([5, 6], 1), (["a"], 1), (["a", "b"], 2), ([[5], [6]], 2), ([{"image": "a"}], None)],
)
async def test_there_is_one_vector_for_each_input(
    llm: FakeLLM, provider: OpenAICompatible, asked: Any, vectors: int | None
) -> None:
    """What is asked for in a way of the upstream's own is not counted."""
    request = ChatRequest({"model": "m", "input": asked}, 5, api=Api.EMBEDDINGS)
    for given in (1, 2, 3):
        llm.then(replies.raw(Whole(*["[0.5]"] * given).body))
        if vectors in (None, given):
            await provider.send(request)
            continue
        with pytest.raises(ProviderError, match="each input") as caught:
            await provider.send(request)
        assert caught.value.failure.code is ErrorCode.UPSTREAM_INVALID


async def test_embeddings_that_break_off_behind_a_good_head_are_no_answer(
    llm: FakeLLM, provider: OpenAICompatible
) -> None:
    """They may have been paid for: the upstream was there."""
    llm.then(replies.break_off())
    request = ChatRequest({"model": "m", "input": "x"}, 5, api=Api.EMBEDDINGS)

    with pytest.raises(ProviderError) as caught:
        await provider.send(request)

    assert (caught.value.failure.code, caught.value.retryable) == (ErrorCode.UPSTREAM_INVALID, True)
    assert status_of(caught.value) == 502


class Sent(Whole):
    def __init__(self, *entries: str) -> None:
        self.body = f'{{"data": [{", ".join(entries)}], "x": [{VECTOR}]}}'.encode()


@pytest.mark.parametrize(
    "numbers",
    [
        ("", ""),
        ('"index": null, ', '"index": null, '),
        ('"index": 0, ', '"index": 0, '),
        ('"index": 1, ', '"index": 2, '),
    ],
    ids=["none", "null", "the same", "from 1"],
)
async def test_vectors_without_numbers_of_their_own_are_numbered_in_their_order(numbers: tuple[str, str]) -> None:
    """The long one stays as it came, to the letter."""
    response = Sent(f'{{{numbers[0]}"embedding": [0.5]}}', f'{{{numbers[1]}"embedding": [{VECTOR}]}}')

    body, document = await read_embeddings(response, lambda: 0, HeavyWork())  # type: ignore[arg-type]

    assert [each["index"] for each in document["data"]] == [0, 1]
    assert [(each["index"], each["embedding"]) for each in json.loads(body)["data"]] == [
        (0, [0.5]),
        (1, json.loads(f"[{VECTOR}]")),
    ]
    assert body.count(f"[{VECTOR}]".encode()) == 2


async def test_vectors_in_another_order_keep_their_numbers() -> None:
    response = Sent('{"index": 1, "embedding": [1]}', '{"index": 0, "embedding": [0]}')

    body, _ = await read_embeddings(response, lambda: 0, HeavyWork())  # type: ignore[arg-type]

    assert body == response.body
