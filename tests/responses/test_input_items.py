"""Whatever way a client writes its input, the chat model reads messages that any upstream takes."""

import base64
from typing import Any

import pytest

from answerback.kernel.errors import InvalidField
from answerback.llm.instructions import folded
from answerback.responses.answers.chat_body import chat_body
from answerback.responses.items.pairs import UnansweredCall
from answerback.responses.items.thoughts import sealed
from answerback.responses.request import asked
from answerback.responses.tools.toolbox import Toolbox

CALL = {"type": "function_call", "call_id": "c1", "name": "f", "arguments": '{"a":1}'}
OUTPUT = {"type": "function_call_output", "call_id": "c1", "output": "one"}
PIXEL = "data:image/png;base64,AAAA"


def body(**given: Any) -> dict[str, Any]:
    request = asked({"model": "m", **given})
    return chat_body(request, request.input, Toolbox.of(request.parameters, request.input))


def messages(*items: Any, **given: Any) -> list[Any]:
    read: list[Any] = body(input=list(items), **given)["messages"]
    return read


def user(text: str) -> dict[str, Any]:
    return {"role": "user", "content": text}


def call(call_id: str, name: str = "f", arguments: str = "{}") -> dict[str, Any]:
    return {"id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}}


def test_a_text_is_a_message_of_the_user() -> None:
    assert body(input="hi") == {"model": "m", "messages": [user("hi")]}


@pytest.mark.parametrize(
    "item",
    [
        {"role": "user", "content": "hi"},
        {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "hi"}]},
        {"role": "user", "content": [{"type": "text", "text": "h"}, {"type": "input_text", "text": "i"}]},
        {"role": "user", "content": "hi", "id": "msg_1", "status": "completed", "phase": None},
    ],
)
def test_a_message_is_read_however_it_is_written(item: Any) -> None:
    assert messages(item) == [user("hi")]


def test_instructions_stay_in_place_where_an_upstream_reads_them_there_and_are_folded_elsewhere() -> None:
    instructions = [
        {"role": "system", "content": "First."},
        {"role": "developer", "content": "Second."},
        {"role": "system", "content": "Third."},
    ]
    read = messages(instructions[1], user("hi"), instructions[2], instructions="First.")

    assert read == [instructions[0], instructions[1], user("hi"), instructions[2]]
    assert folded(read) == [{"role": "system", "content": "First.\n\nSecond.\n\nThird."}, user("hi")]
    assert folded([user("hi")]) == [user("hi")]


def test_a_file_of_text_in_instructions_is_read_with_them() -> None:
    rules = "data:text/plain;base64," + base64.b64encode(b"Be brief.").decode()
    content = [{"type": "input_text", "text": "Rules: "}, {"type": "input_file", "filename": "r", "file_data": rules}]

    read = messages({"role": "developer", "content": content}, user("hi"), instructions="First.")

    assert read[1] == {"role": "developer", "content": "Rules: r:\nBe brief.\n"}
    assert folded(read) == [{"role": "system", "content": "First.\n\nRules: r:\nBe brief.\n"}, user("hi")]


@pytest.mark.parametrize("role", ["system", "developer"])
@pytest.mark.parametrize(
    "part",
    [
        {"type": "input_image", "image_url": PIXEL},
        {"type": "input_file", "file_data": "data:application/pdf;base64,AAAA"},
        {"type": "input_file", "file_data": "data:text/plain;base64,/w=="},
    ],
)
def test_what_instructions_cannot_hold_is_refused_and_never_left_out(role: str, part: Any) -> None:
    content = [{"type": "input_text", "text": "Look:"}, part]

    with pytest.raises(InvalidField) as refused:
        messages(user("hi"), {"role": role, "content": content})

    assert (refused.value.field, refused.value.code) == ("input[1].content[1]", "unsupported_value")


def test_a_refusal_behind_a_text_stands_apart_from_it() -> None:
    parts = [("output_text", "text", "Sure"), ("output_text", "text", "!"), ("refusal", "refusal", "No.")]
    content = [{"type": kind, field: said} for kind, field, said in parts]

    assert messages({"role": "assistant", "content": content})[0]["content"] == "Sure!\nNo."


def test_instructions_part_no_call_from_its_output() -> None:
    thought = {"type": "reasoning", "summary": [], "content": [{"type": "reasoning_text", "text": "hm"}]}
    developer = {"role": "developer", "content": "Hurry."}
    read = messages(user("go"), thought, developer, CALL, developer, OUTPUT, developer, {"role": "user", "content": ""})

    assert [said["role"] for said in read] == ["user", "assistant", "tool", *["developer"] * 3, "user"]
    assert read[1]["reasoning_content"] == "hm"


def test_what_a_model_said_in_several_items_is_one_message() -> None:
    read = messages(
        user("go"),
        {"type": "reasoning", "id": "rs_1", "summary": [], "content": [{"type": "reasoning_text", "text": "hm"}]},
        {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "Wait."}]},
        CALL,
        {**CALL, "call_id": "c2"},
        OUTPUT,
        {**OUTPUT, "call_id": "c2", "output": "two"},
    )

    assert read == [
        user("go"),
        {
            "role": "assistant",
            "content": "Wait.",
            "reasoning_content": "hm",
            "tool_calls": [call("c1", arguments='{"a":1}'), call("c2", arguments='{"a":1}')],
        },
        {"role": "tool", "tool_call_id": "c1", "content": "one"},
        {"role": "tool", "tool_call_id": "c2", "content": "two"},
    ]


def test_an_output_stands_behind_its_call_though_a_message_came_between() -> None:
    read = messages(user("go"), CALL, user("quick"), OUTPUT)

    assert [said["role"] for said in read] == ["user", "assistant", "tool", "user"]


def test_ids_of_calls_come_again_in_later_turns() -> None:
    read = messages(user("a"), CALL, OUTPUT, user("b"), CALL, {**OUTPUT, "output": "again"})

    assert [said["content"] for said in read if said["role"] == "tool"] == ["one", "again"]


def test_images_in_an_output_are_shown_behind_the_outputs() -> None:
    parts = [{"type": "input_text", "text": "see"}, {"type": "input_image", "image_url": PIXEL}]

    read = messages(user("go"), CALL, {**OUTPUT, "output": parts})

    image = {"type": "image_url", "image_url": {"url": PIXEL, "detail": "auto"}}
    assert read[2:] == [
        {"role": "tool", "tool_call_id": "c1", "content": "see"},
        {"role": "user", "content": [image]},
    ]


def test_an_image_and_a_file_are_parts() -> None:
    pdf, text = "data:application/pdf;base64,AAAA", "data:text/plain;base64,aGVsbG8="
    (said,) = messages(
        {
            "role": "user",
            "content": [
                {"type": "input_text", "text": "read"},
                {"type": "input_image", "image_url": "https://example.com/a.png", "detail": "low"},
                {"type": "input_file", "filename": "a.pdf", "file_data": pdf},
                {"type": "input_file", "filename": "a.txt", "file_data": text},
            ],
        }
    )

    assert said["content"] == [
        {"type": "text", "text": "read"},
        {"type": "image_url", "image_url": {"url": "https://example.com/a.png", "detail": "low"}},
        {"type": "file", "file": {"filename": "a.pdf", "file_data": pdf}},
        {"type": "text", "text": "a.txt:\nhello\n"},
    ]


def test_thoughts_go_back_into_the_field_that_they_came_from() -> None:
    details = [{"type": "reasoning.text", "text": "hm", "signature": "s"}]
    thought = {"type": "reasoning", "summary": [], "encrypted_content": sealed("reasoning_details", details)}

    read = messages(user("go"), thought, {"role": "assistant", "content": "well"}, user("on"))

    assert read[1] == {"role": "assistant", "content": "well", "reasoning_details": details}


OVERLOADED = sealed("reasoning_details", [[]] * 20_000)
"""Few bytes for a client, and more values than the bound of a body's, which sees one text, would let in."""


BLOBS = ("gAAAAA-of-openai", "", "bm90IGpzb24=", "WzFd", OVERLOADED)


@pytest.mark.parametrize("blob", BLOBS, ids=lambda blob: blob[:9])
def test_thoughts_that_another_service_sealed_are_read_as_far_as_they_are_plain(blob: str) -> None:
    thought = {"type": "reasoning", "summary": [{"type": "summary_text", "text": "hm"}], "encrypted_content": blob}

    read = messages(user("go"), thought, {"role": "assistant", "content": "well"}, user("on"))

    assert read[1] == {"role": "assistant", "content": "well", "reasoning_content": "hm"}


def test_what_tools_of_openai_left_is_skipped() -> None:
    assert messages(user("go"), {"type": "web_search_call", "id": "ws_1", "status": "completed"}) == [user("go")]


def test_a_call_that_was_cut_off_needs_no_output() -> None:
    read = messages(user("go"), {**CALL, "arguments": '{"a', "status": "incomplete"}, user("on"))

    assert read == [user("go"), user("on")]


@pytest.mark.parametrize(
    "item",
    [
        {"type": "web_search_call", "id": "ws_1", "status": "completed"},
        {"type": "reasoning", "summary": []},
        {"role": "assistant", "content": ""},
        {"role": "developer", "content": ""},
        {"type": "additional_tools", "tools": []},
    ],
)
def test_an_input_that_leaves_the_model_nothing_to_read_is_refused(item: Any) -> None:
    with pytest.raises(InvalidField) as refused:
        messages(item)

    assert refused.value.field == "input"
    assert messages(item, instructions="Go on.") == [{"role": "system", "content": "Go on."}]


@pytest.mark.parametrize("items", [[user("a"), OUTPUT], [user("a"), CALL], [CALL, user("b")], [OUTPUT, CALL]])
def test_a_call_and_its_output_stand_together(items: list[Any]) -> None:
    with pytest.raises(UnansweredCall) as refused:
        messages(*items)

    assert refused.value.field == "input"
    assert "c1" in refused.value.message


def test_a_custom_tool_and_one_of_a_namespace_are_functions_for_the_model() -> None:
    custom = {"type": "custom_tool_call", "call_id": "c1", "name": "sql", "input": "SELECT 1"}
    of_namespace = {**CALL, "call_id": "c2", "namespace": "crm", "name": "find"}

    read = messages(
        user("go"),
        custom,
        of_namespace,
        {"type": "custom_tool_call_output", "call_id": "c1", "output": "1"},
        {**OUTPUT, "call_id": "c2"},
    )

    assert read[1]["tool_calls"] == [
        call("c1", "sql", '{"input": "SELECT 1"}'),
        call("c2", "crm__find", '{"a":1}'),
    ]


def test_parameters_have_the_names_of_chat_completions() -> None:
    schema = {"type": "object", "properties": {}}
    made = body(
        input="hi",
        temperature=0,
        top_p=0.5,
        max_output_tokens=7,
        reasoning={"effort": "low", "summary": "auto"},
        text={"format": {"type": "json_schema", "name": "n", "schema": schema, "strict": True}, "verbosity": "low"},
        top_logprobs=2,
        seed=1,
        stop=["x"],
        provider={"order": ["a"]},
        prompt_cache_key="k",
        metadata={"a": "b"},
        client_metadata={"c": 1},
        store=False,
        parallel_tool_calls=True,
        user="u",
    )

    assert made == {
        "model": "m",
        "messages": [user("hi")],
        "temperature": 0,
        "top_p": 0.5,
        "max_tokens": 7,
        "reasoning_effort": "low",
        "response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": schema, "strict": True}},
        "verbosity": "low",
        "logprobs": True,
        "top_logprobs": 2,
        "seed": 1,
        "stop": ["x"],
        "provider": {"order": ["a"]},
        "prompt_cache_key": "k",
        "user": "u",
    }


@pytest.mark.parametrize(
    ("given", "param", "code"),
    [
        ({}, "input", "missing_required_parameter"),
        ({"input": None}, "input", "missing_required_parameter"),
        ({"input": []}, "input", "missing_required_parameter"),
        ({"input": 5}, "input", "invalid_type"),
        ({"input": [5]}, "input[0]", "invalid_type"),
        ({"input": [{"type": "song"}]}, "input[0]", "invalid_value"),
        ({"input": [{}]}, "input[0]", "invalid_value"),
        *[({"input": [{"type": odd, **user("x")}]}, "input[0].type", "invalid_type") for odd in (False, 0, [], {}, 5)],
        ({"input": [{"role": 0, "content": "x"}]}, "input[0].role", "invalid_value"),
        ({"input": [{"type": "reasoning", "summary": False}]}, "input[0].summary", "invalid_type"),
        ({"input": [{"type": "reasoning", "summary": [], "content": 0}]}, "input[0].content", "invalid_type"),
        (
            {"input": [{"type": "reasoning", "summary": [], "encrypted_content": 5}]},
            "input[0].encrypted_content",
            "invalid_type",
        ),
        ({"input": [{"role": "king", "content": "x"}]}, "input[0].role", "invalid_value"),
        ({"input": [user("a"), {"role": "user"}]}, "input[1].content", "missing_required_parameter"),
        ({"input": [{"role": "user", "content": 5}]}, "input[0].content", "invalid_type"),
        ({"input": [{"role": "user", "content": ["x"]}]}, "input[0].content[0]", "invalid_type"),
        ({"input": [{"role": "user", "content": [{"type": "x"}]}]}, "input[0].content[0].type", "invalid_value"),
        (
            {"input": [{"role": "user", "content": [{"type": "input_image", "file_id": "f"}]}]},
            "input[0].content[0].file_id",
            "unsupported_value",
        ),
        (
            {"input": [{"role": "user", "content": [{"type": "input_image", "image_url": "ftp://x"}]}]},
            "input[0].content[0].image_url",
            "invalid_value",
        ),
        (
            {"input": [{"role": "user", "content": [{"type": "input_file", "file_url": "https://x"}]}]},
            "input[0].content[0].file_url",
            "unsupported_value",
        ),
        ({"input": [{"type": "function_call", "name": "f"}]}, "input[0].call_id", "missing_required_parameter"),
        ({"input": [{**OUTPUT, "output": None}]}, "input[0].output", "missing_required_parameter"),
        ({"input": [{**OUTPUT, "output": 5}]}, "input[0].output", "invalid_type"),
        ({"input": "x", "temperature": 3}, "temperature", "invalid_value"),
        ({"input": "x", "temperature": "hot"}, "temperature", "invalid_type"),
        ({"input": "x", "top_logprobs": 21}, "top_logprobs", "invalid_value"),
        ({"input": "x", "max_output_tokens": 0}, "max_output_tokens", "invalid_value"),
        ({"input": "x", "metadata": {"a": 5}}, "metadata.a", "invalid_type"),
        ({"input": "x", "metadata": {str(n): "" for n in range(17)}}, "metadata", "invalid_value"),
        ({"input": "x", "metadata": {"k" * 65: ""}}, "metadata", "invalid_value"),
        ({"input": "x", "metadata": {"k": "v" * 513}}, "metadata.k", "invalid_value"),
        ({"input": "x", "top_p": 1.5}, "top_p", "invalid_value"),
        ({"input": "x", "presence_penalty": 2.1}, "presence_penalty", "invalid_value"),
        ({"input": "x", "frequency_penalty": -99}, "frequency_penalty", "invalid_value"),
        ({"input": "x", "presence_penalty": {}}, "presence_penalty", "invalid_type"),
        ({"input": "x", "moderation": {}}, "moderation", "unsupported_value"),
        (
            {"input": "x", "conversation": "conv_" + "0" * 32, "previous_response_id": "resp_1"},
            "previous_response_id",
            "invalid_value",
        ),
        ({"input": "x", "truncation": "some"}, "truncation", "invalid_value"),
        ({"input": "x", "model": 5}, "model", "invalid_type"),
        ({"input": "x", "model": "m" * 257}, "model", "invalid_value"),
        ({"input": "x", "reasoning": {"effort": 5}}, "reasoning.effort", "invalid_value"),
        ({"input": "x", "text": {"format": {"type": "x"}}}, "text.format.type", "invalid_value"),
        ({"input": "x", "text": {"format": {}}}, "text.format.type", "missing_required_parameter"),
        (
            {"input": "x", "text": {"format": {"type": "json_schema", "name": "n"}}},
            "text.format.schema",
            "missing_required_parameter",
        ),
        ({"input": "x", "prompt": {"id": "p"}}, "prompt", "unsupported_value"),
        ({"input": "x", "conversation": "conv_1"}, "conversation", "invalid_value"),
        ({"input": "x", "background": True, "store": False}, "store", "invalid_value"),
        ({"input": "x", "tools": {}}, "tools", "invalid_type"),
        ({"input": "x", "tools": [5]}, "tools[0]", "invalid_type"),
    ],
)
def test_what_is_wrong_is_named(given: Any, param: str, code: str) -> None:
    with pytest.raises(InvalidField) as refused:
        body(**given)

    assert (refused.value.field, refused.value.code) == (param, code)
