"""A streamed answer: what is taken for one, and how much of it."""

import asyncio
import json
import tracemalloc
from dataclasses import replace
from typing import Any

import pytest
from scripting import read

from answerback.kernel.errors import ErrorCode
from answerback.kernel.provider_error import ProviderError
from answerback.llm.answers.chunk_reader import MAX_TEXT_BYTES
from answerback.llm.model import ChatRequest, Chunk, Usage
from answerback.llm.openai_compatible import OpenAICompatible
from answerback.llm.provider import send_streamed, send_whole
from answerback.testing import replies
from answerback.testing.llm import FakeLLM

WHOLE = ChatRequest({"messages": [{"role": "user", "content": "hi"}]}, timeout=10)
STREAM = replace(WHOLE, stream=True)


async def chunks(provider: OpenAICompatible) -> list[Chunk]:
    return await read(provider, STREAM)


async def failure_of(provider: OpenAICompatible) -> ProviderError:
    with pytest.raises(ProviderError) as caught:
        await chunks(provider)
    return caught.value


def event(text: str, **fields: Any) -> bytes:
    return b"data: %b\n\n" % json.dumps({"choices": [{"delta": {"content": text}}], **fields}).encode()


async def test_each_chunk_names_the_model_that_answers(llm: FakeLLM, provider: OpenAICompatible) -> None:
    llm.then(replies.say("a good answer"))

    assert {chunk.model for chunk in await chunks(provider)} == {"house/model"}


async def test_a_whole_completion_in_place_of_a_stream_is_a_stream_of_one_chunk(
    llm: FakeLLM, provider: OpenAICompatible
) -> None:
    llm.then(replies.completion(model="m", usage={"prompt_tokens": 1, "completion_tokens": 2}))

    (chunk,) = await chunks(provider)

    assert (chunk.text, chunk.finish_reason) == ("A good answer.", "stop")
    assert (chunk.usage, chunk.model) == (Usage(1, 2, 3), "m")
    document = json.loads(chunk.data)
    assert document["object"] == "chat.completion.chunk"
    assert document["choices"][0]["delta"]["content"] == "A good answer."
    assert "message" not in document["choices"][0]


async def test_tools_called_in_a_whole_completion_are_numbered_as_in_a_stream(
    llm: FakeLLM, provider: OpenAICompatible
) -> None:
    calls = [{"id": name, "type": "function", "function": {"name": name, "arguments": "{}"}} for name in "ab"]
    llm.then(replies.message(None, "tool_calls", tool_calls=calls))

    (chunk,) = await chunks(provider)

    (choice,) = json.loads(chunk.data)["choices"]
    assert choice["delta"]["tool_calls"] == [{"index": 0, **calls[0]}, {"index": 1, **calls[1]}]


@pytest.mark.parametrize(
    ("reply", "code"),
    [
        (replies.message(""), ErrorCode.UPSTREAM_EMPTY),
        (replies.message("cut off", None), ErrorCode.UPSTREAM_INVALID),
        (replies.completion(choices=[]), ErrorCode.UPSTREAM_INVALID),
        (replies.completion(choices=[1]), ErrorCode.UPSTREAM_INVALID),
        (replies.completion(choices=[{"finish_reason": "stop"}]), ErrorCode.UPSTREAM_EMPTY),
        (replies.status(200, [1]), ErrorCode.UPSTREAM_INVALID),
        (replies.error_in_200(429), ErrorCode.UPSTREAM_RATE_LIMITED),
    ],
)
async def test_a_document_that_is_no_completion_is_no_stream(
    llm: FakeLLM, provider: OpenAICompatible, reply: replies.Reply, code: ErrorCode
) -> None:
    llm.then(reply)

    assert (await failure_of(provider)).failure.code is code


async def test_a_streamed_answer_may_be_as_long_as_a_plain_one_and_no_longer(
    llm: FakeLLM, provider: OpenAICompatible
) -> None:
    piece = "ü" * 65_536
    pieces = MAX_TEXT_BYTES // len(piece.encode())
    end = b'data: {"choices": [{"delta": {}, "finish_reason": "stop"}]}\n\n'
    llm.then(replies.stream(event(piece) * pieces + end), replies.stream(event(piece) * pieces + event("!") + end))

    longest = "".join(chunk.text for chunk in await chunks(provider))
    too_long = await failure_of(provider)

    assert len(longest.encode()) == MAX_TEXT_BYTES
    assert (too_long.failure.code, str(MAX_TEXT_BYTES) in str(too_long)) == (ErrorCode.UPSTREAM_INVALID, True)


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "nan", "-inf", "Inf", "1e999", "-" + "9" * 6000])
async def test_numbers_that_json_does_not_know_are_null_in_an_answer_that_is_taken(
    llm: FakeLLM, provider: OpenAICompatible, number: str
) -> None:
    odd = (
        f'"finish_reason": "stop", "logprobs": {{"content": [{{"token": "x", "logprob": {number}}}]}}}}], "x": {number}'
    )
    whole = f'{{"choices": [{{"message": {{"content": "x"}}, {odd}}}'.encode()
    chunk = f'{{"choices": [{{"index": 0, "delta": {{"content": "x"}}, {odd}}}'.encode()
    events = b"data: %b\n\n" % chunk
    llm.then(replies.raw(whole), replies.raw(b"[%b]" % whole), replies.stream(events), replies.raw(events))

    said = [(await send_whole(provider, WHOLE)).body for _ in range(2)]
    said += [(await chunks(provider))[0].data, (await send_whole(provider, WHOLE)).body]

    token = {"token": "x", "logprob": -9999.0, "bytes": [120], "top_logprobs": []}
    for each in said:
        document = json.loads(each, parse_constant=pytest.fail)
        assert (document["x"], document["choices"][0]["logprobs"]) == (None, {"content": [token]})
        assert document["choices"][0].get("message", {"content": "x"})["content"] == "x"


@pytest.mark.parametrize("filler", [0, 300_000], ids=["light", "heavy"])
async def test_line_breaks_that_stand_in_a_text_as_they_are_break_no_answer(
    llm: FakeLLM, provider: OpenAICompatible, filler: int
) -> None:
    """Given an upstream that writes its JSON by hand."""
    odd = b'"finish_reason": "stop"}], "filler": "%b"' % (b"x" * filler)
    whole = b'{"choices": [{"message": {"content": "a\tb\nc\x1bd"}, %b}' % odd
    events = b'data: {"choices": [{"delta": {"content": "a\tb\ndata: c\x1bd"}, %b}\n\n' % odd
    llm.then(replies.raw(whole), replies.raw(events), replies.stream(events))

    replied = [await send_whole(provider, WHOLE) for _ in range(2)]
    chunk = (await chunks(provider))[0]

    assert [reply.answer().text for reply in replied] == ["a\tb\nc\x1bd"] * 2
    assert [json.loads(reply.body)["object"] for reply in replied] == ["chat.completion"] * 2
    assert (chunk.text, json.loads(chunk.data)["object"]) == ("a\tb\nc\x1bd", "chat.completion.chunk")


async def test_a_stream_that_nobody_asked_for_is_joined_whatever_it_is_labelled(
    llm: FakeLLM, provider: OpenAICompatible
) -> None:
    end = b'data: {"choices": [{"delta": {}, "finish_reason": "stop"}]}\n\ndata: [DONE]\n\n'
    body = event("a good ", id="c", model="m") + event("answer") + end
    llm.then(replies.raw(body), replies.stream(body), replies.raw(body, {"Content-Type": "text/plain"}))

    for _ in range(3):
        reply = await send_whole(provider, WHOLE)
        assert (reply.answer().text, reply.model) == ("a good answer", "m")
        assert json.loads(reply.body)["object"] == "chat.completion"


async def test_an_event_of_megabytes_comes_over_the_network(llm: FakeLLM, provider: OpenAICompatible) -> None:
    end = b'data: {"choices": [{"delta": {}, "finish_reason": "stop"}]}\n\n'
    llm.then(replies.stream(event("", x="A" * 1_500_000) + event("seen") + end))

    assert [len(chunk.data) > 1_500_000 for chunk in await chunks(provider)] == [True, False, False]


@pytest.mark.parametrize("asked", [WHOLE, STREAM])
async def test_an_error_that_comes_as_an_event_keeps_its_words(
    asked: ChatRequest, llm: FakeLLM, provider: OpenAICompatible
) -> None:
    error = b'event: error\ndata: {"error": {"code": "model_not_found", "message": "no such model here"}}\n\n'
    llm.then(replies.status(404, error, {"Content-Type": "text/event-stream"}))

    with pytest.raises(ProviderError, match="no such model here"):
        await provider.send(asked)


async def test_a_byte_order_mark_is_passed_over(llm: FakeLLM, provider: OpenAICompatible) -> None:
    choice = b'{"index": 0, "message": {"role": "assistant", "content": "marked"}, "finish_reason": "stop"}'
    answer = b'{"object": "chat.completion", "id": "c", "model": "m", "created": 1, "choices": [%b]}' % choice
    llm.then(*[replies.raw(b"\xef\xbb\xbf" + answer)] * 2)

    whole = await send_whole(provider, WHOLE)

    assert (whole.answer().text, whole.body) == ("marked", answer)
    assert [chunk.text for chunk in await chunks(provider)] == ["marked"]


async def test_a_nul_in_a_stream_is_visible_in_its_text(llm: FakeLLM, provider: OpenAICompatible) -> None:
    llm.then(replies.say("a\0b c"))

    assert "".join([chunk.text for chunk in await chunks(provider)]) == "a\ufffdb c"


async def test_a_long_chunk_is_not_held_while_the_next_one_is_waited_for(
    llm: FakeLLM, provider: OpenAICompatible
) -> None:
    size = 2_000_000
    llm.then(replies.stream(event("") + event("x") + event("x" * size), "never"))
    reply = await send_streamed(provider, STREAM)
    tracemalloc.start()
    while len((await anext(reply)).text) < size:
        continue

    following = asyncio.ensure_future(anext(reply))
    for _ in range(10):
        await asyncio.sleep(0)

    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert held < size / 2
    following.cancel()
    await asyncio.wait([following])
    await reply.aclose()
