"""Streamed calls that share one index: which pieces are one call is said by ids, names and arguments."""

import json
from typing import Any

import pytest
from scripting import ask, read

from answerback.kernel.errors import ErrorCode
from answerback.kernel.json import Json
from answerback.kernel.provider_error import ProviderError
from answerback.llm.model import ChatRequest
from answerback.llm.openai_compatible import OpenAICompatible
from answerback.testing import replies
from answerback.testing.llm import FakeLLM

OFFERED = ["f", "g", "get_weather", "get"]
TOOLS = [{"type": "function", "function": {"name": name}} for name in OFFERED]
BODY: dict[str, Json] = {"messages": [], "tools": TOOLS}
STREAMED, WHOLE = ChatRequest(BODY, 5, stream=True), ChatRequest(BODY, 5)


def piece(name: str | None = None, arguments: Json = "", **fields: Json) -> dict[str, Json]:
    return {"index": 0, **fields, "function": {"name": name, "arguments": arguments}}


def calling(pieces: list[dict[str, Json]], *, beside: bool = False) -> replies.Reply:
    deltas: list[dict[str, Json]] = [{"tool_calls": pieces}] if beside else [{"tool_calls": [one]} for one in pieces]
    choices: list[Json] = [{"index": 0, "delta": delta, "finish_reason": None} for delta in deltas]
    choices.append({"index": 0, "delta": {}, "finish_reason": "stop"})
    return replies.stream(b"".join(b"data: %b\n\n" % json.dumps({"choices": [each]}).encode() for each in choices))


async def as_streamed(provider: OpenAICompatible, asked: ChatRequest) -> list[tuple[str, str]]:
    """The calls, as a client joins them that takes names and ids from the first piece of each."""
    calls, ids = list[tuple[str, str]](), list[str]()
    for chunk in await read(provider, asked):
        for each in chunk.document["choices"][0]["delta"].get("tool_calls") or ():
            said: Any = each.get("function") or {}
            if each["index"] == len(calls):
                calls.append((said["name"], ""))
                ids.append(each["id"])
            name, arguments = calls[each["index"]]
            calls[each["index"]] = (name, arguments + (said.get("arguments") or ""))
    assert len(set(ids)) == len(ids)
    return calls


TWO = [("f", '{"a":1}'), ("g", '{"b":2}')]
SAME = [("f", '{"a":1}'), ("f", '{"a":2}')]
JOINED: dict[str, tuple[list[dict[str, Json]], list[tuple[str, str]]]] = {
    "empty ids": ([piece("f", '{"a":1}', id=""), piece("g", '{"b":2}', id="")], TWO),
    "no ids": ([piece("f", '{"a":1}'), piece("g", '{"b":2}')], TWO),
    "one id": ([piece("f", '{"a":1}', id="c"), piece("g", '{"b":2}', id="c")], TWO),
    "an id, then none": ([piece("f", '{"a":1}', id="c"), piece("g", '{"b":2}')], TWO),
    "in pieces": ([piece("f", '{"a"'), piece(None, ":1}"), piece("g", '{"b'), piece("", '":2}')], TWO),
    "brackets in texts": (
        [piece("f", '{"a":"}\\'), piece(None, '"{"}'), piece("g")],
        [("f", '{"a":"}\\"{"}'), ("g", "{}")],
    ),
    "objects": ([piece("f", {"a": 1}), piece("g", {"b": 2})], [("f", '{"a": 1}'), ("g", '{"b": 2}')]),
    "no arguments": ([piece("f"), piece("g")], [("f", "{}"), ("g", "{}")]),
    "one name": ([piece("f", '{"a":1}'), piece("f", '{"a":2}')], SAME),
    "one name and id": ([piece("f", '{"a":1}', id="c"), piece("f", '{"a":2}', id="c")], SAME),
    "one that is repeated": ([piece("f", '{"a":1}', id="c"), piece("f", '{"a":1}', id="c")], [("f", '{"a":1}')]),
    "a name in each piece": ([piece("f", '{"a"', id="c"), piece("f", ":1}", id="c")], [("f", '{"a":1}')]),
    "a name in pieces": ([piece("get_", id="c"), piece("weather"), piece(None, "{}")], [("get_weather", "{}")]),
    "a longer name": ([piece("get", id="c"), piece("_weather", "{}")], [("get_weather", "{}")]),
    "a short name": ([piece("get", id="c"), piece(None, "{}")], [("get", "{}")]),
    "names alone": ([piece("ge"), piece("t_weather"), piece("f")], [("get_weather", "{}"), ("f", "{}")]),
    "a tool that was not offered": ([piece("other"), piece(None, "{}")], [("other", "{}")]),
}


@pytest.mark.parametrize(("pieces", "calls"), JOINED.values(), ids=JOINED)
async def test_pieces_of_one_index_are_the_calls_that_they_say(
    pieces: list[dict[str, Json]], calls: list[tuple[str, str]], llm: FakeLLM, provider: OpenAICompatible
) -> None:
    llm.then(calling(pieces), calling(pieces))

    assert await as_streamed(provider, STREAMED) == calls
    whole = (await ask(provider, WHOLE)).tool_calls
    assert [(each["function"]["name"], each["function"]["arguments"]) for each in whole] == calls
    assert len({each["id"] for each in whole}) == len(calls)


async def test_pieces_of_one_delta_may_share_an_index(llm: FakeLLM, provider: OpenAICompatible) -> None:
    llm.then(calling([piece("f"), piece("g", id="")], beside=True))

    assert await as_streamed(provider, STREAMED) == [("f", "{}"), ("g", "{}")]


@pytest.mark.parametrize("asked", [STREAMED, WHOLE], ids=["streamed", "joined"])
@pytest.mark.parametrize(
    "pieces",
    [
        [piece("f", '{"a":'), piece("g", '{"b":2}')],
        [piece("f", '{"a":1}'), piece(None, '{"b":2}')],
        [piece("ge"), piece("time")],
        [piece("ge"), piece("t_wea"), piece(None, "{}")],
    ],
    ids=str,
)
async def test_pieces_that_may_be_of_either_call_are_no_answer(
    pieces: list[dict[str, Json]], asked: ChatRequest, llm: FakeLLM, provider: OpenAICompatible
) -> None:
    llm.then(calling(pieces))

    with pytest.raises(ProviderError, match="mixes tool calls") as caught:
        await (read if asked.stream else ask)(provider, asked)

    assert caught.value.failure.code is ErrorCode.UPSTREAM_INVALID


async def test_a_call_whose_name_is_held_back_comes_before_a_limit(llm: FakeLLM, provider: OpenAICompatible) -> None:
    cut = {"choices": [{"index": 0, "delta": {"tool_calls": [piece("get")]}, "finish_reason": "length"}]}
    llm.then(replies.stream(b"data: %b\n\n" % json.dumps(cut).encode()))

    assert await as_streamed(provider, STREAMED) == [("get", "")]
