"""What travels with a message: the newest turns, whole and in order, from a beginning that moves in blocks."""

from itertools import pairwise

from conversation_stories import HOUR, NOW, answered, asked, called, conversations, entries, output
from hypothesis import given
from hypothesis import strategies as st

from answerback.conversations.messages import chat_messages
from answerback.conversations.model import Entry, Memory
from answerback.conversations.window import Window, is_asked, item_tokens, items_of, turns_of, window
from answerback.kernel.usage import estimate_tokens

NEXT = [asked("and then?")]
ROOMY = Memory(max_messages=20, max_tokens=8_000, ttl_seconds=86_400)

memories = st.builds(
    Memory, st.integers(0, 40), st.integers(0, 2_000), st.floats(0, 10 * 3600, allow_nan=False, allow_infinity=False)
)


def kept(window: Window) -> list[Entry]:
    return [entry for turn in window.turns for entry in turn.entries]


def soon_after(history: list[Entry]) -> int:
    return history[-1].at + 1 if history else NOW


def long_memory(memory: Memory) -> Memory:
    """The same, but for silences."""
    return Memory(memory.max_messages, memory.max_tokens, 1e9)


@given(conversations())
def test_a_turn_begins_with_a_message_of_the_user_and_holds_no_other(history: list[Entry]) -> None:
    turns = turns_of(history)

    assert [entry for turn in turns for entry in turn.entries] == history
    for turn in turns:
        assert [any(map(is_asked, entry.items)) for entry in turn.entries] == [True] + [False] * (len(turn.entries) - 1)


@given(conversations(), memories)
def test_the_window_is_made_of_the_newest_turns_each_whole(history: list[Entry], memory: Memory) -> None:
    chosen = window(history, memory, soon_after(history), NEXT, None)

    turns = turns_of(history)
    assert list(chosen.turns) == turns[len(turns) - len(chosen.turns) :]
    assert chosen.moved == (len(chosen.turns) < len(turns))


@given(conversations(), memories)
def test_the_window_never_exceeds_its_limits(history: list[Entry], memory: Memory) -> None:
    now = soon_after(history)

    chosen = window(history, memory, now, NEXT, "be kind")

    tokens = sum(map(item_tokens, [*chosen.items, *NEXT])) + estimate_tokens("be kind")
    assert len(chosen.items) <= memory.max_messages
    assert not chosen.turns or tokens <= memory.max_tokens
    times = [entry.at for entry in kept(chosen)] + [now]
    assert all(after - before <= memory.ttl_seconds * 1000 for before, after in pairwise(times))


@given(conversations(), memories)
def test_a_call_and_its_output_never_part(history: list[Entry], memory: Memory) -> None:
    chosen = window(history, memory, soon_after(history), NEXT, None)

    calls = {item["call_id"] for item in chosen.items if item["type"] == "function_call"}
    assert {item["call_id"] for item in chosen.items if item["type"] == "function_call_output"} <= calls


@given(conversations(), memories)
def test_a_beginning_that_moves_leaves_at_least_a_quarter_behind(history: list[Entry], memory: Memory) -> None:
    memory = long_memory(memory)

    chosen = window(history, memory, soon_after(history), NEXT, None)

    dropped = turns_of(history)[: -len(chosen.turns) or None]
    if chosen.moved and chosen.turns:
        messages = sum(turn.messages for turn in dropped)
        tokens = sum(turn.tokens for turn in dropped)
        assert messages >= memory.max_messages / 4 or tokens >= memory.max_tokens / 4


@given(conversations(), memories)
def test_what_fits_stays(history: list[Entry], memory: Memory) -> None:
    memory = long_memory(memory)

    chosen = window(history, memory, soon_after(history), NEXT, None)

    if chosen.moved:
        items = items_of(history)
        assert len(items) > memory.max_messages or sum(map(item_tokens, [*items, *NEXT])) > memory.max_tokens


@given(conversations(), memories)
def test_a_window_rebuilt_from_its_beginning_is_the_same(history: list[Entry], memory: Memory) -> None:
    now = soon_after(history)
    chosen = window(history, memory, now, NEXT, None)
    begins = chosen.turns[0].position if chosen.turns else now

    again = window([entry for entry in history if entry.position >= begins], memory, now, NEXT, None)

    assert (list(again.turns), again.moved) == (list(chosen.turns), False)


@given(conversations(), memories)
def test_the_beginning_only_moves_forward_and_between_moves_each_message_goes_on_from_the_last(
    history: list[Entry], memory: Memory
) -> None:
    begins, before = 0, None
    for number, entry in enumerate(history):
        new = [item for item in entry.items if is_asked(item) or item["type"] == "function_call_output"]
        past = [each for each in history[:number] if each.position >= begins]
        chosen = window(past, memory, entry.at, new, None)
        if chosen.moved:
            moved_to = chosen.turns[0].position if chosen.turns else entry.position
            assert moved_to > begins
            begins, before = moved_to, None
        if not chosen.turns and not any(map(is_asked, new)):
            return  # Its calls are forgotten: such a job fails, and leaves nothing.
        said = chat_messages([*chosen.items, *new])
        if before is not None:
            assert said[: len(before)] == before
        before = said


def test_one_more_message_than_fits_drops_the_oldest_quarter_at_once() -> None:
    history = entries(*([asked(f"question {n}"), answered(f"answer {n}")] for n in range(1, 12)))

    chosen = window(history, ROOMY, NOW, NEXT, None)

    # 22 items, two too many: a quarter of 20 is five, and turns are whole.
    assert [turn.position for turn in chosen.turns] == [4, 5, 6, 7, 8, 9, 10, 11]


def test_a_silence_longer_than_the_memory_ends_it_for_everything_before() -> None:
    history = [
        Entry(1, "job_1", [asked("a"), answered("A")], NOW - 4 * HOUR),
        Entry(2, "job_2", [asked("b"), answered("B")], NOW - 3 * HOUR),
        Entry(3, "job_3", [asked("c"), answered("C")], NOW),
    ]

    assert kept(window(history, Memory(20, 8_000, 3600), NOW, NEXT, None)) == history[2:]
    assert kept(window(history, Memory(20, 8_000, 3 * 3600), NOW, NEXT, None)) == history


def test_a_conversation_without_silences_is_remembered_however_long_ago_it_began() -> None:
    history = [Entry(n, f"job_{n}", [asked("q"), answered("a")], NOW - (3 - n) * HOUR) for n in (1, 2, 3)]

    assert kept(window(history, Memory(20, 8_000, 3600), NOW, NEXT, None)) == history


def test_entries_whose_beginning_is_gone_are_left_out() -> None:
    history = entries([asked("a"), called("c1")], [output("c1"), answered("A")], [asked("b"), answered("B")])

    assert kept(window(history[1:], ROOMY, NOW, NEXT, None)) == history[2:]


def test_the_turn_whose_calls_are_answered_stays_however_long_it_is() -> None:
    history = entries([asked("a"), answered("A")], [asked("b" * 50_000), called("c1")])

    chosen = window(history, ROOMY, NOW, [output("c1")], None)

    assert [turn.position for turn in chosen.turns] == [2]


def test_an_image_counts_for_itself_not_for_its_bytes() -> None:
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64," + "A" * 100_000}}
    history = entries([asked([{"type": "text", "text": "what is it?"}, image]), answered("a cat")])

    assert kept(window(history, ROOMY, NOW, NEXT, None)) == history
