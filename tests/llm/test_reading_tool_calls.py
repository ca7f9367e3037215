"""Tool calls as upstreams spell them, and as a caller can answer them."""

from typing import Any

import pytest

from answerback.kernel.provider_error import ProviderError
from answerback.llm.answers import completions
from answerback.llm.answers.tool_calls import tool_calls

WEATHER = {"name": "weather", "arguments": '{"city": "Bern"}'}
CALL = {"id": "call_1", "type": "function", "function": WEATHER}
SHELL = {"id": "call_2", "type": "custom", "custom": {"name": "shell", "input": "ls"}}


def test_well_formed_calls_stay_as_they_are() -> None:
    signed = CALL | {"id": "call_3", "extra_content": {"google": {"thought_signature": "c2ln"}}}
    built_in = CALL | {"id": "call_4", "type": "builtin_function"}

    assert tool_calls({"tool_calls": [CALL, SHELL, signed, built_in]}) == (CALL, SHELL, signed, built_in)


@pytest.mark.parametrize("call_id", [None, "", 7, {}, "x" * 1025], ids=str)
def test_a_call_without_a_usable_id_gets_one(call_id: Any) -> None:
    (call,) = tool_calls({"tool_calls": [CALL | {"id": call_id}]})

    assert call["id"].startswith("call_")
    assert call | {"id": "call_1"} == CALL


def test_calls_that_share_an_id_get_ids_of_their_own() -> None:
    first, second = tool_calls({"tool_calls": [CALL, CALL]})

    assert first == CALL
    assert second["id"] != first["id"]


@pytest.mark.parametrize(
    ("arguments", "text"),
    [({"city": "Bern"}, '{"city": "Bern"}'), (None, "{}"), ({"city": "Zürich"}, '{"city": "Zürich"}'), ("", "{}")],
)
def test_arguments_become_text(arguments: Any, text: str) -> None:
    (call,) = tool_calls({"tool_calls": [CALL | {"function": {"name": "weather", "arguments": arguments}}]})

    assert call["function"] == {"name": "weather", "arguments": text}


def test_a_call_in_the_field_of_earlier_models_is_a_call() -> None:
    (call,) = tool_calls({"content": None, "function_call": WEATHER})

    assert (call["type"], call["function"]) == ("function", WEATHER)


def test_an_empty_entry_takes_nothing_from_those_beside_it() -> None:
    assert tool_calls({"tool_calls": [None, CALL]}) == (CALL,)


@pytest.mark.parametrize(
    "message",
    [{}, {"tool_calls": None}, {"tool_calls": []}, {"tool_calls": [None]}, {"function_call": None}],
    ids=str,
)
def test_a_message_without_calls_calls_nothing(message: dict[str, Any]) -> None:
    assert tool_calls(message) == ()


@pytest.mark.parametrize(
    "calls",
    ["weather", {"0": CALL}, [{}], ["weather"], [CALL, {"id": "c"}], [{"id": "c", "function": {"name": ""}}]],
    ids=str,
)
def test_a_call_that_names_no_tool_breaks_the_answer(calls: Any) -> None:
    with pytest.raises(ProviderError, match="names no tool"):
        tool_calls({"tool_calls": calls})


@pytest.mark.parametrize("content", [5, True, 10**400, [5]], ids=lambda value: str(value)[:5])
def test_content_beside_calls_that_is_neither_text_nor_parts_breaks_the_answer(content: Any) -> None:
    with pytest.raises(ProviderError, match="holds no text"):
        completions.check({"message": {"content": content, "tool_calls": [CALL]}, "finish_reason": "tool_calls"})


def test_a_call_whose_name_stands_beside_its_type_has_a_function() -> None:
    flat = {"id": "call_1", "type": "function", **WEATHER}

    assert tool_calls({"tool_calls": [flat]}) == (CALL,)
