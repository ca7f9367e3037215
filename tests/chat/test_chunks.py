"""A stream as a client of OpenAI's route gets it: the usage where OpenAI has it, wherever the upstream had it."""

import asyncio
import contextlib
import json
import weakref
from collections.abc import AsyncGenerator
from typing import Any

import pytest

from answerback.chat.chunks import events
from answerback.chat.ends import HeldEnds
from answerback.kernel.errors import ErrorCode
from answerback.kernel.json import Json
from answerback.kernel.provider_error import ProviderError
from answerback.llm.answers.chunk_reader import ChunkReader
from answerback.llm.model import Chunk, Expected
from answerback.llm.reply import StreamedReply

HEAD = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m"}
USAGE = {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}


def chunk(**fields: Any) -> dict[str, Json]:
    said = {"role": "assistant", "content": "x"}
    return {**HEAD, "choices": [{"index": 0, "delta": said, "finish_reason": None}], **fields}


async def sent(*documents: dict[str, Json], include_usage: bool = True) -> list[Any]:
    reader = ChunkReader(lambda: 0, Expected("m"))

    async def stream() -> AsyncGenerator[Chunk, None]:
        for document in documents:
            for each in reader.read(b"data: %b\n\n" % json.dumps(document).encode()):
                yield each

    reply = await StreamedReply.open(stream(), 60, asyncio.get_running_loop().time() + 60)
    lines = [event.decode().removeprefix("data: ").strip() async for event in events(reply, include_usage)]
    assert lines.pop() == "[DONE]"
    return [json.loads(line) for line in lines]


@pytest.mark.parametrize(
    "counted",
    [
        {**HEAD, "choices": [], "usage": USAGE},
        {**HEAD, "choices": None, "usage": USAGE},
        {"usage": USAGE},
        {**HEAD, "choices": [], "x_groq": {"usage": USAGE}},
        {**HEAD, "choices": [], "usage": {"prompt_tokens": 1.0, "completion_tokens": "2"}},
    ],
    ids=str,
)
async def test_the_usage_comes_last_in_a_chunk_of_its_own_that_every_sdk_reads(counted: dict[str, Json]) -> None:
    first, last = await sent(chunk(), counted)

    assert first["usage"] is None
    assert {name: last[name] for name in HEAD} == HEAD
    assert (last["choices"], last["usage"]) == ([], USAGE)


async def test_usage_in_a_choice_is_shown_as_openais_too() -> None:
    choice = {"index": 0, "delta": {}, "finish_reason": "stop", "usage": USAGE}

    _, said, last = await sent(chunk(), chunk(choices=[choice]))

    assert said["choices"] == [choice]
    assert (last["choices"], last["usage"]) == ([], USAGE)


async def test_usage_that_was_not_asked_for_is_not_sent() -> None:
    assert await sent(chunk(), {"usage": USAGE}, include_usage=False) == [chunk()]


@pytest.mark.parametrize("include_usage", [True, False])
async def test_a_character_that_chunks_part_stays_whole(include_usage: bool) -> None:
    parted = [{"index": 0, "delta": {"content": half}, "finish_reason": None} for half in ("\ud83d", "\ude00")]

    sent_on = await sent(*(chunk(choices=[each]) for each in parted), include_usage=include_usage)

    assert [each["choices"][0]["delta"]["content"] for each in sent_on] == ["\ud83d", "\ude00"]


async def test_usage_that_the_upstream_does_not_count_is_not_made_up() -> None:
    assert [each["usage"] for each in await sent(chunk(), chunk())] == [None, None]


async def begun(word: str, broken: BaseException | None) -> list[bytes]:
    """What a client receives of a stream that ends in a word, and then breaks or does not."""
    reader = ChunkReader(lambda: 0, Expected("m"))
    ending = chunk(choices=[{"index": 0, "delta": {}, "finish_reason": word}])

    async def stream() -> AsyncGenerator[Chunk, None]:
        for document in (chunk(), ending):
            for each in reader.read(b"data: %b\n\n" % json.dumps(document).encode()):
                yield each
        if broken is not None:
            raise broken

    reply = await StreamedReply.open(stream(), 60, asyncio.get_running_loop().time() + 60)
    received: list[bytes] = []
    with contextlib.suppress(ProviderError):
        async for event in events(reply, include_usage=False):
            received.append(event)
    return received


@pytest.mark.parametrize("word", ["stop", "length", "a_word_of_its_own"])
async def test_no_word_ends_a_stream_that_broke(word: str) -> None:
    broken = ProviderError(ErrorCode.UPSTREAM_INVALID, "broke off", retryable=True)

    received = await begun(word, broken)

    assert [b'"%b"' % word.encode() in event for event in received] == [False]


async def test_a_word_of_unknown_meaning_ends_a_whole_stream() -> None:
    received = await begun("a_word_of_its_own", None)

    assert [b"a_word_of_its_own" in event for event in received] == [False, True, False]
    assert received[-1] == b"data: [DONE]\n\n"


def ending(word: str | None, content: str | None = None, index: int = 0, **delta: Any) -> dict[str, Json]:
    said = {**delta, **({} if content is None else {"content": content})}
    return chunk(choices=[{"index": index, "delta": said, "finish_reason": word}])


CALL: dict[str, Any] = {
    "tool_calls": [{"index": 0, "id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}]
}


@pytest.mark.parametrize(
    ("documents", "ends"),
    [
        ([ending("stop"), ending("length")], [None, "length"]),
        ([ending("length"), ending("stop")], [None, "length"]),
        ([ending("content_filter", "x"), ending("stop")], [None, None, "content_filter"]),
        ([ending("stop", "x"), ending(None, **CALL), ending("tool_calls")], [None, None, None, "tool_calls"]),
        ([ending("stop"), {**HEAD, "choices": [], "usage": USAGE}], [None, "stop"]),
        ([ending("stop", "x"), ending("stop", "y")], [None, None, None, "stop"]),
        ([ending("stop", "x"), ending(None, "y")], [None, None, None, "stop"]),
        ([ending("length", "x"), ending(None, "y"), ending("stop")], [None, None, None, "length"]),
    ],
    ids=str,
)
async def test_a_choice_has_one_end_the_true_one(documents: list[dict[str, Json]], ends: list[str | None]) -> None:
    received = await sent(chunk(), *documents, include_usage=False)

    assert [each["choices"][0]["finish_reason"] for each in received] == ends


async def test_an_end_that_says_no_more_is_sent_as_it_came() -> None:
    *_, last = await sent(chunk(), ending("stop", stop_reason=7), include_usage=False)

    assert last == ending("stop", stop_reason=7)


def test_a_piece_that_claims_to_be_the_end_does_not_wait() -> None:
    choices: list[Json] = [
        {"index": 0, "delta": {"content": "a"}, "finish_reason": "stop", "logprobs": {"content": []}},
        {"index": 1, "delta": {"content": "b"}, "finish_reason": None},
    ]
    held = HeldEnds()

    said = held.without(Chunk(b"", chunk(choices=choices), "a", "stop", None))

    assert said is not None
    assert json.loads(said.data)["choices"] == [{**choices[0], "finish_reason": None}, choices[1]]
    (end,) = held.chunks
    assert json.loads(end.data)["choices"] == [{"index": 0, "delta": {}, "finish_reason": "stop"}]


def test_each_choice_keeps_its_own_end() -> None:
    held = HeldEnds()
    ends = [ending("stop", index=0), ending("length", index=1)]

    assert [held.without(Chunk(b"", each, "", "x", None)) for each in ends] == [None, None]
    assert [each.document for each in held.chunks] == ends


class Document(dict[str, Json]):
    """One that says whether it is held."""


async def test_a_chunk_is_not_held_while_the_next_one_is_waited_for() -> None:
    made: list[weakref.ref[Document]] = []
    waits = asyncio.Event()

    def long() -> Chunk:
        document = Document(chunk())
        made.append(weakref.ref(document))
        return Chunk(b"{}", document, "x", None, None)

    async def stream() -> AsyncGenerator[Chunk, None]:
        for _ in range(2):
            yield long()
        waits.set()
        await asyncio.Event().wait()

    reply = await StreamedReply.open(stream(), 60, asyncio.get_running_loop().time() + 60)
    sending = events(reply, include_usage=False)
    for _ in range(2):
        await anext(sending)

    following = asyncio.ensure_future(anext(sending))
    await waits.wait()

    assert [each() for each in made] == [None, None]
    following.cancel()
    await asyncio.wait([following])
    await sending.aclose()
