"""Which part of a conversation travels with the next message: whole turns, from a beginning that only moves forward.

The beginning moves in blocks and is stored, so that the messages before the newest stay the same from one call to the
next, as long as possible: providers charge less for a beginning that they have seen before.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

from answerback.conversations.model import Entry, Item, Memory
from answerback.kernel.usage import estimate_tokens
from answerback.kernel.values import quickly_made

IMAGE_TOKENS = 1_000
"""About what an image costs, whatever its size in bytes."""


@dataclass(frozen=True)
class Turn:
    """A user's message and all that followed, up to the next one: answers, calls of tools and their outputs."""

    entries: Sequence[Entry]

    @property
    def position(self) -> int:
        return self.entries[0].position

    @cached_property
    def messages(self) -> int:
        return sum(item["type"] != "reasoning" for item in items_of(self.entries))

    @cached_property
    def tokens(self) -> int:
        return sum(map(item_tokens, items_of(self.entries)))


@quickly_made
@dataclass(frozen=True, slots=True)
class Window:
    """What is remembered, oldest first. `moved`: turns that were remembered before are left out from now on."""

    turns: Sequence[Turn]
    moved: bool

    @property
    def items(self) -> list[Item]:
        return [item for turn in self.turns for item in items_of(turn.entries)]


def shorter(remembered: Window, new: Sequence[Item]) -> Window | None:
    """Without the older half of its turns, for a model that takes less than the memory holds; None where no turn can be
    dropped."""
    droppable = len(remembered.turns) - _under_way(new)
    if droppable <= 0:
        return None
    return Window(remembered.turns[(droppable + 1) // 2 :], moved=True)


def items_of(entries: Iterable[Entry]) -> list[Item]:
    return [item for entry in entries for item in entry.items]


def item_tokens(item: Item) -> int:
    match item["type"]:
        case "message":
            content = item["content"]
            return estimate_tokens(content) if isinstance(content, str) else sum(map(_part_tokens, content))
        case "function_call":
            return estimate_tokens(item["name"] + item["arguments"])
        case "custom_tool_call":
            return estimate_tokens(item["name"] + item["input"])
        case "function_call_output":
            return estimate_tokens(item["output"])
        case _:
            return 0


def _part_tokens(part: Item) -> int:
    return estimate_tokens(part["text"]) if part["type"] == "text" else IMAGE_TOKENS


def is_asked(item: Item) -> bool:
    """Whether the item is a user's message."""
    return bool(item["type"] == "message" and item["role"] == "user")


def is_call(item: Item) -> bool:
    """Whether the item is a call of a tool."""
    return item["type"] in ("function_call", "custom_tool_call")


def turns_of(entries: Iterable[Entry]) -> list[Turn]:
    """The turns of these entries, oldest first. Entries whose beginning is gone, by an erasure or by age, are left
    out."""
    begun: list[list[Entry]] = []
    for entry in entries:
        if any(map(is_asked, entry.items)):
            begun.append([entry])
        elif begun:
            begun[-1].append(entry)
    return [Turn(each) for each in begun]


def window(entries: Iterable[Entry], memory: Memory, now: int, new: Sequence[Item], system: str | None) -> Window:
    """What travels with the items of a `new` message. `entries` are those that were remembered so far, oldest first;
    `now` is in epoch milliseconds.

    If they do not fit, the oldest turns are dropped: at least a quarter of the memory at once. Outputs of tools belong
    to the turn that called them, which then stays however long it is.
    """
    turns = turns_of(entries)
    if not turns:
        return Window(turns, moved=False)
    spoken = _after_silence(turns, memory, now)
    fixed = sum(map(item_tokens, new)) + (estimate_tokens(system) if system else 0)
    kept = spoken[_overflow(spoken, memory, fixed, len(spoken) - _under_way(new)) :]
    return Window(kept, moved=len(kept) < len(turns))


def _under_way(new: Sequence[Item]) -> int:
    """How many of the newest turns the items belong to: outputs of tools to the one that called them."""
    return 0 if any(map(is_asked, new)) else 1


def _after_silence(turns: Sequence[Turn], memory: Memory, now: int) -> Sequence[Turn]:
    """The turns since the last silence that was longer than `ttl_seconds`."""
    limit = memory.ttl_seconds * 1000
    begins = len(turns)
    later = now
    while begins:
        times = [entry.at for entry in turns[begins - 1].entries] + [later]
        if any(after - before > limit for before, after in pairwise(times)):
            break
        begins -= 1
        later = times[0]
    return turns[begins:]


def _overflow(turns: Sequence[Turn], memory: Memory, fixed: int, droppable: int) -> int:
    """How many of the oldest turns are dropped."""
    too_many = sum(turn.messages for turn in turns) - memory.max_messages
    too_long = sum(turn.tokens for turn in turns) + fixed - memory.max_tokens
    messages = max(too_many, memory.max_messages / 4) if too_many > 0 else 0
    tokens = max(too_long, memory.max_tokens / 4) if too_long > 0 else 0
    dropped = 0
    while dropped < droppable and (messages > 0 or tokens > 0):
        messages -= turns[dropped].messages
        tokens -= turns[dropped].tokens
        dropped += 1
    return dropped
