"""Calls of tools in a stream: what names no tool is no answer, as in a whole completion."""

import json
from typing import Any

import pytest
from scripting import ask, read

from answerback.kernel.errors import ErrorCode, ProviderError
from answerback.kernel.json import Json
from answerback.llm.model import ChatRequest
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
