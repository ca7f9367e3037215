"""Calls of tools in a stream: what names no tool is no answer, as in a whole completion."""

import json
from typing import Any

import pytest
from scripting import ask, read

from answerback.kernel.errors import ErrorCode
from answerback.kernel.json import Json
from answerback.kernel.provider_error import ProviderError
from answerback.llm.model import ChatRequest, Chunk
from answerback.llm.openai_compatible import OpenAICompatible
from answerback.testing import replies
from answerback.testing.llm import FakeLLM

STREAMED, WHOLE = ChatRequest({"messages": []}, 5, stream=True), ChatRequest({"messages": []}, 5)
CALL = {"index": 0, "id": "c1", "type": "function", "function": {"name": "weather", "arguments": "{}"}}


def calling(*deltas: dict[str, Json]) -> replies.Reply:
    choices = [{"index": 0, "delta": delta, "finish_reason": None} for delta in deltas]
    choices.append({"index": 0, "delta": {}, "finish_reason": "tool_calls"})
    events = (b"data: %b\n\n" % json.dumps({"choices": [choice]}).encode() for choice in choices)
    return replies.stream(b"".join(events) + b"data: [DONE]\n\n")


@pytest.mark.parametrize("asked", [STREAMED, WHOLE], ids=["streamed", "joined"])
@pytest.mark.parametrize(
    "deltas",
    [
        [{"tool_calls": "weather"}],
        [{"tool_calls": {"0": CALL}}],
        [{"tool_calls": True}],
        [{"tool_calls": ["weather"]}],
        [{"tool_calls": [CALL, 7]}],
        [{"tool_calls": [{}]}],
        [{"tool_calls": [{"index": 0, "id": "c1", "function": {"arguments": "{}"}}]}],
        [{"tool_calls": [{"index": 0, "function": {"name": "", "arguments": "{"}}]}, {"tool_calls": [{"index": 0}]}],
        [{"tool_calls": [{"index": 0, "type": "custom", "custom": {"name": 7}}]}],
        [{"function_call": "weather"}],
        [{"function_call": {"arguments": "{"}}, {"function_call": {"arguments": "}"}}],
    ],
    ids=str,
)
async def test_a_streamed_call_that_names_no_tool_is_no_answer(
    deltas: list[dict[str, Json]], asked: ChatRequest, llm: FakeLLM, provider: OpenAICompatible
) -> None:
    llm.then(calling(*deltas))

    with pytest.raises(ProviderError, match="names no tool") as caught:
        await (read if asked.stream else ask)(provider, asked)

    assert caught.value.failure.code is ErrorCode.UPSTREAM_INVALID


async def test_entries_of_nothing_are_no_call(llm: FakeLLM, provider: OpenAICompatible) -> None:
    llm.then(calling({"tool_calls": [None]}))

    with pytest.raises(ProviderError, match="empty"):
        await read(provider, STREAMED)


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ({**CALL, "id": None}, CALL["function"]),
        ({**CALL, "function": {"name": "weather", "arguments": {"city": "Bern"}}}, None),
    ],
    ids=["no id", "arguments that are no text"],
)
async def test_a_streamed_call_that_can_be_completed_is_one(
    given: dict[str, Any], shown: Any, llm: FakeLLM, provider: OpenAICompatible
) -> None:
    llm.then(calling({"tool_calls": [None, given]}))

    (call,) = (await ask(provider, WHOLE)).tool_calls

    assert call["id"]
    assert call["function"] == (shown or {"name": "weather", "arguments": '{"city": "Bern"}'})


NO_ARGUMENTS: list[list[Json]] = [
    [{**CALL, "function": {"name": "weather", "arguments": None}}],
    [{**CALL, "function": {"name": "weather", "arguments": ""}}],
    [{**CALL, "function": {"name": "weather"}}],
    [{**CALL, "function": {"name": "weather", "arguments": ""}}, {"index": 0, "function": {"arguments": ""}}],
    [{**CALL, "function": {"name": "weather"}}, {"index": 0, "function": None}],
]


def joined(chunks: list[Chunk]) -> dict[int, str]:
    """The arguments of each call, as clients join them, of bytes and documents alike."""
    calls = dict[int, str]()
    for chunk in chunks:
        assert json.loads(chunk.data)["choices"] == chunk.document["choices"]
        for choice in chunk.document["choices"]:
            for piece in choice["delta"].get("tool_calls") or ():
                said = (piece.get("function") or {}).get("arguments") or ""
                calls[piece["index"]] = calls.get(piece["index"], "") + said
    return calls


@pytest.mark.parametrize("pieces", NO_ARGUMENTS, ids=str)
@pytest.mark.parametrize("apart", [True, False])
async def test_a_call_without_arguments_has_empty_ones(
    pieces: list[Json], apart: bool, llm: FakeLLM, provider: OpenAICompatible
) -> None:
    """Given such a call, and a second one that has arguments."""
    second = {"index": 1, "id": "c2", "function": {"name": "time", "arguments": '{"in": "Bern"}'}}
    deltas: list[dict[str, Json]] = [{"tool_calls": [each]} for each in (*pieces, second)]
    reply = calling(*(deltas if apart else [{"tool_calls": [*pieces, second]}]))
    llm.then(reply, reply)

    assert joined(await read(provider, STREAMED)) == {0: "{}", 1: '{"in": "Bern"}'}
    assert [call["function"]["arguments"] for call in (await ask(provider, WHOLE)).tool_calls] == [
        "{}",
        '{"in": "Bern"}',
    ]


@pytest.mark.parametrize("pieces", NO_ARGUMENTS, ids=str)
async def test_a_call_without_arguments_may_end_its_stream_in_the_same_event(
    pieces: list[Json], llm: FakeLLM, provider: OpenAICompatible
) -> None:
    choice = {"index": 0, "delta": {"tool_calls": pieces}, "finish_reason": "tool_calls"}
    llm.then(replies.stream(b"data: %b\n\ndata: [DONE]\n\n" % json.dumps({"choices": [choice]}).encode()))

    assert joined(await read(provider, STREAMED)) == {0: "{}"}


@pytest.mark.parametrize("arguments", [None, ""])
async def test_a_call_that_was_cut_before_its_arguments_does_not_look_whole(
    arguments: Json, llm: FakeLLM, provider: OpenAICompatible
) -> None:
    call = {**CALL, "function": {"name": "weather", "arguments": arguments}}
    begun = {"index": 0, "delta": {"tool_calls": [call]}, "finish_reason": None}
    cut = {"index": 0, "delta": {}, "finish_reason": "length"}
    llm.then(
        replies.stream(b"".join(b"data: %b\n\n" % json.dumps({"choices": [each]}).encode() for each in (begun, cut)))
    )
    llm.then(replies.message(None, "length", tool_calls=[call]))

    assert joined(await read(provider, STREAMED)) == {0: ""}
    assert (await ask(provider, WHOLE)).tool_calls[0]["function"]["arguments"] == ""


@pytest.mark.parametrize("arguments", [None, ""])
async def test_a_whole_call_without_arguments_has_empty_ones(
    arguments: Json, llm: FakeLLM, provider: OpenAICompatible
) -> None:
    call = {**CALL, "function": {"name": "weather", "arguments": arguments}}
    llm.then(replies.message(None, "tool_calls", tool_calls=[call]))

    assert (await ask(provider, WHOLE)).tool_calls[0]["function"]["arguments"] == "{}"


async def test_a_custom_call_whose_input_is_no_text_has_it_as_text(llm: FakeLLM, provider: OpenAICompatible) -> None:
    custom = {"index": 0, "id": "c1", "type": "custom", "custom": {"name": "shell", "input": {"do": "ls"}}}
    llm.then(calling({"tool_calls": [custom]}))

    (call,) = (await ask(provider, WHOLE)).tool_calls

    assert call["custom"] == {"name": "shell", "input": '{"do": "ls"}'}


async def test_the_one_call_of_earlier_models_may_come_in_pieces(llm: FakeLLM, provider: OpenAICompatible) -> None:
    llm.then(
        calling(
            {"function_call": {"name": "weather", "arguments": ""}},
            {"function_call": {"arguments": "{"}},
            {"function_call": {"arguments": "}"}},
        )
    )

    (call,) = (await ask(provider, WHOLE)).tool_calls

    assert call["function"] == {"name": "weather", "arguments": "{}"}


BEGUN = {"index": 0, "id": "c1", "type": "function", "function": {"name": "weather", "arguments": '{"city": '}}
REST = '"Bern"}'
ODD: dict[str, list[Json]] = {
    "an empty piece of another": [
        BEGUN,
        {"index": 0, "function": {"arguments": REST}},
        {"index": 1, "function": {"arguments": ""}},
    ],
    "a name of null": [BEGUN, {"index": 0, "id": "", "function": {"name": "null", "arguments": REST}}],
    "a name of None": [BEGUN, {"index": 0, "function": {"name": "None", "arguments": REST}}],
    "an id for each piece": [BEGUN, {"index": 0, "id": "c2", "function": {"arguments": REST}}],
    "an id for an empty piece behind all": [
        BEGUN,
        {"index": 0, "id": "c2", "function": {"arguments": REST}},
        {"index": 0, "id": "c3", "function": {"arguments": ""}},
    ],
    "flat": [{"index": 0, "id": "c1", "type": "function", "name": "weather", "arguments": '{"city": "Bern"}'}],
    "flat, without a type": [{"name": "weather", "arguments": {"city": "Bern"}}],
    "flat pieces": [
        {"index": 0, "id": "c1", "type": "function", "name": "weather", "arguments": '{"city": '},
        {"index": 0, "arguments": REST},
    ],
}
"""vLLM (an id for each piece), LiteLLM (a name of null), Cloudflare (flat)."""


@pytest.mark.parametrize("pieces", ODD.values(), ids=ODD)
async def test_pieces_that_say_one_call_oddly_are_one_call(
    pieces: list[Json], llm: FakeLLM, provider: OpenAICompatible
) -> None:
    reply = calling(*({"tool_calls": [each]} for each in pieces))
    llm.then(reply, reply)

    assert joined(await read(provider, STREAMED)) == {0: '{"city": "Bern"}'}
    (call,) = (await ask(provider, WHOLE)).tool_calls
    assert call["function"] == {"name": "weather", "arguments": '{"city": "Bern"}'}
    assert "name" not in call


async def test_ids_of_calls_that_go_on_side_by_side_stay_apart(llm: FakeLLM, provider: OpenAICompatible) -> None:
    """Given calls whose pieces have ids, and no index; and one that begins with its arguments."""
    pieces: list[Json] = [
        {"id": "a", "function": {"name": "weather", "arguments": '{"city": '}},
        {"id": "b", "function": {"name": "time", "arguments": '{"in": '}},
        {"id": "b", "function": {"arguments": REST}},
        {"id": "a", "function": {"arguments": REST}},
        {"index": 2, "id": "c", "function": {"arguments": "{"}},
        {"index": 2, "function": {"name": "date", "arguments": "}"}},
    ]
    llm.then(calling(*({"tool_calls": [each]} for each in pieces)))

    calls = joined(await read(provider, STREAMED))

    assert calls == {0: '{"city": "Bern"}', 1: '{"in": "Bern"}', 2: "{}"}
