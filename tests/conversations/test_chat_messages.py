"""Items as chat completions have them."""

import pytest
from conversation_stories import answered, asked, called, conversations, output
from hypothesis import given

from answerback.conversations.messages import call_item, chat_messages, open_calls
from answerback.conversations.model import Entry
from answerback.conversations.window import items_of


def tool_call(call_id: str) -> dict[str, object]:
    return {"id": call_id, "type": "function", "function": {"name": "look_up", "arguments": "{}"}}


def test_each_message_becomes_a_message_and_parts_stay_as_they_are() -> None:
    parts = [{"type": "text", "text": "what is it?"}, {"type": "image_url", "image_url": {"url": "https://x.test/cat"}}]

    assert chat_messages([asked("a"), answered("A"), asked(parts)]) == [
        {"role": "user", "content": "a"},
        {"role": "assistant", "content": "A"},
        {"role": "user", "content": parts},
    ]


def test_calls_go_into_one_message_of_the_assistant_and_their_outputs_follow() -> None:
    said = chat_messages([asked("a"), answered("let me see"), called("1"), called("2"), output("1"), output("2", "no")])

    assert said[1:] == [
        {"role": "assistant", "content": "let me see", "tool_calls": [tool_call("1"), tool_call("2")]},
        {"role": "tool", "tool_call_id": "1", "content": "found"},
        {"role": "tool", "tool_call_id": "2", "content": "no"},
    ]


def test_an_answer_of_calls_alone_has_no_text() -> None:
    said = chat_messages([asked("a"), called("1"), output("1")])

    assert said[1] == {"role": "assistant", "content": None, "tool_calls": [tool_call("1")]}


def test_a_call_without_an_output_is_left_out() -> None:
    assert chat_messages([asked("a"), answered("A"), called("1"), asked("b")]) == [
        {"role": "user", "content": "a"},
        {"role": "assistant", "content": "A"},
        {"role": "user", "content": "b"},
    ]


def test_a_call_that_is_answered_later_than_another_is_said_where_its_output_is() -> None:
    items = [asked("a"), called("1"), called("2"), output("1"), answered("one moment"), output("2")]

    assert chat_messages(items)[1:] == [
        {"role": "assistant", "content": None, "tool_calls": [tool_call("1")]},
        {"role": "tool", "tool_call_id": "1", "content": "found"},
        {"role": "assistant", "content": "one moment", "tool_calls": [tool_call("2")]},
        {"role": "tool", "tool_call_id": "2", "content": "found"},
    ]


def test_an_output_after_the_next_message_of_the_user_is_left_out() -> None:
    said = chat_messages([asked("a"), called("1"), asked("b"), answered("B"), output("1")])

    assert [message["role"] for message in said] == ["user", "user", "assistant"]


def test_reasoning_is_not_said() -> None:
    assert chat_messages([{"type": "reasoning", "summary": []}, asked("a")]) == [{"role": "user", "content": "a"}]


@given(conversations())
def test_every_call_that_is_said_is_answered_at_once(history: list[Entry]) -> None:
    said = chat_messages(items_of(history))

    waiting: list[str] = []
    for message in said:
        if message["role"] == "tool":
            assert message["tool_call_id"] == waiting.pop(0)
        else:
            assert not waiting
            waiting = [call["id"] for call in message.get("tool_calls", ())]
    assert not waiting


def test_a_call_is_open_until_it_is_answered_or_the_user_says_something_else() -> None:
    calls = [asked("a"), called("1"), called("2")]

    assert open_calls(calls) == {"1", "2"}
    assert open_calls([*calls, output("1"), answered("one moment")]) == {"2"}
    assert open_calls([*calls, asked("b")]) == set()


@pytest.mark.parametrize(
    "call",
    [
        tool_call("1"),
        {"id": "1", "type": "custom", "custom": {"name": "shell", "input": "ls"}},
        tool_call("1") | {"type": "builtin_function"},
        tool_call("1") | {"extra_content": {"google": {"thought_signature": "c2ln"}}},
    ],
    ids=["function", "custom", "built in", "signed"],
)
def test_a_call_is_said_again_as_its_upstream_said_it(call: dict[str, object]) -> None:
    output = {"type": "function_call_output", "call_id": "1", "output": "done"}

    said = chat_messages([{"type": "message", "role": "user", "content": "do"}, call_item(call), output])

    assert open_calls([call_item(call)]) == {"1"}
    assert said[1]["tool_calls"] == [call]
