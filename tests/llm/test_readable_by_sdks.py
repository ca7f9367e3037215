"""Whatever an upstream leaves out of an answer, or spells otherwise, OpenAI's own types validate what is sent on."""

import json
from typing import Any

import pytest
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from scripting import ask, read

from answerback.kernel.json import Json
from answerback.kernel.provider_error import ProviderError
from answerback.llm.model import ChatRequest
from answerback.llm.openai_compatible import OpenAICompatible
from answerback.llm.provider import send_whole
from answerback.testing import replies
from answerback.testing.llm import FakeLLM

WHOLE = ChatRequest({"messages": []}, 5)
STREAMED = ChatRequest({"messages": []}, 5, stream=True)
COUNTS = {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}
CHANCE = {"token": "a", "bytes": None, "top_logprobs": []}

ODD_HEADS: list[dict[str, Json]] = [
    {"id": None},
    {"id": 7},
    {"object": None},
    {"object": "text_completion"},
    {"created": None},
    {"created": 1.7},
    {"created": "2026-01-01T00:00:00Z"},
    {"model": None},
    {"service_tier": "on_demand"},
    {"system_fingerprint": 5},
    {"usage": {}},
    {"usage": []},
    {"usage": "none"},
    {"usage": {"prompt_tokens": 1.0, "completion_tokens": "2"}},
    {"usage": {**COUNTS, "prompt_tokens_details": [{"modality": "TEXT"}]}},
    {"usage": {**COUNTS, "completion_tokens_details": {"reasoning_tokens": 1.0}}},
]
ODD_CHOICES: list[dict[str, Json]] = [
    {"index": None},
    {"index": "0"},
    {"logprobs": []},
    {"logprobs": {"content": [{**CHANCE, "logprob": None}]}},
    {"logprobs": {"content": [{**CHANCE, "logprob": -1, "top_logprobs": None}]}},
    {"logprobs": {"content": [{"token": "a", "logprob": -1}]}},
    {"logprobs": {"content": [{**CHANCE, "logprob": -1, "bytes": "a", "top_logprobs": [{"logprob": -1}, 7]}]}},
    {"logprobs": {"content": [7]}},
]
ODD_MESSAGES: list[dict[str, Json]] = [
    {"role": None},
    {"role": ""},
    {"role": "model"},
    {"refusal": False},
    {"tool_calls": {}},
    {"tool_calls": ""},
    {"function_call": {}},
    {"content": [{"type": "text", "text": "Hel"}, {"type": "text", "text": "lo"}]},
    {"content": ["Hel", "lo"]},
    {"content": {"type": "text", "text": "Hello"}},
]


def completion(message: Json = None, choice: Json = None, **fields: Json) -> dict[str, Json]:
    said = {"role": "assistant", "content": "Hello", **(message or {})}
    first = {"index": 0, "message": said, "finish_reason": "stop", **(choice or {})}
    head = {"id": "c", "object": "chat.completion", "created": 1, "model": "m", "usage": COUNTS}
    return {**head, "choices": [first], **fields}


def chunk(delta: Json, finish: str | None = None, choice: Json = None, **fields: Json) -> dict[str, Json]:
    first = {"index": 0, "delta": delta, "finish_reason": finish, **(choice or {})}
    return {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [first], **fields}


def sse(*documents: Json) -> replies.Reply:
    return replies.stream(b"".join(b"data: %b\n\n" % json.dumps(each).encode() for each in documents))


async def whole(llm: FakeLLM, provider: OpenAICompatible, document: Json) -> ChatCompletion:
    llm.then(replies.raw(json.dumps(document).encode()))
    return ChatCompletion.model_validate_json((await send_whole(provider, WHOLE)).body)


async def streamed(llm: FakeLLM, provider: OpenAICompatible, *documents: Json) -> list[ChatCompletionChunk]:
    llm.then(sse(*documents))
    return [ChatCompletionChunk.model_validate_json(each.data) for each in await read(provider, STREAMED)]


def text_of(chunks: list[ChatCompletionChunk]) -> str:
    return "".join(each.choices[0].delta.content or "" for each in chunks)


@pytest.mark.parametrize("odd", ODD_HEADS, ids=str)
async def test_an_odd_head_is_mended(odd: dict[str, Json], llm: FakeLLM, provider: OpenAICompatible) -> None:
    (name,) = odd

    made = await whole(llm, provider, completion(**odd))
    chunks = await streamed(llm, provider, chunk({"content": "Hello"}, **odd), chunk({}, "stop", **odd))
    without = {key: value for key, value in completion().items() if key != name}

    assert made.choices[0].message.content == text_of(chunks) == "Hello"
    assert len({(each.id, each.created, each.model) for each in chunks}) == 1
    assert (await whole(llm, provider, without)).choices[0].finish_reason == "stop"


@pytest.mark.parametrize("odd", ODD_CHOICES, ids=str)
async def test_an_odd_choice_is_mended(odd: dict[str, Json], llm: FakeLLM, provider: OpenAICompatible) -> None:
    made = await whole(llm, provider, completion(choice=odd))
    chunks = await streamed(llm, provider, chunk({"content": "Hello"}, choice=odd), chunk({}, "stop", choice=odd))

    assert made.choices[0].message.content == text_of(chunks) == "Hello"


@pytest.mark.parametrize("odd", ODD_MESSAGES, ids=str)
async def test_an_odd_message_is_mended(odd: dict[str, Json], llm: FakeLLM, provider: OpenAICompatible) -> None:
    made = await whole(llm, provider, completion(odd))
    chunks = await streamed(llm, provider, chunk({"content": "Hello", **odd}), chunk({}, "stop"))

    assert made.choices[0].message.content == text_of(chunks) == "Hello"


@pytest.mark.parametrize(
    "deltas",
    [
        [{"content": "Hel"}, {"content": "lo"}, {}],
        [{}, {"content": ""}, {"content": "Hello"}, {}],
        [{}, {"role": "assistant"}, {"content": "Hello"}, {}],
        [{"role": None, "content": "Hello"}, {}],
        [{"reasoning_content": "Hm."}, {"content": "Hello"}, {}],
        [{"content": "Hello"}],
    ],
    ids=str,
)
async def test_each_choice_of_a_stream_says_its_role_once(
    deltas: list[Json], llm: FakeLLM, provider: OpenAICompatible
) -> None:
    ends = [*[None] * (len(deltas) - 1), "stop"]
    sent = [chunk(delta, end) for delta, end in zip(deltas, ends, strict=True)]
    both = [chunk(delta, end, {"index": n}) for delta, end in zip(deltas, ends, strict=True) for n in (0, 1)]

    alone = await streamed(llm, provider, *sent)
    llm.then(sse(*both))
    two = ChatRequest({"messages": [], "n": 2}, 5, stream=True)
    beside = [ChatCompletionChunk.model_validate_json(each.data) for each in await read(provider, two)]

    assert [each.choices[0].delta.role for each in alone if each.choices[0].delta.role] == ["assistant"]
    roles = [(each.choices[0].index, each.choices[0].delta.role) for each in beside if each.choices[0].delta.role]
    assert sorted(roles) == [(0, "assistant"), (1, "assistant")]


async def test_a_stream_that_ends_without_a_word_has_a_role(llm: FakeLLM, provider: OpenAICompatible) -> None:
    (end,) = await streamed(llm, provider, chunk({}, "length"))

    assert end.choices[0].delta.role == "assistant"


async def test_thoughts_among_the_parts_of_a_message_are_kept_beside_them(
    llm: FakeLLM, provider: OpenAICompatible
) -> None:
    thinking = {"type": "thinking", "thinking": [{"type": "text", "text": "Hm."}]}
    said = {"content": [thinking, {"type": "text", "text": "Hello"}]}

    made = await whole(llm, provider, completion(said))
    (first, _) = await streamed(llm, provider, chunk(said), chunk({}, "stop"))

    for message in (made.choices[0].message, first.choices[0].delta):
        assert message.model_dump(exclude_unset=True).items() >= {"content": "Hello", "thinking": "Hm."}.items()


async def test_a_text_where_plain_completions_have_it_is_an_answer(llm: FakeLLM, provider: OpenAICompatible) -> None:
    plain = {"object": "text_completion", "choices": [{"index": 0, "text": "Hello", "finish_reason": "stop"}]}
    pieces = [
        {"choices": [{"index": 0, "text": "Hel", "finish_reason": None}]},
        {"choices": [{"index": 0, "text": "lo", "finish_reason": "stop"}]},
    ]

    assert (await whole(llm, provider, plain)).choices[0].message.content == "Hello"
    assert text_of(await streamed(llm, provider, *pieces)) == "Hello"
    assert text_of(await streamed(llm, provider, plain)) == "Hello"
    llm.then(replies.raw(json.dumps(plain).encode()))
    assert (await ask(provider, WHOLE)).text == "Hello"


WEATHER = {"name": "weather", "arguments": "{}"}
ODD_CALLS: list[dict[str, Json]] = [
    {"function": WEATHER},
    {"id": "", "type": "", "function": WEATHER},
    {"id": 7, "type": "FUNCTION", "function": WEATHER},
    {"id": "a", "type": "function", "function": {**WEATHER, "arguments": {}}},
]


@pytest.mark.parametrize("odd", ODD_CALLS, ids=str)
async def test_an_odd_tool_call_can_be_answered(odd: dict[str, Json], llm: FakeLLM, provider: OpenAICompatible) -> None:
    made = await whole(llm, provider, completion({"content": None, "tool_calls": [odd]}, {"finish_reason": "stop"}))
    chunks = await streamed(llm, provider, chunk({"tool_calls": [odd]}), chunk({}, "tool_calls"))

    (call,) = made.choices[0].message.tool_calls or ()
    (piece,) = chunks[0].choices[0].delta.tool_calls or ()
    assert call.id
    assert call.type == "function"
    assert call.function.arguments == "{}"
    assert (piece.index, piece.type) == (0, "function")
    assert piece.id
    assert piece.function
    assert (piece.function.name, piece.function.arguments) == ("weather", "{}")


def named(name: str, arguments: str = "{}", **fields: Json) -> dict[str, Json]:
    return {"function": {"name": name, "arguments": arguments}, **fields}


STREAMED_CALLS: dict[str, list[list[dict[str, Json]]]] = {
    "in one delta": [[named("f"), named("g")]],
    "each in a delta": [[named("f")], [named("g")]],
    "null as index": [[named("f", index=None, id="a")], [named("g", index=None, id="b")]],
    "one index, two ids": [[named("f", index=0, id="a")], [named("g", index=0, id="b")]],
    "one id for both": [[named("f", index=0, id="a")], [named("g", index=1, id="a")]],
    "indexes from 1": [[named("f", index=1, id="a")], [named("g", index=2, id="b")]],
    "in pieces": [
        [named("f", "", index=0, id="a"), named("g", "", index=1, id="b")],
        [{"index": 0, "function": {"arguments": "{"}}, {"index": 1, "function": {"arguments": "{"}}],
        [{"index": 1, "function": {"arguments": "}"}}, {"index": 0, "function": {"arguments": "}"}}],
    ],
    "an id and a name in each piece": [
        [named("f", "{", index=0, id="a", type="function")],
        [named("f", "}", index=0, id="a", type="function")],
        [named("g", "{", index=1, id="b", type="function")],
        [named("g", "}", index=1, id="b", type="function")],
    ],
}


@pytest.mark.parametrize("deltas", STREAMED_CALLS.values(), ids=STREAMED_CALLS)
async def test_pieces_of_tool_calls_join_to_what_was_called(
    deltas: list[list[dict[str, Json]]], llm: FakeLLM, provider: OpenAICompatible
) -> None:
    chunks = await streamed(
        llm, provider, *(chunk({"tool_calls": pieces}) for pieces in deltas), chunk({}, "tool_calls")
    )

    calls = dict[int, dict[str, Any]]()
    for piece in (each for part in chunks for each in part.choices[0].delta.tool_calls or ()):
        # As OpenAI's SDK for Python joins them: each text is added to the one before.
        call = calls.setdefault(piece.index, {"id": "", "name": "", "arguments": ""})
        call["id"] += piece.id or ""
        call["name"] += (piece.function and piece.function.name) or ""
        call["arguments"] += (piece.function and piece.function.arguments) or ""
    assert [(call["name"], call["arguments"]) for call in calls.values()] == [("f", "{}"), ("g", "{}")]
    assert list(calls) == [0, 1]
    assert len({call["id"] for call in calls.values()}) == 2
    assert all(len(call["id"]) in (1, 37) for call in calls.values())
    llm.then(sse(*(chunk({"tool_calls": pieces}) for pieces in deltas), chunk({}, "tool_calls")))
    answer = await ask(provider, WHOLE)
    assert [each["function"] for each in answer.tool_calls] == [WEATHER | {"name": "f"}, WEATHER | {"name": "g"}]


async def test_calls_of_one_tool_side_by_side_are_two(llm: FakeLLM, provider: OpenAICompatible) -> None:
    (first, _) = await streamed(llm, provider, chunk({"tool_calls": [named("f"), named("f")]}), chunk({}, "stop"))

    calls = first.choices[0].delta.tool_calls or []
    assert [call.index for call in calls] == [0, 1]
    assert calls[0].id != calls[1].id


async def test_a_streamed_call_that_names_no_tool_is_no_answer(llm: FakeLLM, provider: OpenAICompatible) -> None:
    with pytest.raises(ProviderError, match="names no tool"):
        await streamed(llm, provider, chunk({"tool_calls": [{"index": 0, "id": "a"}]}), chunk({}, "tool_calls"))


async def test_pieces_that_conform_are_sent_on_to_the_letter(llm: FakeLLM, provider: OpenAICompatible) -> None:
    first = chunk(
        {"role": "assistant", "content": None, "tool_calls": [named("f", "", index=0, id="a", type="function")]}
    )
    second = chunk({"tool_calls": [{"index": 0, "function": {"arguments": "{}"}}]})
    llm.then(sse(first, second, chunk({}, "tool_calls")))

    sent = await read(provider, STREAMED)

    assert [each.data for each in sent[:2]] == [json.dumps(first).encode(), json.dumps(second).encode()]
