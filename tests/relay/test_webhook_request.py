"""What `POST /webhook` takes, and by which name it refuses the rest."""

import json
from typing import Any

import pytest
from pydantic import ValidationError

from answerback.http.plain_words import plain_words
from answerback.relay.model import Message, ToolOutput
from answerback.relay.request import MAX_CONTENT_BYTES, MAX_PARAMS_BYTES, WebhookMessage

URL = "https://receiver.example/hook"
TEXT = {"type": "text", "text": "what is it?"}
IMAGE = {"type": "image_url", "image_url": {"url": "https://images.example/cat.png", "detail": "low"}}
OUTPUT = {"tool_call_id": "call_1", "output": "sunny"}


def taken(**fields: Any) -> Message:
    body = {"message": "hi", "callback_url": URL, **fields}
    return WebhookMessage.model_validate_json(json.dumps(body)).args()


def refused(**fields: Any) -> list[tuple[str, str]]:
    """The fields that are named, and why."""
    with pytest.raises(ValidationError) as refusal:
        taken(**fields)
    return [(".".join(map(str, each["loc"])), plain_words(each)) for each in refusal.value.errors()]


@pytest.mark.parametrize("parts", [[TEXT], [TEXT, IMAGE], [{**TEXT, "cache_control": {"type": "ephemeral"}}]])
def test_content_parts_are_taken_as_they_are(parts: list[dict[str, Any]]) -> None:
    assert taken(message=parts).message == parts


@pytest.mark.parametrize(
    "parts",
    [
        [],
        [IMAGE],
        [{"type": "text", "text": " \n"}],
        [TEXT, {"type": "input_audio", "input_audio": {}}],
        [{"type": "text"}],
        [{"type": "text", "text": 5}],
        [TEXT, {"type": "image_url", "image_url": "https://images.example/cat.png"}],
        [TEXT, {"type": "image_url", "image_url": {"url": ""}}],
        ["hi"],
        [{"type": "text", "text": "nul \0"}],
        [{**TEXT, "more": float("nan")}],
        [{"type": "text", "text": "x" * MAX_CONTENT_BYTES}],
    ],
)
def test_parts_that_are_none_or_too_long_are_refused_by_the_name_of_the_message(parts: list[Any]) -> None:
    assert [name for name, _ in refused(message=parts)] == ["message"]


def test_a_wrong_part_is_named_by_its_number() -> None:
    ((_, reason),) = refused(message=[TEXT, {"type": "text"}])

    assert reason == "1.text: must be given"


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        (None, "must be given"),
        ("", "must have at least 1 character"),
        ("x" * 32_001, "must have at most 32000 characters"),
        (" \n", "must not be blank"),
        (5, "must be a string"),
        ({"text": "hi"}, "must be a string"),
    ],
)
def test_a_message_that_is_no_text_is_refused(message: Any, reason: str) -> None:
    assert refused(message=message) == [("message", reason)]


def test_a_missing_message_is_named() -> None:
    with pytest.raises(ValidationError) as refusal:
        WebhookMessage.model_validate_json(json.dumps({"callback_url": URL}))

    assert [(each["type"], each["loc"]) for each in refusal.value.errors()] == [("missing", ("message",))]


@pytest.mark.parametrize("message", [None, ""])
def test_outputs_of_tools_stand_in_place_of_a_message(message: str | None) -> None:
    args = taken(message=message, tool_outputs=[OUTPUT])

    assert (args.message, args.tool_outputs) == (None, (ToolOutput("call_1", "sunny"),))


@pytest.mark.parametrize(
    ("outputs", "field"),
    [
        ([], "tool_outputs"),
        ([OUTPUT, OUTPUT], "tool_outputs"),
        ([{"tool_call_id": "call_1"}], "tool_outputs.0.output"),
        ([OUTPUT | {"output": {"sunny": True}}], "tool_outputs.0.output"),
        ([OUTPUT | {"name": "weather"}], "tool_outputs.0.name"),
        ([OUTPUT | {"tool_call_id": ""}], "tool_outputs.0.tool_call_id"),
        ([OUTPUT | {"output": "nul \0"}], "tool_outputs.0.output"),
        ([OUTPUT | {"output": "x" * (MAX_CONTENT_BYTES + 1)}], "tool_outputs"),
        ("sunny", "tool_outputs"),
    ],
)
def test_wrong_outputs_of_tools_are_named(outputs: Any, field: str) -> None:
    assert [name for name, _ in refused(message=None, tool_outputs=outputs)] == [field]


def test_a_message_beside_outputs_of_tools_is_refused() -> None:
    ((name, reason),) = refused(tool_outputs=[OUTPUT])

    assert name == "message"
    assert "tool_outputs" in reason


@pytest.mark.parametrize(("given", "key"), [(42, "42"), (-1, "-1"), ("42", "42"), (10**40, "1" + "0" * 40)])
def test_an_integer_names_the_conversation_as_its_decimal_text(given: Any, key: str) -> None:
    assert taken(session_id=given).conversation_key(URL) == key


@pytest.mark.parametrize("given", [True, 1.5, ["s"], "  ", "x" * 129, 10**128, "nul\0"])
def test_what_is_neither_a_text_nor_an_integer_names_no_conversation(given: Any) -> None:
    assert [name for name, _ in refused(session_id=given)] == ["session_id"]


@pytest.mark.parametrize("given", [True, 1.0, ["s"]])
def test_what_it_must_be_is_said_whole(given: Any) -> None:
    assert refused(session_id=given) == [("session_id", "must be a string or an integer")]


OPTIONAL = [
    *("tool_outputs", "session_id", "stateless", "model", "system"),
    *("temperature", "max_tokens", "params", "metadata"),
]


@pytest.mark.parametrize("empty", ["", None])
@pytest.mark.parametrize("field", OPTIONAL)
def test_an_optional_field_that_is_empty_or_null_counts_as_absent(field: str, empty: str | None) -> None:
    assert taken(**{field: empty}) == taken()


def test_a_conversation_is_named_by_the_session_else_by_the_callback_url() -> None:
    assert taken(session_id="s").conversation_key(URL) == "s"
    assert taken().conversation_key(URL) == URL
    assert taken(stateless=True).conversation_key(URL) is None


def test_stateless_and_session_id_exclude_each_other() -> None:
    ((_, reason),) = refused(stateless=True, session_id="s")

    assert "stateless excludes session_id" in reason


@pytest.mark.parametrize("name", ["messages", "model", "stream", "n"])
def test_params_that_the_relay_sets_itself_are_refused(name: str) -> None:
    ((field, reason),) = refused(params={name: 1, "seed": 7})

    assert field == "params"
    assert name in reason


@pytest.mark.parametrize("params", ["text", [], {"k": "x" * MAX_PARAMS_BYTES}, {"k": float("inf")}, {"k": "nul\0"}])
def test_params_that_are_no_object_or_too_large_are_refused(params: Any) -> None:
    assert [name for name, _ in refused(params=params)] == ["params"]


def test_every_wrong_field_is_named_at_once() -> None:
    names = {name for name, _ in refused(message="", temperature=9, max_tokens="x", unknown=1, params=5)}

    assert names == {"message", "temperature", "max_tokens", "unknown", "params"}
