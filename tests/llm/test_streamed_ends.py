"""How a streamed answer ended, in OpenAI's words, as clients of its route read it."""

import json

import pytest
from scripting import read

from answerback.kernel.json import Json
from answerback.kernel.provider_error import ProviderError
from answerback.llm.model import ChatRequest
from answerback.llm.openai_compatible import OpenAICompatible
from answerback.testing import replies
from answerback.testing.llm import FakeLLM

CALL = {"index": 0, "id": "c1", "type": "function", "function": {"name": "weather", "arguments": "{}"}}


def sse(*choices: dict[str, Json]) -> bytes:
    events = (b"data: %b\n\n" % json.dumps({"choices": [choice]}).encode() for choice in choices)
    return b"".join(events) + b"data: [DONE]\n\n"


def piece(delta: dict[str, Json], index: int = 0, **end: Json) -> dict[str, Json]:
    return {"index": index, "delta": delta, **end}


async def ends(provider: OpenAICompatible, **asked: Json) -> list[tuple[int, Json]]:
    """The choices that ended, and how, as it is sent on."""
    chunks = await read(provider, ChatRequest({"messages": [], **asked}, 5, stream=True))
    choices = [choice for chunk in chunks for choice in json.loads(chunk.data)["choices"]]
    return [(each["index"], each["finish_reason"]) for each in choices if each.get("finish_reason")]


@pytest.mark.parametrize(
    ("end", "said"),
    [
        ({"finish_reason": "end_turn"}, "stop"),
        ({"finish_reason": "FinishReason.STOP"}, "stop"),
        ({"finish_reason": {"type": "stop"}}, "stop"),
        ({"finish_reason": "FINISH_REASON_MAX_TOKENS"}, "length"),
        ({"finish_reason": "BLOCKLIST"}, "content_filter"),
        ({"native_finish_reason": "MAX_TOKENS"}, "length"),
        ({"finish_reason": "stop", "native_finish_reason": "MAX_TOKENS"}, "length"),
        ({"finish_reason": "stop", "native_finish_reason": "SAFETY"}, "content_filter"),
        ({"finish_reason": "stop", "native_finish_reason": "STOP"}, "stop"),
        ({"finish_reason": "length", "native_finish_reason": "STOP"}, "length"),
        ({"finish_reason": "a_word_of_its_own"}, "a_word_of_its_own"),
    ],
    ids=str,
)
async def test_a_word_of_another_dialect_is_openais_word(
    end: dict[str, Json], said: str, llm: FakeLLM, provider: OpenAICompatible
) -> None:
    llm.then(replies.stream(sse(piece({"content": "Hello"}), piece({}, **end))))

    assert await ends(provider) == [(0, said)]


async def test_a_stream_shown_as_done_broke_where_the_models_own_word_says_that_it_failed(
    llm: FakeLLM, provider: OpenAICompatible
) -> None:
    last = piece({}, finish_reason="stop", native_finish_reason="MALFORMED_FUNCTION_CALL")
    llm.then(replies.stream(sse(piece({"content": "Hel"}), last)))

    with pytest.raises(ProviderError, match="broke the answer off"):
        await ends(provider)


@pytest.mark.parametrize(("word", "said"), [("STOP", "tool_calls"), ("tool_use", "tool_calls"), ("stop", "stop")])
async def test_calls_end_in_openais_word_for_calls(
    word: str, said: str, llm: FakeLLM, provider: OpenAICompatible
) -> None:
    llm.then(replies.stream(sse(piece({"tool_calls": [CALL]}), piece({}, finish_reason=word))))

    assert await ends(provider) == [(0, said)]


async def test_each_choice_ends_by_its_own_calls(llm: FakeLLM, provider: OpenAICompatible) -> None:
    begin = piece({"tool_calls": [CALL]}), piece({"content": "Hello"}, 1)
    llm.then(replies.stream(sse(*begin, piece({}, finish_reason="STOP"), piece({}, 1, finish_reason="STOP"))))

    assert await ends(provider, n=2) == [(0, "tool_calls"), (1, "stop")]
