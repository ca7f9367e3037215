"""Tools as chat completions know them, functions only, and back: custom tools, namespaces, and those that OpenAI runs
itself, which are left out."""

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from answerback.http.openai_errors import InvalidParameter, UnsupportedValue
from answerback.kernel.errors import InvalidField
from answerback.kernel.json import Json
from answerback.responses.fields import required_text
from answerback.responses.model import ADDITIONAL_TOOLS, Item
from answerback.responses.tool_shapes import CLIENT_TOOLS, LONGEST_NAME, OFFERED, echoed, members

MOST_FUNCTIONS = 1024
"""Of a request: OpenAI takes 128, clients with many servers of tools offer more."""

_INPUT_SCHEMA: Mapping[str, Json] = {
    "type": "object",
    "properties": {"input": {"type": "string", "description": "The whole input of the tool."}},
    "required": ["input"],
    "additionalProperties": False,
}


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
    def of(cls, parameters: Mapping[str, Json], items: Iterable[Item] = ()) -> "Toolbox":
        """Those of the request, and of all items that the model is to read: where these repeat a name, the newest of
        them counts. Raises InvalidField, which names the tool."""
        given: Sequence[Item] = parameters.get("tools", ())
        added = [tool for item in items if item["type"] == ADDITIONAL_TOOLS for tool in item["tools"]]
        if not given and not added and "tool_choice" not in parameters:
            return NO_TOOLS
        offered = _Offered()
        for index, tool in enumerate(given):
            offered.add(tool, f"tools[{index}]")
        refused = next(iter(offered.hosted.items()), None)
        offered.add_all(added)
        functions, hosted = offered.functions, offered.hosted
        if refused is not None and not functions:
            raise _not_offered(*refused)
        choice, allowed = _choice(parameters.get("tool_choice"), offered.tools, hosted)
        called = [each for named, each in functions.items() if allowed is None or named in allowed]
        shown = [echoed(tool) for tool in given if tool["type"] in CLIENT_TOOLS]
        return cls(called, shown, tuple(hosted), choice if called else None, offered.tools)

    def tool(self, function: str) -> Tool:
        """What the function stands for; models also call what nobody offered."""
        return self.by_function.get(function) or Tool("function", function, None)


NO_TOOLS = Toolbox()


class _Offered:
    """Functions by their names, what each stands for, and the tools that OpenAI runs: the parameter of each type."""

    def __init__(self) -> None:
        self.functions: dict[str, Item] = {}
        self.tools: dict[str, Tool] = {}
        self.hosted: dict[str, str] = {}

    def add(self, tool: Item, path: str) -> None:
        """Raises InvalidField, also for a name that there is already."""
        if (kind := required_text(tool, "type", path)) not in CLIENT_TOOLS:
            self.hosted.setdefault(kind, f"{path}.type")
            return
        for namespace, each, place in members(tool, path):
            named = function_name(each["name"], namespace)
            if named in self.functions:
                raise InvalidParameter(f"{place}.name", f"invalid '{place}.name': another tool has this name")
            self._offer(named, namespace, each)

    def add_all(self, added: Iterable[Item]) -> None:
        """Tools of items, the newest last. Raises InvalidField."""
        of_request = frozenset(self.functions)
        for tool in added:
            if tool["type"] not in CLIENT_TOOLS:
                self.hosted.setdefault(tool["type"], "tool_choice.type")
                continue
            for namespace, each, _ in members(tool, "tools"):
                if (named := function_name(each["name"], namespace)) not in of_request:
                    self._offer(named, namespace, each)

    def _offer(self, named: str, namespace: str | None, tool: Item) -> None:
        if len(self.functions) >= MOST_FUNCTIONS and named not in self.functions:
            raise InvalidParameter("tools", f"invalid 'tools': more than {MOST_FUNCTIONS} in all")
        self.functions[named] = _function(named, tool)
        self.tools[named] = Tool(tool["type"], tool["name"], namespace)


def function_name(name: str, namespace: str | None) -> str:
    """The name of a function that stands for a tool."""
    flat = name if namespace is None else f"{namespace}__{name}"
    if len(flat) <= LONGEST_NAME:
        return flat
    digest = hashlib.sha256(flat.encode()).hexdigest()[:8]
    return f"{flat[: LONGEST_NAME - 9]}_{digest}"


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


def _choice(given: Json, tools: Mapping[str, Tool], hosted: Mapping[str, str]) -> tuple[Json, frozenset[str] | None]:
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
            raise _not_offered(kind, hosted[kind])
        case {"type": str(kind)} if kind not in (*CLIENT_TOOLS, "allowed_tools"):
            raise _not_offered(kind, "tool_choice.type")
        case _:
            words = "must be 'auto', 'none', 'required', or name a function or custom tool of 'tools'"
            raise InvalidParameter("tool_choice", f"invalid 'tool_choice': {words}")


def _nothing_allowed(allowed: Sequence[Item], hosted: Mapping[str, str]) -> InvalidField:
    """The refusal of a choice that requires a call and leaves no tool to call."""
    if allowed:
        kind = allowed[0]["type"]
        return _not_offered(kind, hosted[kind])
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
