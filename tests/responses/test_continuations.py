"""An answer that is asked for again: readers get what is new, once, and what comes otherwise in new items."""

from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from test_answers_as_items import FIND, ID, SQL, answered, piece

from answerback.responses.answers.continuation import Continuation, partial_output
from answerback.responses.answers.events import behind, decoded, encoded

TOOLS = [FIND, SQL]


def continued(stored: Sequence[Any], *deltas: Mapping[str, Any], **given: Any) -> tuple[list[Any], list[Any]]:
    """The output of an answer behind these events, and what readers get of it."""
    output, events = answered(*deltas, **given)
    continuation = Continuation(ID, stored)
    new = [each for event in events for each in continuation.take(event)]
    new += continuation.end()
    return continuation.output(output), new


def check(events: Sequence[Any], output: Sequence[Any]) -> None:
    """What OpenAI's clients keep of a stream: items are added one after the other and done once, and the output is of
    those that are whole, in their order."""
    added: dict[int, Any] = {}
    done: dict[int, Any] = {}
    text: dict[int, str] = {}
    for event in events:
        index = event["output_index"]
        if event["type"] == "response.output_item.added":
            assert index == len(added)
            added[index] = event["item"]
        assert index not in done, event
        assert event.get("item_id", added[index]["id"]) == added[index]["id"]
        if event["type"].endswith(("text.delta", "refusal.delta")):
            text[index] = text.get(index, "") + event["delta"]
        if event["type"] == "response.output_item.done":
            done[index] = event["item"]
            for name in ("id", "type", "call_id", "name"):
                assert event["item"].get(name) == added[index].get(name)
            if event["item"]["type"] == "message":
                assert "".join(part.get("text", part.get("refusal")) for part in event["item"]["content"]) == text.get(
                    index, ""
                )
    assert sorted(done) == sorted(added)
    assert len({item["id"] for item in added.values()}) == len(added)
    known = {item["id"]: item for item in done.values() if item["status"] == "completed"}
    assert [known.get(item["id"]) for item in output] == list(output)


SAME: dict[str, tuple[Mapping[str, Any], ...]] = {
    "text": ({"content": "The sun "}, {"content": "shines "}, {"content": "today."}),
    "thoughts and text": ({"reasoning": "Hm. "}, {"reasoning": "Yes."}, {"content": "So "}, {"content": "be it."}),
    "refusal": ({"refusal": "I will "}, {"refusal": "not."}),
    "calls": (piece(0, "a", "find", '{"q":'), piece(0, None, None, "1}"), piece(1, "b", "sql", '{"input": "x"}')),
    "mixed calls": (
        *(piece(0, "a", "find", "{"), piece(1, "b", "find", '{"n":'), piece(0, None, None, "}")),
        piece(1, None, None, "2}"),
    ),
    "text and call": ({"content": "Let me see."}, piece(0, "a", "find", "{}")),
}


@pytest.mark.parametrize("deltas", SAME.values(), ids=SAME)
def test_an_answer_that_comes_again_as_it_was_goes_on_wherever_it_was_cut(deltas: Sequence[Any]) -> None:
    output, events = answered(*deltas, tools=TOOLS)

    for cut in range(1, len(events) + 1):
        again, new = continued(events[:cut], *deltas, tools=TOOLS)
        assert events[:cut] + new == events
        assert again == output


@pytest.mark.parametrize("size", [1, 3, 7, 100])
def test_text_is_the_same_in_whatever_pieces_it_comes(size: int) -> None:
    text = "The sun shines today."
    _, events = answered({"content": text[:9]}, {"content": text[9:15]}, {"content": text[15:]})
    pieces = [{"content": text[at : at + size]} for at in range(0, len(text), size)]

    for cut in range(1, len(events) + 1):
        output, new = continued(events[:cut], *pieces)
        check(events[:cut] + new, output)
        assert len(output) == 1
        assert output[0]["content"][0]["text"] == text


@pytest.mark.parametrize("before", SAME.values(), ids=SAME)
@pytest.mark.parametrize("after", SAME.values(), ids=SAME)
def test_an_answer_that_comes_otherwise_is_whole_all_the_same(before: Sequence[Any], after: Sequence[Any]) -> None:
    _, events = answered(*before, tools=TOOLS)
    wanted, _ = answered(*after, tools=TOOLS)

    for cut in range(1, len(events) + 1):
        output, new = continued(events[:cut], *after, tools=TOOLS)
        check(events[:cut] + new, output)
        unnamed = [{**item, "id": 0, "call_id": 0} for item in output]
        assert unnamed == [{**item, "id": 0, "call_id": 0} for item in wanted]


def test_what_is_left_is_closed_with_the_text_that_readers_have() -> None:
    _, events = answered({"content": "The sun "}, {"content": "shines."})

    output, new = continued(events[:4], {"content": "The sun "}, {"content": "is dark."})

    assert new[0]["item"]["status"] == "incomplete"
    assert new[0]["item"]["content"][0]["text"] == "The sun shines."
    assert [(event["type"], event["output_index"]) for event in new[1:3]] == [
        ("response.output_item.added", 1),
        ("response.content_part.added", 1),
    ]
    assert [item["content"][0]["text"] for item in output] == ["The sun is dark."]


def test_an_answer_that_ends_earlier_leaves_the_longer_one() -> None:
    _, events = answered({"content": "Yes, and more."})

    output, new = continued(events[:3], {"content": "Yes,"})

    check(events[:3] + new, output)
    assert [item["content"][0]["text"] for item in output] == ["Yes,"]


def test_a_call_keeps_the_id_that_its_client_knows() -> None:
    _, events = answered(piece(0, "first", "find", '{"q":'), piece(0, None, None, "1}"), tools=TOOLS)

    output, new = continued(events[:2], piece(0, "second", "find", '{"q":1}'), tools=TOOLS)

    check(events[:2] + new, output)
    assert [item["call_id"] for item in output] == ["first"]


def test_several_tries_add_up() -> None:
    first, second, third = ({"content": "One."}, {"content": "Two."}), ({"content": "One. "}, {"content": "2"}), "Three"
    _, events = answered(*first)
    stored = events[:3]
    stored += continued(stored, *second)[1][:3]

    output, new = continued(stored, {"content": third})

    check(stored + new, output)
    assert [item["content"][0]["text"] for item in output] == ["Three"]


def test_a_failed_response_has_what_came_without_what_was_left() -> None:
    _, events = answered({"content": "The sun "}, {"content": "shines."})
    stored = events[:4] + continued(events[:4], {"content": "Dark."})[1][:4]

    assert [item["content"][0]["text"] for item in partial_output(stored)] == ["Dark."]


def test_stored_events_are_read_from_behind_any_number() -> None:
    events = [{"type": f"response.{n}", "text": "line\n\nbreaks\r\n"} for n in range(3, 8)]
    data = b"".join(encoded(event, n, sealed=False) for n, event in enumerate(events, 3))

    for number in range(10):
        found = [event["sequence_number"] for event in decoded([behind(number, data, 7)])]
        assert found == [n for n in range(3, 8) if n > number]
