"""What a conversation remembers."""

from collections.abc import Sequence
from dataclasses import dataclass

from answerback.llm.model import Turn


@dataclass(frozen=True, slots=True)
class Recalled:
    """A conversation's newest turns, newest first, and the last message that an erasure keeps out of its memory (0: it
    was never erased)."""

    turns: Sequence[Turn]
    erased_through: int
