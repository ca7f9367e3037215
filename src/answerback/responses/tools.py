"""Tools as chat completions know them, functions only, and back: custom tools, namespaces, and those that OpenAI runs
itself, which are left out."""

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from answerback.http.openai_errors import InvalidParameter, InvalidType, MissingParameter, UnsupportedValue
from answerback.kernel.errors import InvalidField
from answerback.kernel.json import Json
from answerback.responses.fields import required_text
from answerback.responses.model import Item

_NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")
"""Of a tool, as OpenAI takes it; most upstreams refuse any other."""

LONGEST_NAME = 64
"""Of a function, in OpenAI's chat completions; other upstreams take no more."""

MOST_FUNCTIONS = 1024
"""Of a request: OpenAI takes 128, clients with many servers of tools offer more."""

CLIENT_TOOLS = frozenset({"function", "custom", "namespace"})
"""Tools that the client itself runs."""

OFFERED = "'function', 'custom', 'namespace'"

_INPUT_SCHEMA: Mapping[str, Json] = {
    "type": "object",
    "properties": {"input": {"type": "string", "description": "The whole input of the tool."}},
    "required": ["input"],
    "additionalProperties": False,
}


_TYPES = (
    ("parameters", dict, "an object"),
    ("description", str, "a string"),
    ("strict", bool, "true or false"),
    ("format", dict, "an object"),
)


@dataclass(frozen=True, slots=True)
class Tool:
    """What a function of chat completions stands for. `kind` is `function` or `custom`."""

    kind: str
    name: str
    namespace: str | None


@dataclass(frozen=True, slots=True)
class Toolbox:
    """The tools of a request. `functions` and `choice` are as chat completions take them; `echoed` as the response
    repeats them; `ignored` the types that were left out; `by_function` what each function stands for."""

    functions: Sequence[Item] = ()
    echoed: Sequence[Item] = ()
    ignored: Sequence[str] = ()
    choice: Json = None
    by_function: Mapping[str, Tool] = field(default_factory=dict)

    @classmethod
    def of(cls, parameters: Mapping[str, Json]) -> "Toolbox":
        """Raises InvalidField, which names the tool."""
        given: Sequence[Item] = parameters.get("tools", ())
        if not given and "tool_choice" not in parameters:
            return NO_TOOLS
        functions: dict[str, Item] = {}
        tools: dict[str, Tool] = {}
        echoed: list[Item] = []
        hosted: dict[str, int] = {}
        for index, tool in enumerate(given):
            kind = required_text(tool, "type", f"tools[{index}]")
            if kind not in CLIENT_TOOLS:
                hosted.setdefault(kind, index)
                continue
            for namespace, each, path in _members(tool, f"tools[{index}]"):
                stands_for = Tool(each["type"], each["name"], namespace)
                named = function_name(stands_for.name, namespace)
                if len(functions) >= MOST_FUNCTIONS:
                    raise InvalidParameter("tools", f"invalid 'tools': more than {MOST_FUNCTIONS} in all")
                if named in functions:
                    raise InvalidParameter(f"{path}.name", f"invalid '{path}.name': another tool has this name")
                functions[named] = _function(named, each)
                tools[named] = stands_for
            echoed.append(_echoed(tool))
        if hosted and not functions:
            kind, index = next(iter(hosted.items()))
            raise _not_offered(kind, f"tools[{index}].type")
        choice, allowed = _choice(parameters.get("tool_choice"), tools, hosted)
        offered = [each for named, each in functions.items() if allowed is None or named in allowed]
        return cls(offered, echoed, tuple(hosted), choice if offered else None, tools)

    def tool(self, function: str) -> Tool:
        """What the function stands for; models also call what nobody offered."""
        return self.by_function.get(function) or Tool("function", function, None)


NO_TOOLS = Toolbox()


def function_name(name: str, namespace: str | None) -> str:
    """The name of a function that stands for a tool."""
    flat = name if namespace is None else f"{namespace}__{name}"
    if len(flat) <= LONGEST_NAME:
        return flat
    digest = hashlib.sha256(flat.encode()).hexdigest()[:8]
    return f"{flat[: LONGEST_NAME - 9]}_{digest}"


def _members(tool: Item, path: str) -> Iterator[tuple[str | None, Item, str]]:
    """The tools of a namespace, or the one itself: its namespace, it, and the name of its parameter."""
    name = _name(tool, path)
    if tool["type"] != "namespace":
        yield None, tool, path
        return
    members = tool.get("tools")
    if not isinstance(members, list):
        raise MissingParameter(f"{path}.tools", f"missing required parameter: '{path}.tools'")
    for index, each in enumerate(members):
        inner = f"{path}.tools[{index}]"
        if not isinstance(each, dict) or each.get("type") not in ("function", "custom"):
            raise InvalidParameter(f"{inner}.type", f"invalid '{inner}.type': must be 'function' or 'custom'")
        _name(each, inner)
        yield name, each, inner


def _name(tool: Item, path: str) -> str:
    """Its name, if the rest of it can be read as well."""
    name = required_text(tool, "name", path)
    if not name:
        raise MissingParameter(f"{path}.name", f"missing required parameter: '{path}.name'")
    if not _NAME.fullmatch(name):
        words = "must be 1 to 64 letters, digits, '_' or '-'"
        raise InvalidParameter(f"{path}.name", f"invalid '{path}.name': {words}")
    for field_, kind, wanted in _TYPES:
        if tool.get(field_) is not None and not isinstance(tool[field_], kind):
            raise InvalidType(f"{path}.{field_}", f"invalid '{path}.{field_}': must be {wanted}")
    if tool["type"] == "custom" and tool.get("format") is not None:
        _check_format(tool["format"], f"{path}.format")
    return name


def _check_format(form: Item, path: str) -> None:
    match required_text(form, "type", path):
        case "text":
            return
        case "grammar":
            if required_text(form, "syntax", path) not in ("lark", "regex"):
                raise InvalidParameter(f"{path}.syntax", f"invalid '{path}.syntax': must be 'lark' or 'regex'")
            required_text(form, "definition", path)
        case _:
            raise InvalidParameter(f"{path}.type", f"invalid '{path}.type': must be 'text' or 'grammar'")


def _function(named: str, tool: Item) -> Item:
    description = tool.get("description")
    if tool["type"] == "custom":
        made = {
            "name": named,
            "description": _with_grammar(description, tool.get("format")),
            "parameters": _INPUT_SCHEMA,
        }
    else:
        parameters = tool.get("parameters") or {"type": "object", "properties": {}}
        made = {"name": named, "description": description, "parameters": parameters, "strict": tool.get("strict")}
    return {"type": "function", "function": {key: value for key, value in made.items() if value is not None}}


def _with_grammar(description: str | None, form: Item | None) -> str | None:
    if form is None or form["type"] != "grammar":
        return description
    grammar = f"The input must match this {form['syntax']} grammar:\n{form['definition']}"
    return grammar if description is None else f"{description}\n\n{grammar}"


def _echoed(tool: Item) -> Item:
    """A tool as OpenAI's SDKs read it again, without fields that are none of OpenAI's."""
    match tool["type"]:
        case "function":
            fields = {key: tool.get(key) for key in ("name", "description", "parameters", "strict")}
            return {"type": "function", **fields}
        case "custom":
            form = tool.get("format")
            fields = {"name": tool.get("name"), "description": tool.get("description")}
            return {"type": "custom", **fields, **({} if form is None else {"format": form})}
        case _:
            members = [_echoed(each) for each in tool["tools"]]
            named = {"name": tool.get("name"), "description": tool.get("description") or ""}
            return {"type": "namespace", **named, "tools": members}


def _choice(given: Json, tools: Mapping[str, Tool], hosted: Mapping[str, int]) -> tuple[Json, frozenset[str] | None]:
    """`tool_choice` as chat completions take it, and the functions that it allows, None for all."""
    match given:
        case "required" if not tools:
            raise InvalidParameter("tool_choice", "invalid 'tool_choice': 'required' needs a tool in 'tools'")
        case None | "auto" | "none" | "required":
            return given, None
        case {"type": "function" | "custom" as kind, "name": str()}:
            return {"type": "function", "function": {"name": _find(tools, kind, given, "tool_choice")}}, None
        case {"type": "allowed_tools", "mode": "auto" | "required" as mode, "tools": list(allowed)}:
            named = [
                _find(tools, str(each.get("type")), each, f"tool_choice.tools[{index}]")
                for index, each in enumerate(_objects(allowed))
                if str(each.get("type")) not in hosted
            ]
            if mode == "required" and not named:
                raise _nothing_allowed(allowed, hosted)
            return mode, frozenset(named)
        case {"type": str(kind)} if kind in hosted:
            raise _not_offered(kind, f"tools[{hosted[kind]}].type")
        case {"type": str(kind)} if kind not in (*CLIENT_TOOLS, "allowed_tools"):
            raise _not_offered(kind, "tool_choice.type")
        case _:
            words = "must be 'auto', 'none', 'required', or name a function or custom tool of 'tools'"
            raise InvalidParameter("tool_choice", f"invalid 'tool_choice': {words}")


def _nothing_allowed(allowed: Sequence[Item], hosted: Mapping[str, int]) -> InvalidField:
    """The refusal of a choice that requires a call and leaves no tool to call."""
    if allowed:
        kind = allowed[0]["type"]
        return _not_offered(kind, f"tools[{hosted[kind]}].type")
    return InvalidParameter("tool_choice.tools", "invalid 'tool_choice.tools': must name a tool that can be called")


def _objects(given: Iterable[Json]) -> Iterator[Item]:
    for index, each in enumerate(given):
        if not isinstance(each, dict):
            path = f"tool_choice.tools[{index}]"
            raise InvalidParameter(path, f"invalid '{path}': must be an object")
        yield each


def _find(tools: Mapping[str, Tool], kind: str, wanted: Item, path: str) -> str:
    """The function that stands for a tool; with a `namespace` it is that one's."""
    for function, tool in tools.items():
        named = tool.name == wanted.get("name") or (function == wanted.get("name") and tool.namespace is not None)
        if named and tool.kind == kind and wanted.get("namespace", tool.namespace) == tool.namespace:
            return function
    raise InvalidParameter(path, f"invalid '{path}': 'tools' has no {kind} tool {wanted.get('name')!r}")


def _not_offered(kind: str, param: str) -> UnsupportedValue:
    words = f"tools of the type {kind[:LONGEST_NAME]!r} are not offered here, but those that the client runs: {OFFERED}"
    return UnsupportedValue(param, words)
