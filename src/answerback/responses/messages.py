"""Items as the messages of chat completions, which carry calls of tools and thoughts within the assistant's message."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field

from answerback.kernel.json import Json
from answerback.llm.instructions import INSTRUCTING
from answerback.responses import thoughts
from answerback.responses.content import chat_content, is_media, text_of
from answerback.responses.model import ADDITIONAL_TOOLS, Item
from answerback.responses.pairs import CALLS, OUTPUTS, are_paired, matched
from answerback.responses.tools import function_name


@dataclass(slots=True)
class _Said:
    """What a model said before others spoke: one message, whatever items it is made of."""

    texts: list[str] = field(default_factory=list)
    calls: list[Item] = field(default_factory=list)
    thoughts: list[Item] = field(default_factory=list)
    between: list[Item] = field(default_factory=list)
    """What instructed it meanwhile."""

    @property
    def is_empty(self) -> bool:
        return not (self.texts or self.calls or self.thoughts)

    def add(self, item: Item) -> None:
        match item["type"]:
            case "message":
                self.texts.append(text_of(item["content"]))
            case "reasoning":
                self.thoughts.append(item)
            case _:
                self.calls.append(item)

    def message(self) -> Item | None:
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
    said = _Said()

    def end_turn() -> None:
        nonlocal said
        if said.is_empty:
            return
        if (message := said.message()) is not None:
            ordered.append(message)
        answers = [outputs[id(call)] for call in said.calls]
        ordered.extend(_tool_message(each) for each in answers)
        if shown := [part for each in answers for part in _media(each["output"])]:
            ordered.append({"role": "user", "content": chat_content(shown)})
        ordered.extend(said.between)
        said = _Said()

    for item in (each for each in items if each["type"] != ADDITIONAL_TOOLS):
        kind, role = item["type"], item.get("role")
        if kind == "message" and role in INSTRUCTING:
            (ordered if said.is_empty else said.between).extend(_instruction(item))
        elif kind == "message" and role == "user":
            end_turn()
            ordered.append({"role": "user", "content": chat_content(item["content"])})
        elif kind in OUTPUTS:
            # Of the calls before it, none can follow: a model's next words are another message.
            end_turn()
        elif kind not in CALLS or id(item) in outputs:
            said.add(item)
    end_turn()
    return ordered


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
