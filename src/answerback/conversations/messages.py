"""Items as messages of chat completions, which carry calls of tools within the assistant's message."""

from collections.abc import Iterable, Mapping
from itertools import groupby

from answerback.conversations.model import Item
from answerback.conversations.window import is_asked, is_call
from answerback.kernel.json import Json


def chat_messages(items: Iterable[Item]) -> list[dict[str, Json]]:
    """The messages of these items. A call is sent together with its output, and left out without one: upstreams refuse
    calls that no output answers."""
    said: list[dict[str, Json]] = []
    calls: dict[str, Item] = {}
    for answers, group in groupby(items, _is_output):
        if answers:
            _answer(said, calls, group)
            continue
        for item in group:
            if is_asked(item):
                calls.clear()
            if item["type"] == "message":
                said.append({"role": item["role"], "content": item["content"]})
            elif is_call(item):
                calls[item["call_id"]] = item
    return said


def open_calls(items: Iterable[Item]) -> set[str]:
    """The ids of calls that an output may still answer: those since the user's last message."""
    calls: set[str] = set()
    for item in items:
        if is_asked(item):
            calls.clear()
        elif is_call(item):
            calls.add(item["call_id"])
        elif _is_output(item):
            calls.discard(item["call_id"])
    return calls


def _is_output(item: Item) -> bool:
    return bool(item["type"] == "function_call_output")


def _answer(said: list[dict[str, Json]], calls: dict[str, Item], outputs: Iterable[Item]) -> None:
    """Adds outputs of open calls, after the message that makes these calls."""
    known = [(calls.pop(each["call_id"]), each["output"]) for each in outputs if each["call_id"] in calls]
    if not known:
        return
    if not said or said[-1]["role"] != "assistant":
        said.append({"role": "assistant", "content": None})
    said[-1]["tool_calls"] = [_tool_call(call) for call, _ in known]
    said += ({"role": "tool", "tool_call_id": call["call_id"], "content": output} for call, output in known)


def call_item(call: Mapping[str, Json]) -> Item:
    """The item of a tool call in OpenAI's shape for chat completions."""
    kind = "custom" if "custom" in call else "function"
    extra = {name: value for name, value in call.items() if name not in ("id", "index", kind) and value != kind}
    common = {"call_id": call["id"], **({"extra": extra} if extra else {})}
    said = call[kind]
    if kind == "custom":
        return {"type": "custom_tool_call", "name": said["name"], "input": said["input"], **common}
    return {"type": "function_call", "name": said["name"], "arguments": said["arguments"], **common}


def _tool_call(call: Item) -> Json:
    """The tool call that `call_item` made this item of."""
    kind, given = ("function", "arguments") if call["type"] == "function_call" else ("custom", "input")
    said = {"name": call["name"], given: call[given]}
    return {"id": call["call_id"], "type": kind, kind: said, **call.get("extra", {})}
