"""What travels with a message: the newest turns that fit, whole and in order."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from answerback.llm.model import Memory, Turn, estimate_tokens, messages, storable, window

NOW = 1_750_000_000_000
HOUR = 3_600_000


@st.composite
def conversations(draw: st.DrawFn) -> list[Turn]:
    """Turns newest first, each some time before the next."""
    gaps = draw(st.lists(st.integers(0, 3 * HOUR), max_size=30))
    at, turns = NOW, []
    for number, gap in enumerate(gaps):
        at -= gap
        text = st.text(max_size=200)
        turns.append(Turn(len(gaps) - number, draw(text), draw(text), at))
    return turns


memories = st.builds(
    Memory, st.integers(0, 40), st.integers(0, 2_000), st.floats(0, 10 * 3600, allow_nan=False, allow_infinity=False)
)
fixed_texts = st.lists(st.text(max_size=100), max_size=2)


@given(conversations(), memories, fixed_texts)
def test_the_window_is_the_newest_stretch_of_the_conversation_oldest_first(
    turns: list[Turn], memory: Memory, fixed: list[str]
) -> None:
    taken = window(turns, memory, NOW, fixed)

    assert taken == turns[: len(taken)][::-1]


@given(conversations(), memories, fixed_texts)
def test_the_window_never_exceeds_its_limits(turns: list[Turn], memory: Memory, fixed: list[str]) -> None:
    taken = window(turns, memory, NOW, fixed)

    texts = [*fixed, *(text for turn in taken for text in (turn.user, turn.assistant))]
    assert 2 * len(taken) <= memory.max_messages
    assert not taken or sum(map(estimate_tokens, texts)) <= memory.max_tokens
    times = [turn.at for turn in taken] + [NOW]
    assert all(after - before <= memory.ttl_seconds * 1000 for before, after in pairwise(times))


@given(conversations(), memories, fixed_texts)
def test_nothing_that_would_fit_is_left_out(turns: list[Turn], memory: Memory, fixed: list[str]) -> None:
    taken = window(turns, memory, NOW, fixed)

    if len(taken) == len(turns):
        return
    first_left = turns[len(taken)]
    wider = [*taken, first_left]
    tokens = sum(map(estimate_tokens, [*fixed, *(text for turn in wider for text in (turn.user, turn.assistant))]))
    later = taken[0].at if taken else NOW
    assert (
        2 * len(wider) > memory.max_messages
        or tokens > memory.max_tokens
        or later - first_left.at > memory.ttl_seconds * 1000
    )


def test_a_silence_longer_than_the_memory_ends_it_for_everything_before() -> None:
    turns = [Turn(3, "c", "C", NOW), Turn(2, "b", "B", NOW - 3 * HOUR), Turn(1, "a", "A", NOW - 3 * HOUR)]

    assert window(turns, Memory(20, 8_000, 3600), NOW, []) == [turns[0]]
    assert window(turns, Memory(20, 8_000, 3 * 3600), NOW, []) == turns[::-1]


def test_a_conversation_without_silences_is_remembered_however_long_ago_it_began() -> None:
    turns = [Turn(3 - n, "q", "a", NOW - n * HOUR) for n in range(3)]

    assert window(turns, Memory(20, 8_000, 3600), NOW, []) == turns[::-1]


def test_each_turn_becomes_a_user_and_an_assistant_message_between_system_and_question() -> None:
    said = messages("be kind", [Turn(1, "a", "A", NOW), Turn(2, "b", "B", NOW)], "c")

    assert [(each["role"], each["content"]) for each in said] == [
        ("system", "be kind"),
        ("user", "a"),
        ("assistant", "A"),
        ("user", "b"),
        ("assistant", "B"),
        ("user", "c"),
    ]


def test_without_system_or_turns_only_the_question_is_said() -> None:
    assert messages(None, [], "c") == [{"role": "user", "content": "c"}]


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ("half an emoji \ud83c", "half an emoji \ufffd"),
        ("half \ud83c in between", "half \ufffd in between"),
        ("whole \ud83c\udf0d", "whole 🌍"),
        ("plain ü", "plain ü"),
        ("NUL\0 goes", "NUL goes"),
    ],
)
def test_an_answer_is_made_of_text_that_databases_and_utf8_can_carry(said: str, kept: str) -> None:
    assert storable(said) == kept
