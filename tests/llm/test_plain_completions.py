"""A completion that is taken for plain is one in which a closer look finds nothing to mend or to refuse."""

import copy
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from answerback.kernel.json import Json
from answerback.llm.answers import documents
from answerback.llm.answers.blank_errors import without_blank_error
from answerback.llm.answers.plain import is_plain
from answerback.llm.model import Expected

PLAIN: dict[str, Any] = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 1_700_000_000,
    "model": "model",
    "service_tier": "default",
    "system_fingerprint": None,
    "choices": [
        {
            "index": 0,
            "message": {"role": "assistant", "content": "Hello.", "refusal": None},
            "logprobs": None,
            "finish_reason": "stop",
        }
    ],
    "usage": {
        "prompt_tokens": 9,
        "completion_tokens": 2,
        "total_tokens": 11,
        "prompt_tokens_details": {"cached_tokens": 0},
    },
}

SIMPLE = ("", " ", "\0", "user", "stop", "error", "STOP", "on_demand", "12", 0, 1, -1, 2**63, 1.0, True, None)
NESTED = (
    [],
    {},
    [None],
    {"a": 1.5},
    {"type": "stop"},
    {"prompt_tokens": 1, "completion_tokens": 1},
    [{"function": {}}],
)
VALUES = st.sampled_from([*SIMPLE, *NESTED])
OTHER_FIELDS = (
    "error",
    "status",
    "tool_calls",
    "function_call",
    "x_groq",
    "usage",
    "text",
    "native_finish_reason",
    "reasoning",
)


def places(document: Json) -> Iterator[Any]:
    if isinstance(document, dict):
        yield document
    for each in document.values() if isinstance(document, dict) else document if isinstance(document, list) else ():
        yield from places(each)


@st.composite
def changed(draw: Callable[[Any], Any]) -> dict[str, Any]:
    document = copy.deepcopy(PLAIN)
    for _ in range(draw(st.integers(0, 2))):
        place = draw(st.sampled_from(list(places(document)) or [document]))
        name = draw(st.sampled_from([*place, *OTHER_FIELDS]))
        if draw(st.booleans()):
            place.pop(name, None)
        else:
            place[name] = copy.deepcopy(draw(VALUES))
    return document


@given(document=changed())
@settings(max_examples=1_000, deadline=None)
def test_what_is_plain_needs_no_mending_and_holds_an_answer(document: dict[str, Any]) -> None:
    if not is_plain(document):
        return

    assert without_blank_error(document) is document
    body, read = documents._conforming(b"as it came", document, Expected("asked"), lambda: 0)

    assert body == b"as it came"
    assert read is document


@pytest.mark.parametrize("content", ["Hello.", "Grüße\n", '{"a": 1}'])
def test_openai_own_completions_are_plain(content: str) -> None:
    document = copy.deepcopy(PLAIN)
    document["choices"][0]["message"]["content"] = content

    assert is_plain(document)


@pytest.mark.parametrize("content", ["", " \n", "\0"])
def test_a_completion_without_text_is_not_plain(content: str) -> None:
    document = copy.deepcopy(PLAIN)
    document["choices"][0]["message"]["content"] = content

    assert not is_plain(document)
