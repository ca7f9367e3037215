"""The items of an answer while it streams: each opens, grows and closes, and says so in OpenAI's events, which get
their numbers when they are sent."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from typing import TypeAlias

from answerback.kernel.json import Json, in_text
from answerback.llm.answers.pieces import TextPieces
from answerback.llm.answers.thoughts import DETAILS, Thought, merged
from answerback.llm.model import storable
from answerback.responses.items.thoughts import sealed
from answerback.responses.model import Item
from answerback.responses.tools.toolbox import Tool

Event: TypeAlias = dict[str, Json]


class OpenItem(ABC):
    """An item at `index` of the output."""

    def __init__(self, item_id: str, index: int) -> None:
        self.id = item_id
        self.index = index
        self._at = {"item_id": item_id, "output_index": index}

    @abstractmethod
    def item(self, status: str) -> Item:
        """What has come of it."""

    @abstractmethod
    def close(self, status: str) -> Iterator[Event]:
        """Its last events."""

    def _added(self, item: Item) -> Event:
        return {"type": "response.output_item.added", "output_index": self.index, "item": item}

    def _done(self, status: str) -> Event:
        return {"type": "response.output_item.done", "output_index": self.index, "item": self.item(status)}


class OpenMessage(OpenItem):
    """Text, or the refusal of an answer, or one after the other."""

    def __init__(self, item_id: str, index: int) -> None:
        super().__init__(item_id, index)
        self._parts: list[Item] = []
        self._part_type: str | None = None
        self._part_at = self._at
        self._pieces: list[str] = []
        self._logprobs: list[Item] = []
        self._annotations: list[Item] = []

    def item(self, status: str) -> Item:
        return message_item(self.id, status, [*self._parts[:-1], self._whole()] if self._parts else [])

    def begin(self) -> Event:
        return self._added(self.item("in_progress"))

    def say(self, text: str, logprobs: Sequence[Item] = ()) -> Iterator[Event]:
        if self._part_type != "output_text":
            yield from self._turn_to(text_part())
        self._pieces.append(text)
        self._logprobs += logprobs
        shown = list(map(_for_event, logprobs))
        yield {"type": "response.output_text.delta", **self._part_at, "delta": text, "logprobs": shown}

    def refuse(self, text: str) -> Iterator[Event]:
        if self._part_type != "refusal":
            yield from self._turn_to({"type": "refusal", "refusal": ""})
        self._pieces.append(text)
        yield {"type": "response.refusal.delta", **self._part_at, "delta": text}

    def annotate(self, annotations: Iterable[Item]) -> None:
        """Adds them to the text that is open; its part shows them once it is whole."""
        self._annotations += annotations

    def close(self, status: str) -> Iterator[Event]:
        yield from self._close_part()
        yield self._done(status)

    def _whole(self) -> Item:
        """The last part, as far as it has come."""
        part, text = self._parts[-1], "".join(self._pieces)
        if part["type"] == "refusal":
            return {**part, "refusal": text}
        return {**part, "text": text, "annotations": list(self._annotations), "logprobs": list(self._logprobs)}

    def _turn_to(self, part: Item) -> Iterator[Event]:
        """Opens a part."""
        yield from self._close_part()
        self._part_type, self._part_at = part["type"], {**self._at, "content_index": len(self._parts)}
        self._parts.append(part)
        self._pieces, self._logprobs, self._annotations = [], [], []
        yield {"type": "response.content_part.added", **self._part_at, "part": part}

    def _close_part(self) -> Iterator[Event]:
        if not self._parts:
            return
        whole = self._parts[-1] = self._whole()
        if whole["type"] == "refusal":
            yield {"type": "response.refusal.done", **self._part_at, "refusal": whole["refusal"]}
        else:
            logprobs = [_for_event(each) for each in whole["logprobs"]]
            yield {"type": "response.output_text.done", **self._part_at, "text": whole["text"], "logprobs": logprobs}
        yield {"type": "response.content_part.done", **self._part_at, "part": whole}


class OpenReasoning(OpenItem):
    """Thoughts: shown as a summary where one was asked for, else as they are."""

    def __init__(self, item_id: str, index: int, *, summarised: bool) -> None:
        super().__init__(item_id, index)
        self._summarised = summarised
        self._pieces: list[str] = []
        self._details: list[Json] = []
        self._field: str | None = None
        name = "summary" if summarised else "content"
        self._part_at = {**self._at, f"{name}_index": 0}
        part = "reasoning_summary_part" if summarised else "content_part"
        text = "reasoning_summary_text" if summarised else "reasoning_text"
        self._part_event, self._text_event = f"response.{part}", f"response.{text}"

    def item(self, status: str) -> Item:
        return self._item(status, [self._part("".join(self._pieces))])

    def begin(self) -> Iterator[Event]:
        yield self._added(self._item("in_progress", []))
        yield {"type": f"{self._part_event}.added", **self._part_at, "part": self._part("")}

    def think(self, thought: Thought) -> Iterator[Event]:
        self._field = thought.field or self._field
        self._details += thought.details
        if thought.text:
            self._pieces.append(thought.text)
            yield {"type": f"{self._text_event}.delta", **self._part_at, "delta": thought.text}

    def close(self, status: str) -> Iterator[Event]:
        text = "".join(self._pieces)
        yield {"type": f"{self._text_event}.done", **self._part_at, "text": text}
        yield {"type": f"{self._part_event}.done", **self._part_at, "part": self._part(text)}
        yield self._done(status)

    def _part(self, text: str) -> Item:
        return {"type": "summary_text" if self._summarised else "reasoning_text", "text": text}

    def _item(self, status: str, parts: list[Item]) -> Item:
        made: Item = {"id": self.id, "type": "reasoning", "summary": parts if self._summarised else []}
        if not self._summarised:
            made["content"] = parts
        if self._field is not None:
            whole = merged(self._details) if self._field == DETAILS else "".join(self._pieces)
            made["encrypted_content"] = sealed(self._field, whole)
        return {**made, "status": status}


class OpenCall(OpenItem):
    """A call of a tool. That of a custom tool is made of a function's arguments, which are read once they are whole."""

    def __init__(self, item_id: str, index: int, call_id: str, tool: Tool) -> None:
        super().__init__(item_id, index)
        self._call_id = call_id
        self._tool = tool
        self._text = TextPieces()
        self._pieces: list[str] = []
        self.extra: Item = {}
        """What an upstream wants back with the call, as Gemini its thought signatures."""

    @property
    def _custom(self) -> bool:
        return self._tool.kind == "custom"

    def item(self, status: str) -> Item:
        return self._item(status, "".join(self._pieces) or ("" if status == "incomplete" else "{}"))

    def begin(self) -> Event:
        return self._added(self._item("in_progress", ""))

    def add(self, arguments: str, *, last: bool = False) -> Iterator[Event]:
        if arguments := self._text.next(arguments, last=last):
            self._pieces.append(arguments)
            if not self._custom:
                yield {"type": "response.function_call_arguments.delta", **self._at, "delta": arguments}

    def close(self, status: str) -> Iterator[Event]:
        yield from self.add("", last=True)
        item = self.item(status)
        if self._custom:
            given = item["input"]
            yield {"type": "response.custom_tool_call_input.delta", **self._at, "delta": given}
            yield {"type": "response.custom_tool_call_input.done", **self._at, "input": given}
        else:
            if not self._pieces and item["arguments"]:
                yield {"type": "response.function_call_arguments.delta", **self._at, "delta": item["arguments"]}
            named = {"name": self._tool.name, "arguments": item["arguments"]}
            yield {"type": "response.function_call_arguments.done", **self._at, **named}
        yield self._done(status)

    def _item(self, status: str, arguments: str) -> Item:
        kind = "custom_tool_call" if self._custom else "function_call"
        namespace = {} if self._tool.namespace is None else {"namespace": self._tool.namespace}
        said = {"input": _input_of(arguments)} if self._custom else {"arguments": arguments}
        extra = {"extra": self.extra} if self.extra else {}
        named = {"call_id": self._call_id, "name": self._tool.name, **namespace}
        return {"id": self.id, "type": kind, **named, **said, "status": status, **extra}


def message_item(item_id: str, status: str, parts: Sequence[Item]) -> Item:
    return {"id": item_id, "type": "message", "role": "assistant", "status": status, "content": parts}


def text_part(text: str = "") -> Item:
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": []}


def _input_of(arguments: str) -> str:
    """The input of a custom tool; what a model wrote otherwise is the input as it stands."""
    match in_text(arguments or "{}"):
        case {"input": str(text)}:
            # The escapes of its JSON may stand for characters that databases refuse.
            return storable(text)
        case dict() as given if not given:
            return ""
        case _:
            return arguments


def _for_event(logprob: Item) -> Item:
    """Without bytes, which events do not have."""
    top = [{"token": each["token"], "logprob": each["logprob"]} for each in logprob["top_logprobs"]]
    return {"token": logprob["token"], "logprob": logprob["logprob"], "top_logprobs": top}
