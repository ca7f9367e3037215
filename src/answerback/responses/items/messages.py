"""Items as the messages of chat completions, which carry calls of tools and thoughts within the assistant's message."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from answerback.kernel.json import Json
from answerback.llm.instructions import INSTRUCTING
from answerback.responses.items import thoughts
from answerback.responses.items.content import chat_content, is_media, text_of
from answerback.responses.items.pairs import CALLS, OUTPUTS, are_paired, matched
from answerback.responses.model import ADDITIONAL_TOOLS, Item
from answerback.responses.tools.toolbox import function_name


@dataclass(slots=True)
class _Said:
    """What a model said before others spoke: one message, whatever items it is made of."""

    texts: list[str] = field(default_factory=list)
    calls: list[Item] = field(default_factory=list)
    thoughts: list[Item] = field(default_factory=list)
    between: list[Item] = field(default_factory=list)
    """What instructed it meanwhile."""

    def add(self, item: Item) -> None:
        match item["type"]:
            case "message":
                self.texts.append(text_of(item["content"]))
            case "reasoning":
                self.thoughts.append(item)
            case _:
                self.calls.append(item)

    def messages(self, outputs: Mapping[int, Item]) -> list[Item]:
        """What it said, with the outputs of its calls, and what instructed it meanwhile."""
        message = self._message()
        made = [] if message is None else [message]
        answers = [outputs[id(call)] for call in self.calls]
        made += map(_tool_message, answers)
        if shown := [part for each in answers for part in _media(each["output"])]:
            made.append({"role": "user", "content": chat_content(shown)})
        return made + self.between

    def _message(self) -> Item | None:
        """None where there is nothing that an upstream would take."""
        text = "\n\n".join(filter(None, self.texts))
        if not text and not self.calls:
            return None
        made: Item = {"role": "assistant", "content": text or None, **thoughts.sent_back(self.thoughts)}
        if self.calls:
            made["tool_calls"] = [_tool_call(call) for call in self.calls]
        return made


def chat_messages(items: Sequence[Item], instructions: str | None) -> list[Item]:
    """Each output right behind the message that makes its call; instructions that stand between a model's words and
    calls follow these. Raises UnansweredCall."""
    outputs = matched(items) if are_paired(items) else {}
    ordered: list[Item] = [{"role": "system", "content": instructions}] if instructions else []
    said: _Said | None = None
    for item in items:
        kind = item["type"]
        role = item["role"] if kind == "message" else None
        if role in INSTRUCTING:
            (ordered if said is None else said.between).extend(_instruction(item))
            continue
        if said is not None and (role == "user" or kind in OUTPUTS):
            # Of the calls before an output, none can follow: a model's next words are another message.
            ordered += said.messages(outputs)
            said = None
        if role == "user":
            ordered.append({"role": "user", "content": chat_content(item["content"])})
        elif kind not in (*OUTPUTS, ADDITIONAL_TOOLS) and (kind not in CALLS or id(item) in outputs):
            said = said or _Said()
            said.add(item)
    return ordered if said is None else ordered + said.messages(outputs)


def _instruction(item: Item) -> list[Item]:
    text = chat_content(item["content"])
    return [{"role": item["role"], "content": text}] if text else []


def _tool_call(call: Item) -> Item:
    said = call["arguments"] if call["type"] == "function_call" else json.dumps({"input": call["input"]})
    function = {"name": function_name(call["name"], call.get("namespace")), "arguments": said or "{}"}
    return {"id": call["call_id"], "type": "function", "function": function, **call.get("extra", {})}


def _tool_message(output: Item) -> Item:
    said = output["output"]
    if not isinstance(said, str):
        said = chat_content([part for part in said if not is_media(part)])
    return {"role": "tool", "tool_call_id": output["call_id"], "content": said}


def _media(output: Json) -> list[Item]:
    return [part for part in output if is_media(part)] if isinstance(output, list) else []
