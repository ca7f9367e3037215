"""Whatever value stands in whatever place of a request, it is read or refused by name: it is never a fault."""

import copy
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from answerback.kernel.errors import InvalidField
from answerback.responses.answers.chat_body import chat_body
from answerback.responses.conversations.request import items_in, metadata_of
from answerback.responses.request import asked
from answerback.responses.tools.toolbox import Toolbox

ODD: tuple[Any, ...] = (None, False, True, 0, 5, 0.5, "", "x", [], {}, ["x"], [[]], [{}], {"type": []}, {"x": {}})

PIXEL = "data:image/png;base64,AAAA"
FUNCTION = {"type": "function", "name": "f", "description": "d", "parameters": {"type": "object"}, "strict": True}
GRAMMAR = {"type": "grammar", "syntax": "lark", "definition": "start: WORD"}
CUSTOM = {"type": "custom", "name": "c", "format": GRAMMAR}
ITEMS: list[Any] = [
    {"type": "message", "role": "developer", "content": "Be brief."},
    {
        "role": "user",
        "content": [
            {"type": "input_text", "text": "hi"},
            {"type": "input_image", "image_url": PIXEL, "detail": "low"},
            {"type": "input_file", "filename": "a.txt", "file_data": "data:text/plain;base64,aGVsbG8="},
        ],
    },
    {
        "type": "reasoning",
        "summary": [{"type": "summary_text", "text": "hm"}],
        "content": [{"type": "reasoning_text", "text": "hm"}],
        "encrypted_content": "sealed",
    },
    {"role": "assistant", "content": [{"type": "output_text", "text": "a"}, {"type": "refusal", "refusal": "b"}]},
    {"type": "function_call", "call_id": "c1", "name": "f", "namespace": "n", "arguments": "{}", "status": "completed"},
    {"type": "function_call_output", "call_id": "c1", "output": [{"type": "input_text", "text": "one"}]},
    {"type": "custom_tool_call", "call_id": "c2", "name": "c", "input": "x"},
    {"type": "custom_tool_call_output", "call_id": "c2", "output": "two"},
    {"type": "web_search_call", "status": "completed"},
]
REQUEST: dict[str, Any] = {
    "model": "m",
    "instructions": "Be kind.",
    "input": [*ITEMS, {"type": "additional_tools", "tools": [{"type": "function", "name": "g"}]}],
    "tools": [FUNCTION, CUSTOM, {"type": "namespace", "name": "n", "description": "d", "tools": [FUNCTION, CUSTOM]}],
    "tool_choice": {
        "type": "allowed_tools",
        "mode": "auto",
        "tools": [{"type": "function", "name": "f", "namespace": "n"}],
    },
    "text": {"format": {"type": "json_schema", "name": "n", "schema": {}, "strict": True}, "verbosity": "low"},
    "reasoning": {"effort": "low", "summary": "auto"},
    "include": ["reasoning.encrypted_content"],
    "metadata": {"a": "b"},
    "prompt": None,
    "moderation": None,
    "background": False,
    "conversation": {"id": "conv_" + "0" * 32},
}

Place = tuple[str | int, ...]


def places(value: Any, place: Place = ()) -> Iterator[Place]:
    """Of all that stands within a value."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, each in inner:
        yield (*place, key)
        yield from places(each, (*place, key))


def changed(request: dict[str, Any], place: Place, value: Any) -> dict[str, Any]:
    made: Any = copy.deepcopy(request)
    *outer, last = place
    at = made
    for key in outer:
        at = at[key]
    at[last] = value
    whole: dict[str, Any] = made
    return whole


def respond(body: dict[str, Any]) -> None:
    request = asked(body)
    chat_body(request, request.input, Toolbox.of(request.parameters, request.input))


def converse(body: dict[str, Any]) -> None:
    items_in(body, required=True)
    metadata_of(body, required=True)


def refusal(read: Callable[[dict[str, Any]], None], body: dict[str, Any]) -> InvalidField | None:
    try:
        read(body)
    except InvalidField as refused:
        return refused
    return None


@pytest.mark.parametrize(
    ("read", "request_body"),
    [(respond, REQUEST), (converse, {"items": ITEMS, "metadata": {"a": "b"}})],
    ids=["a response", "items of a conversation"],
)
def test_an_odd_value_is_read_or_refused_by_name(read: Any, request_body: dict[str, Any]) -> None:
    read(request_body)

    for place in places(request_body):
        for value in ODD:
            refused = refusal(read, changed(request_body, place, value))
            assert refused is None or refused.field, (place, value)


def test_an_empty_model_counts_as_absent() -> None:
    assert asked({"model": "", "input": "x"}).model is None
