"""Conversations as values."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from answerback.responses.model import Item


@dataclass(frozen=True, slots=True)
class Conversation:
    """`created_at` is in epoch milliseconds, `pending` how many of its responses are not answered yet."""

    id: str
    metadata: Mapping[str, str]
    created_at: int
    pending: int


@dataclass(frozen=True, slots=True)
class ItemPage:
    """Some of a conversation's items, in the order that was asked for."""

    items: Sequence[Item]
    has_more: bool
