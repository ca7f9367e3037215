"""A message for the LLM, and what its answer adds to a conversation."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from answerback.conversations.messages import call_item
from answerback.conversations.model import Item
from answerback.kernel.json import Json
from answerback.kernel.values import quickly_made

Content: TypeAlias = str | list[dict[str, Json]]
"""A text, or OpenAI's content parts."""


@dataclass(frozen=True, slots=True)
class ToolOutput:
    """The output of a tool that the LLM has called."""

    tool_call_id: str
    output: str


@quickly_made
@dataclass(frozen=True, slots=True)
class Message:
    """What a client of `POST /webhook` asks for: a `message`, or in its place `tool_outputs`. `session_id` is None
    where the callback URL names the conversation; `params` are parameters of the upstream's chat completions;
    `metadata` is echoed."""

    message: Content | None = None
    tool_outputs: tuple[ToolOutput, ...] = ()
    session_id: str | None = None
    stateless: bool = False
    model: str | None = None
    system: str | None = None
    temperature: float | None = None
    max_tokens: int | None = None
    params: dict[str, Json] | None = None
    metadata: dict[str, Json] | None = None

    def conversation_key(self, callback_url: str) -> str | None:
        """None for a message without memory and order."""
        if self.stateless:
            return None
        return callback_url if self.session_id is None else self.session_id

    @property
    def items(self) -> list[Item]:
        if self.message is not None:
            return [{"type": "message", "role": "user", "content": self.message}]
        return [
            {"type": "function_call_output", "call_id": each.tool_call_id, "output": each.output}
            for each in self.tool_outputs
        ]

    def request(self, said: list[dict[str, Json]]) -> dict[str, Json]:
        """The chat completion request, with these messages."""
        chosen = {"model": self.model, "temperature": self.temperature, "max_tokens": self.max_tokens}
        given = {name: value for name, value in chosen.items() if value is not None}
        return {**(self.params or {}), "messages": said, **given}


def answer_items(result: Mapping[str, Json]) -> Iterator[Item]:
    """The items of an answer as the job's result holds it."""
    if result["text"] is not None:
        yield {"type": "message", "role": "assistant", "content": result["text"]}
    yield from map(call_item, result.get("tool_calls", ()))
