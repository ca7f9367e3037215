"""Requests for responses, checked, as they are stored and carried out."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

from answerback.kernel.json import Json
from answerback.kernel.values import quickly_made

Item: TypeAlias = dict[str, Json]
"""One of OpenAI's items, in the shape that `items.py` gives it. Items of an input have no `id`: it follows from the
response's and their place (`ids.py`)."""

ADDITIONAL_TOOLS = "additional_tools"
"""The type of an item that offers tools from where it stands on."""
REFERENCE = "item_reference"
"""The type of an item that stands for a stored one."""

Includable = Literal[
    "reasoning.encrypted_content",
    "message.output_text.logprobs",
    "message.input_image.image_url",
    "file_search_call.results",
    "web_search_call.results",
    "web_search_call.action.sources",
    "computer_call_output.output.image_url",
    "code_interpreter_call.outputs",
]
"""What OpenAI's requests may `include`. All but the first two concern its own tools, or change nothing here."""
SEALED: Includable = "reasoning.encrypted_content"
LOGPROBS: Includable = "message.output_text.logprobs"


@quickly_made
@dataclass(frozen=True, slots=True)
class Asked:
    """A request for a response. `parameters` are those of the request, without what is absent; `input` are its items,
    without those of the responses before it, whose ids are its `ancestors`, the oldest first."""

    parameters: Mapping[str, Json]
    input: tuple[Item, ...]
    ancestors: tuple[str, ...] = ()

    @property
    def model(self) -> str | None:
        model: str | None = self.parameters.get("model")
        return model

    @property
    def stored(self) -> bool:
        return self.parameters.get("store") is not False

    @property
    def streamed(self) -> bool:
        return self.parameters.get("stream") is True

    @property
    def background(self) -> bool:
        return self.parameters.get("background") is True

    @property
    def shortened(self) -> bool:
        """Whether the oldest of what stands before the input may be left out."""
        return self.parameters.get("truncation") == "auto"

    @property
    def previous(self) -> str | None:
        previous: str | None = self.parameters.get("previous_response_id")
        return previous

    @property
    def conversation(self) -> str | None:
        conversation: str | None = self.parameters.get("conversation")
        return conversation

    def includes(self, wanted: str) -> bool:
        return wanted in self.parameters.get("include", ())

    def including(self, more: Iterable[str]) -> "Asked":
        """The same request, with more to include."""
        return replace(self, parameters={**self.parameters, "include": [*self.parameters.get("include", ()), *more]})

    @property
    def logprobs(self) -> bool:
        return bool(self.parameters.get("top_logprobs")) or self.includes(LOGPROBS)

    @property
    def summarises(self) -> bool:
        """Whether the model's thoughts are shown as a summary."""
        reasoning = self.parameters.get("reasoning", {})
        return bool(reasoning.get("summary") or reasoning.get("generate_summary"))
