"""Conversations as tests need them: what was said and called, job by job."""

from collections.abc import Sequence
from typing import Any

from hypothesis import strategies as st

from answerback.conversations.model import Entry, Item

NOW = 1_750_000_000_000
HOUR = 3_600_000


def asked(content: Any) -> Item:
    return {"type": "message", "role": "user", "content": content}


def answered(text: str) -> Item:
    return {"type": "message", "role": "assistant", "content": text}


def called(call_id: str, name: str = "look_up", arguments: str = "{}") -> Item:
    return {"type": "function_call", "call_id": call_id, "name": name, "arguments": arguments}


def output(call_id: str, text: str = "found") -> Item:
    return {"type": "function_call_output", "call_id": call_id, "output": text}


def entries(*added: Sequence[Item], at: int = NOW) -> list[Entry]:
    """What jobs added, in the order of their positions from 1."""
    return [Entry(position, f"job_{position}", list(items), at) for position, items in enumerate(added, start=1)]


@st.composite
def conversations(draw: st.DrawFn, max_size: int = 30) -> list[Entry]:
    """Any history that jobs can leave behind: each asks or answers open calls, then is answered, by a text or by
    calls; jobs that failed leave gaps between the positions, silences lie between the times."""
    texts = st.text(alphabet="aé🦜", max_size=200)
    history: list[Entry] = []
    opened: list[str] = []
    position, at, calls = 0, NOW - 10_000 * HOUR, 0
    for _ in range(draw(st.integers(0, max_size))):
        position += draw(st.integers(1, 3))
        at += draw(st.integers(0, 3 * HOUR))
        items: list[Item] = []
        if opened and draw(st.booleans()):
            for call_id in draw(st.lists(st.sampled_from(opened), min_size=1, unique=True)):
                items.append(output(call_id, draw(texts)))
                opened.remove(call_id)
        else:
            items.append(asked(draw(texts)))
            opened.clear()
        made = draw(st.integers(0, 3))
        if not made or draw(st.booleans()):
            items.append(answered(draw(texts)))
        for _ in range(made):
            calls += 1
            items.append(called(f"call_{calls}", draw(texts), draw(texts)))
            opened.append(f"call_{calls}")
        history.append(Entry(position, f"job_{position}", items, at))
    return history
