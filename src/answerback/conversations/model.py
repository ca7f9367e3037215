"""What conversations remember: OpenAI's items, one entry for each job that completed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

from answerback.kernel.json import Json
from answerback.kernel.values import quickly_made

Item: TypeAlias = Mapping[str, Json]
"""`message` (role, content), `function_call` (call_id, name, arguments), `custom_tool_call` (call_id, name, input),
`function_call_output` (call_id, output; of either call) or `reasoning`, as in OpenAI's responses. `extra` holds the
other fields of a call, which its upstream wants back, as Gemini its thought signatures."""


@quickly_made
@dataclass(frozen=True, slots=True)
class Entry:
    """What one job added. `position` is the job's place in the conversation, from 1; `at` is when it ended, in epoch
    milliseconds of the wall clock."""

    position: int
    job_id: str
    items: Sequence[Item]
    at: int


@dataclass(frozen=True, slots=True)
class Conversation:
    """Entries, oldest first; `pending` is how many jobs still wait for an answer. Below position `older` there are
    more, unless it is None."""

    key: str
    pending: int
    entries: Sequence[Entry]
    older: int | None


@dataclass(frozen=True, slots=True)
class ConversationSummary:
    """A conversation as lists show it: how many messages were sent to it since it was erased, how many wait for an
    answer, and when one was last answered, in epoch milliseconds."""

    tenant_id: str
    key: str
    messages: int
    waiting: int
    updated_at: int


class ConversationPosition(NamedTuple):
    """Where a page of conversations ends."""

    updated_at: int
    id: int


@dataclass(frozen=True, slots=True)
class ConversationPage:
    """The last used ones first. `following` is where the page after begins, None behind the last."""

    conversations: Sequence[ConversationSummary]
    following: ConversationPosition | None


@dataclass(frozen=True, slots=True)
class Recalled:
    """The entries of a window, oldest first. The conversation was erased through position `erased_through`, 0 if
    never."""

    entries: Sequence[Entry]
    erased_through: int


@quickly_made
@dataclass(frozen=True, slots=True)
class Place:
    """Where a claimed job stands in its conversation, and what it may read of it. `claim` names this claim alone, among
    those of the same job, too."""

    tenant_id: str
    conversation_id: int
    position: int
    erased_through: int
    window_from: int
    claim: str

    @property
    def first(self) -> int:
        """The first position that may be remembered."""
        return max(self.window_from, self.erased_through + 1)

    @property
    def remembers(self) -> bool:
        """Whether there may be anything to remember. The first job has nothing, which saves the read."""
        return self.first < self.position


@dataclass(frozen=True, slots=True)
class Memory:
    """How much of a conversation travels with the next message: items, tokens in all, seconds of silence after which
    everything before is forgotten."""

    max_messages: int
    max_tokens: int
    ttl_seconds: float
