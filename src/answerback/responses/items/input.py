"""The items of an input in one shape, whatever way a client writes them. What is wrong is named by its place."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from answerback.http.openai_errors import InvalidParameter, InvalidType, MissingParameter
from answerback.kernel.json import Json
from answerback.kernel.values import quickly_made
from answerback.responses.fields import required_text
from answerback.responses.items.content import assistant_parts, instruction_parts, output_parts, user_parts
from answerback.responses.model import ADDITIONAL_TOOLS, Item
from answerback.responses.tools.shapes import added_tools

COMPLETED = "completed"

SKIPPED = frozenset(
    {
        *("web_search_call", "file_search_call", "code_interpreter_call", "computer_call", "computer_call_output"),
        *("image_generation_call", "tool_search_call", "tool_search_output", "mcp_call", "mcp_list_tools"),
        *("mcp_approval_request", "mcp_approval_response", "local_shell_call", "local_shell_call_output"),
        *("shell_call", "shell_call_output", "apply_patch_call", "apply_patch_call_output", "program"),
        *("program_output", "compaction", "context_compaction", "configuration_update"),
    }
)
"""What tools that OpenAI itself runs leave in a history: other models know nothing of it."""


@quickly_made
@dataclass(frozen=True, slots=True)
class Given:
    """The items of a request, each with its `path` in it."""

    items: tuple[Item, ...] = ()
    paths: tuple[str, ...] = ()


def items_of(given: Json, field: str = "input") -> Given:
    """`field` is what the request calls them. Raises InvalidField."""
    if isinstance(given, str):
        said: list[Item] = [{"type": "input_text", "text": given}]
        return Given(({"type": "message", "role": "user", "status": COMPLETED, "content": said},), (field,))
    if not isinstance(given, list):
        raise InvalidType(field, f"invalid '{field}': must be a string or a list of items")
    items: dict[str, Item] = {}
    for index, item in enumerate(given):
        path = f"{field}[{index}]"
        if not isinstance(item, dict):
            raise InvalidType(path, f"invalid '{path}': must be an object")
        kind = _kind(item, path)
        if kind not in SKIPPED:
            items[path] = _shaped(kind, item, path)
    return Given(tuple(items.values()), tuple(items))


def _kind(item: Item, path: str) -> str:
    if item.get("type") is not None:
        return required_text(item, "type", path)
    if item.get("role") is not None:
        return "message"
    if "id" in item:
        return "item_reference"
    raise InvalidParameter(path, f"invalid '{path}': an item needs a 'type'; known are {', '.join(_SHAPES)}")


def _shaped(kind: str, item: Item, path: str) -> Item:
    shape = _SHAPES.get(kind)
    if shape is None:
        words = f"{kind[:64]!r} is no type of an item here"
        raise InvalidParameter(path, f"invalid '{path}': {words}; known are {', '.join(_SHAPES)}")
    return shape(item, path)


_PARTS: Mapping[str, Callable[[Json, str], Sequence[Item]]] = {"assistant": assistant_parts, "user": user_parts}


def _message(item: Item, path: str) -> Item:
    role = item.get("role")
    if role not in ("user", "assistant", "system", "developer"):
        param = f"{path}.role"
        raise InvalidParameter(param, f"invalid '{param}': must be 'user', 'assistant', 'system' or 'developer'")
    content = _PARTS.get(role, instruction_parts)(item.get("content"), f"{path}.content")
    return {"type": "message", "role": role, "status": COMPLETED, "content": content}


def _function_call(item: Item, path: str) -> Item:
    texts = {field: required_text(item, field, path) for field in ("call_id", "name", "arguments")}
    return {"type": "function_call", **texts, **_namespace(item, path), "status": _status(item)}


def _custom_tool_call(item: Item, path: str) -> Item:
    texts = {field: required_text(item, field, path) for field in ("call_id", "name", "input")}
    return {"type": "custom_tool_call", **texts, **_namespace(item, path), "status": _status(item)}


def _output(item: Item, path: str) -> Item:
    output = item.get("output")
    if output is None:
        raise MissingParameter(f"{path}.output", f"missing required parameter: '{path}.output'")
    said = output if isinstance(output, str) else output_parts(output, f"{path}.output")
    call_id = required_text(item, "call_id", path)
    return {"type": item["type"], "call_id": call_id, "output": said, "status": COMPLETED}


def _reasoning(item: Item, path: str) -> Item:
    shaped: Item = {"type": "reasoning", "summary": _thoughts(item, "summary", path)}
    if content := _thoughts(item, "content", path):
        shaped["content"] = content
    if item.get("encrypted_content") is not None and (sealed := required_text(item, "encrypted_content", path)):
        shaped["encrypted_content"] = sealed
    return shaped | {"status": COMPLETED}


def _reference(item: Item, path: str) -> Item:
    return {"type": "item_reference", "id": required_text(item, "id", path), "param": f"{path}.id"}


def _additional_tools(item: Item, path: str) -> Item:
    tools = item.get("tools")
    if not isinstance(tools, list) or not all(isinstance(each, dict) for each in tools):
        raise InvalidType(f"{path}.tools", f"invalid '{path}.tools': must be a list of tools")
    return {"type": ADDITIONAL_TOOLS, "role": "developer", "tools": added_tools(tools, f"{path}.tools")}


_SHAPES: Mapping[str, Callable[[Item, str], Item]] = {
    "message": _message,
    "function_call": _function_call,
    "function_call_output": _output,
    "custom_tool_call": _custom_tool_call,
    "custom_tool_call_output": _output,
    "reasoning": _reasoning,
    "item_reference": _reference,
    ADDITIONAL_TOOLS: _additional_tools,
}


def _thoughts(item: Item, field: str, path: str) -> Sequence[Item]:
    kind = "summary_text" if field == "summary" else "reasoning_text"
    parts = [] if item.get(field) is None else item[field]
    if not isinstance(parts, list) or not all(isinstance(each, dict) for each in parts):
        raise InvalidType(f"{path}.{field}", f"invalid '{path}.{field}': must be a list of objects")
    return [{"type": kind, "text": required_text(each, "text", f"{path}.{field}[{n}]")} for n, each in enumerate(parts)]


def _namespace(item: Item, path: str) -> Item:
    return {} if item.get("namespace") is None else {"namespace": required_text(item, "namespace", path)}


def _status(item: Item) -> str:
    return "incomplete" if item.get("status") == "incomplete" else COMPLETED
