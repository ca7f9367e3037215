"""A streamed chat completion becomes items, and the events that say how they come."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from answerback.kernel.provider_error import ProviderError
from answerback.llm.answers.chunk_reader import ChunkReader
from answerback.llm.model import Chunk, Expected, FinishReason
from answerback.responses.answers.answer import Answer
from answerback.responses.request import asked
from answerback.responses.tools.toolbox import NO_TOOLS, Toolbox
from troubles import sse

ID = "resp_" + "0" * 32
FIND = {"type": "function", "name": "find"}
SQL = {"type": "custom", "name": "sql"}
CRM = {"type": "namespace", "name": "crm", "tools": [FIND]}


def chunks(*deltas: Mapping[str, Any], **choice: Any) -> Iterator[Chunk]:
    """As they come from an upstream that says these deltas and stops."""
    choices = [{"index": 0, "delta": delta, "finish_reason": None, **choice} for delta in deltas]
    head = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m"}
    sent = [{**head, "choices": [each]} for each in (*choices, {"index": 0, "delta": {}, "finish_reason": "stop"})]
    reader = ChunkReader(lambda: 0, Expected("m"))
    yield from reader.read(sse(*sent))


def answered(
    *deltas: Mapping[str, Any], finish: FinishReason = "stop", choice: Mapping[str, Any] | None = None, **given: Any
) -> tuple[list[Any], list[Any]]:
    """The output, and the events."""
    request = asked({"input": "x", **given})
    answer = Answer(ID, request, Toolbox.of(request.parameters))
    events = [event for chunk in chunks(*deltas, **(choice or {})) for event in answer.take(chunk)]
    events += answer.end(finish)
    check(events, answer.output)
    return answer.output, events


def check(events: list[Any], output: list[Any]) -> None:
    """What every stream keeps: items are added in order, each is done once, and is then what the output has."""
    added = [event for event in events if event["type"] == "response.output_item.added"]
    done = {event["output_index"]: event["item"] for event in events if event["type"] == "response.output_item.done"}
    assert [event["output_index"] for event in added] == list(range(len(output)))
    assert [done[index] for index in range(len(output))] == output
    for event, item in zip(added, output, strict=True):
        assert all(event["item"].get(key) == item.get(key) for key in ("id", "type", "call_id", "name"))
    assert len({item["id"] for item in output}) == len(output)
    for event in events:
        if "item_id" in event:
            assert event["item_id"] == output[event["output_index"]]["id"]
    json.dumps(events)


def kinds(events: list[Any]) -> list[str]:
    return [event["type"].removeprefix("response.") for event in events]


def piece(index: int | None = 0, call_id: str | None = None, name: str | None = None, arguments: Any = None) -> Any:
    function = {key: value for key, value in (("name", name), ("arguments", arguments)) if value is not None}
    made = {"index": index, "id": call_id, "function": function}
    return {"tool_calls": [{key: value for key, value in made.items() if value is not None}]}


def calls(output: list[Any]) -> list[tuple[str, str]]:
    return [(item["name"], item.get("arguments", item.get("input"))) for item in output]


def test_a_text() -> None:
    output, events = answered({"role": "assistant", "content": ""}, {"content": "Hel"}, {"content": "lo"})

    (message,) = output
    assert message["content"] == [{"type": "output_text", "text": "Hello", "annotations": [], "logprobs": []}]
    assert (message["role"], message["status"]) == ("assistant", "completed")
    assert kinds(events) == [
        "output_item.added",
        "content_part.added",
        "output_text.delta",
        "output_text.delta",
        "output_text.done",
        "content_part.done",
        "output_item.done",
    ]


IMAGE = {"images": [{"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}}]}
SOUND = {"audio": {"id": "a", "data": "AA==", "transcript": "hi"}}
PART = {"content": [{"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}}]}


@pytest.mark.parametrize("shown", [IMAGE, SOUND, PART], ids=str)
def test_an_image_or_a_sound_alone_is_no_response(shown: dict[str, Any]) -> None:
    with pytest.raises(ProviderError, match="holds no text, but an image or a sound") as caught:
        answered({"reasoning": "hm"}, shown)

    assert not caught.value.retryable
    assert answered({"content": "Here."}, shown)[0]


def test_a_choice_that_was_not_asked_for_is_no_part_of_the_answer() -> None:
    def choice(index: int, finish: str | None = None, **delta: Any) -> dict[str, Any]:
        return {"choices": [{"index": index, "delta": delta, "finish_reason": finish}]}

    reader = ChunkReader(lambda: 0, Expected("m"))
    answer = Answer(ID, asked({"input": "x"}), NO_TOOLS)
    sent = [
        choice(1, content="Hel"),
        choice(0, content="x", reasoning="y"),
        choice(1, content="lo"),
        choice(0, **piece(call_id="c", name="f", arguments="{}")),
        choice(1, "stop"),
        choice(0, "tool_calls"),
    ]

    events = [event for chunk in reader.read(sse(*sent)) for event in answer.take(chunk)]
    events += answer.end("stop")

    check(events, answer.output)
    (message,) = answer.output
    assert message["content"][0]["text"] == "Hello"


def test_a_character_that_chunks_part_is_one() -> None:
    output, events = answered({"content": "\ud83d"}, {"content": "\ude00"})

    assert output[0]["content"][0]["text"] == "😀"
    assert [event["delta"] for event in events if event["type"].endswith("text.delta")] == ["😀"]


def test_a_character_of_a_call_that_chunks_part_is_one() -> None:
    output, events = answered(piece(0, "a", "find", "\ud83d"), piece(0, arguments="\ude00 \ud83d"), tools=[FIND])

    assert calls(output) == [("find", "😀 \ufffd")]
    assert [event["delta"] for event in events if event["type"].endswith("arguments.delta")] == ["😀 ", "\ufffd"]


def test_half_a_character_is_the_same_in_the_input_of_a_tool_as_in_a_text() -> None:
    said = {"content": "a\ud83db\0"}, piece(0, "a", "sql", r'{"input": "a\ud83db\u0000"}')
    output, _ = answered(*said, tools=[SQL])

    assert output[0]["content"][0]["text"] == output[1]["input"] == "a\ufffdb\ufffd"


def test_a_refusal() -> None:
    output, events = answered({"refusal": "I will"}, {"refusal": " not."})

    assert output[0]["content"] == [{"type": "refusal", "refusal": "I will not."}]
    assert "refusal.done" in kinds(events)


def test_a_text_and_a_refusal_that_come_at_once_are_both_there() -> None:
    output, _ = answered({"content": "Sure. ", "refusal": "No\0."})

    assert [part.get("text", part.get("refusal")) for part in output[0]["content"]] == ["Sure. ", "No\ufffd."]


CITED = {"url": "https://a", "title": "A", "start_index": 0, "end_index": 5}


def test_the_sources_of_a_text_are_its_annotations() -> None:
    citations = [{"type": "url_citation", "url_citation": CITED}]
    output, events = answered({"content": "Hello"}, {"content": "", "annotations": citations}, {"content": "!"})

    (part,) = output[0]["content"]
    assert (part["text"], part["annotations"]) == ("Hello!", [{"type": "url_citation", **CITED}])
    assert events[-2]["part"] == part
    assert not any("annotation" in kind for kind in kinds(events))


@pytest.mark.parametrize(
    "annotations",
    [
        "x",
        [None],
        [{"type": "file_citation"}],
        [{"type": "url_citation", "url_citation": {**CITED, "title": None}}],
        [{"type": "url_citation", "url_citation": {**CITED, "start_index": "0"}}],
    ],
)
def test_sources_that_no_client_could_read_are_left_out(annotations: Any) -> None:
    output, _ = answered({"content": "Hello", "annotations": annotations})

    assert output[0]["content"][0]["annotations"] == []


def test_a_text_that_turns_into_a_refusal_has_two_parts() -> None:
    output, _ = answered({"content": "Sure. "}, {"refusal": "No."})

    assert [part["type"] for part in output[0]["content"]] == ["output_text", "refusal"]


@pytest.mark.parametrize("field", ["reasoning_content", "reasoning", "thinking"])
def test_thoughts_come_before_the_text(field: str) -> None:
    output, events = answered({field: ""}, {field: "h"}, {field: "m"}, {"content": "Yes."})

    reasoning, message = output
    assert (reasoning["type"], message["type"]) == ("reasoning", "message")
    assert (reasoning["summary"], reasoning["content"]) == ([], [{"type": "reasoning_text", "text": "hm"}])
    assert kinds(events)[:7] == [
        "output_item.added",
        "content_part.added",
        "reasoning_text.delta",
        "reasoning_text.delta",
        "reasoning_text.done",
        "content_part.done",
        "output_item.done",
    ]


def test_thoughts_are_a_summary_where_one_was_asked_for() -> None:
    output, events = answered({"reasoning": "hm"}, {"content": "Yes."}, reasoning={"summary": "auto"})

    assert output[0]["summary"] == [{"type": "summary_text", "text": "hm"}]
    assert "reasoning_summary_text.delta" in kinds(events)
    assert "reasoning_summary_part.done" in kinds(events)


def test_thoughts_that_two_fields_repeat_count_once() -> None:
    details = [{"type": "reasoning.text", "index": 0, "text": "hm"}]
    output, _ = answered(
        {"reasoning": "hm", "reasoning_content": "hm", "reasoning_details": details}, {"content": "Yes."}
    )

    assert output[0]["content"][0]["text"] == "hm"


def test_thoughts_within_the_content() -> None:
    thinking = [{"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}]
    output, _ = answered({"content": thinking}, {"content": "Yes."})

    assert [item["type"] for item in output] == ["reasoning", "message"]
    assert "encrypted_content" not in output[0], "no upstream takes them back"


def test_thoughts_may_come_again() -> None:
    output, _ = answered({"reasoning": "a"}, {"content": "A"}, {"reasoning": "b"}, {"content": "B"})

    assert [item["type"] for item in output] == ["reasoning", "message", "reasoning", "message"]


def test_a_call_in_pieces() -> None:
    output, events = answered(
        {"content": "Wait."}, piece(0, "c1", "find", ""), piece(0, None, None, '{"a"'), piece(0, None, None, ":1}")
    )

    assert calls(output[1:]) == [("find", '{"a":1}')]
    assert output[1]["call_id"] == "c1"
    (done,) = [event for event in events if event["type"].endswith("arguments.done")]
    assert (done["arguments"], done["name"]) == ('{"a":1}', "find")


@pytest.mark.parametrize(
    ("pieces", "wanted"),
    [
        ([piece(0, "a", "f", "1"), piece(1, "b", "g", "2")], [("f", "1"), ("g", "2")]),
        (
            [piece(0, "a", "f"), piece(1, "b", "g"), piece(0, None, None, "1"), piece(1, None, None, "2")],
            [("f", "1"), ("g", "2")],
        ),
        ([piece(0, "a", "f", "1"), piece(0, "b", "g", "2")], [("f", "1"), ("g", "2")]),
        ([piece(0, "a", "f", "1"), piece(0, "a", None, "2")], [("f", "12")]),
        ([piece(0, "a", "f", "1"), piece(0, "a", "f", "2")], [("f", "12")]),
        ([piece(0, "a", "f", "1"), piece(1, "a", "f", "2")], [("f", "1"), ("f", "2")]),
        ([piece(0, "a", "f", "1"), piece(1, "a", None, "2")], [("f", "12")]),
        ([piece(0, None, "f", "1"), piece(1, None, "g", "2")], [("f", "1"), ("g", "2")]),
        ([piece(None, "a", "f", "1"), piece(None, None, None, "2")], [("f", "12")]),
        ([piece(None, "a", "f", "1"), piece(None, "b", "g", "2")], [("f", "1"), ("g", "2")]),
        ([piece(0, "a", None, "1"), piece(0, None, "f", "2")], [("f", "12")]),
        ([piece(0, "a", "f")], [("f", "{}")]),
        ([piece(0, "a", "f", {"x": 1})], [("f", '{"x": 1}')]),
        ([{"function_call": {"name": "f", "arguments": "1"}}], [("f", "1")]),
    ],
)
def test_pieces_find_their_call(pieces: list[Any], wanted: list[tuple[str, str]]) -> None:
    output, _ = answered(*pieces)

    assert calls(output) == wanted
    ids = [item["call_id"] for item in output]
    assert all(ids)
    assert len(set(ids)) == len(ids)


@pytest.mark.parametrize(
    "call",
    [
        {"index": 0, "id": "a", "function": {"arguments": "1"}},
        {"index": 0, "id": "a", "function": "find"},
        {"index": 0, "id": "a", "custom": {"name": 5}},
        {"index": 0},
    ],
)
def test_a_call_that_names_no_tool_is_no_answer(call: Any) -> None:
    with pytest.raises(ProviderError, match="names no tool"):
        answered({"tool_calls": [call]})


MUCH = '{"input": "SELECT 1", "more": [' + "[]," * 20_000 + "[]]}"


@pytest.mark.parametrize(
    ("arguments", "given"),
    [
        ('{"input": "SELECT 1"}', "SELECT 1"),
        ("SELECT 1", "SELECT 1"),
        ('{"query": 1}', '{"query": 1}'),
        ("", ""),
        (MUCH, MUCH),
    ],
    ids=lambda text: text[:9],
)
def test_a_call_of_a_custom_tool_has_its_input(arguments: str, given: str) -> None:
    output, events = answered(piece(0, "a", "sql", arguments), tools=[SQL])

    (item,) = output
    assert (item["type"], item["name"], item["input"]) == ("custom_tool_call", "sql", given)
    assert "custom_tool_call_input.done" in kinds(events)


def test_a_call_within_a_namespace_names_it() -> None:
    output, _ = answered(piece(0, "a", "crm__find", "{}"), tools=[CRM])

    assert (output[0]["name"], output[0]["namespace"]) == ("find", "crm")


def test_what_an_upstream_wants_back_with_a_call_is_kept() -> None:
    signed = piece(0, "a", "find", "{}")
    signed["tool_calls"][0]["extra_content"] = {"google": {"thought_signature": "s"}}

    output, _ = answered(signed)

    assert output[0]["extra"] == {"extra_content": {"google": {"thought_signature": "s"}}}


def test_an_answer_that_was_cut_leaves_its_items_incomplete() -> None:
    output, _ = answered({"content": "Hel"}, piece(0, "a", "find", '{"a'), finish="length")

    assert [item["status"] for item in output] == ["incomplete", "incomplete"]
    assert output[1]["arguments"] == '{"a'


def test_logprobs_are_shown_where_they_were_asked_for() -> None:
    given = {
        "content": [{"token": "Hi", "logprob": -0.5, "bytes": None, "top_logprobs": [{"token": "Hi", "logprob": 0}]}]
    }

    output, events = answered({"content": "Hi"}, choice={"logprobs": given}, top_logprobs=1)
    silent, _ = answered({"content": "Hi"}, choice={"logprobs": given})

    top = [{"token": "Hi", "bytes": [72, 105], "logprob": 0}]
    (shown,) = output[0]["content"][0]["logprobs"]
    assert shown == {"token": "Hi", "bytes": [72, 105], "logprob": -0.5, "top_logprobs": top}
    (delta,) = [event for event in events if event["type"].endswith("text.delta")]
    assert delta["logprobs"][0]["token"] == "Hi"
    assert silent[0]["content"][0]["logprobs"] == []
