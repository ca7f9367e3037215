"""Tools as chat completions know them, functions only, and back: custom tools, namespaces, and those that OpenAI runs
itself, which are left out."""

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from answerback.http.openai_errors import InvalidParameter, UnsupportedValue
from answerback.kernel.errors import InvalidField
from answerback.kernel.json import Json
from answerback.responses.fields import required_text
from answerback.responses.model import ADDITIONAL_TOOLS, Asked, Item
from answerback.responses.tools.shapes import CLIENT_TOOLS, LONGEST_NAME, OFFERED, echoed, members

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
    def of(cls, parameters: Mapping[str, Json], own: Sequence[Item] = (), before: Sequence[Item] = ()) -> "Toolbox":
        """Those of the request, and of all items that the model is to read, its own and those `before`: where these
        repeat a name, the newest of them counts. Raises InvalidField, which names the tool."""
        offered = _Offered.of(parameters, [*before, *own])
        if offered is None:
            return NO_TOOLS
        functions, hosted = offered.functions, offered.hosted
        if not functions and (refused := _first_hosted(parameters, own)) is not None:
            raise _not_offered(*refused)
        choice, allowed = _choice(parameters.get("tool_choice"), offered.tools, hosted)
        called = [each for named, each in functions.items() if allowed is None or named in allowed]
        return cls(called, _shown(parameters), tuple(hosted), choice if called else None, offered.tools)

    @classmethod
    def in_context(cls, asked: Asked, items: Sequence[Item]) -> "Toolbox":
        """As `of`, where the items end with those of the request. Raises InvalidField."""
        return cls.of(asked.parameters, asked.input, items[: len(items) - len(asked.input)])

    @classmethod
    def to_show(cls, parameters: Mapping[str, Json], own: Sequence[Item]) -> "Toolbox":
        """As far as the request alone says it: what it goes on from may offer the tools that it chooses. Raises
        InvalidField for what is wrong in any context."""
        offered = _Offered.of(parameters, own)
        if offered is None:
            return NO_TOOLS
        _check_form(parameters.get("tool_choice"), offered.hosted)
        return cls(echoed=_shown(parameters), ignored=tuple(offered.hosted))

    def tool(self, function: str) -> Tool:
        """What the function stands for; models also call what nobody offered."""
        return self.by_function.get(function) or Tool("function", function, None)


NO_TOOLS = Toolbox()


def _tools_in(items: Iterable[Item]) -> Iterator[Item]:
    return (tool for item in items if item["type"] == ADDITIONAL_TOOLS for tool in item["tools"])


def _shown(parameters: Mapping[str, Json]) -> Sequence[Item]:
    return [echoed(tool) for tool in parameters.get("tools", ()) if tool["type"] in CLIENT_TOOLS]


def _first_hosted(parameters: Mapping[str, Json], own: Sequence[Item]) -> tuple[str, str] | None:
    """The type of a tool that OpenAI runs, and the parameter that asks for it."""
    named = [(tool, f"tools[{index}].type") for index, tool in enumerate(parameters.get("tools", ()))]
    asked_for = (*named, *((tool, "input") for tool in _tools_in(own)))
    return next(((tool["type"], param) for tool, param in asked_for if tool["type"] not in CLIENT_TOOLS), None)


class _Offered:
    """Functions by their names, what each stands for, and the tools that OpenAI runs: the parameter of each type."""

    def __init__(self) -> None:
        self.functions: dict[str, Item] = {}
        self.tools: dict[str, Tool] = {}
        self.hosted: dict[str, str] = {}

    @classmethod
    def of(cls, parameters: Mapping[str, Json], items: Iterable[Item]) -> "_Offered | None":
        """None where there are no tools and no choice among them. Raises InvalidField."""
        given: Sequence[Item] = parameters.get("tools", ())
        added = list(_tools_in(items))
        if not given and not added and "tool_choice" not in parameters:
            return None
        offered = cls()
        for index, tool in enumerate(given):
            offered.add(tool, f"tools[{index}]")
        offered.add_all(added)
        return offered

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
    _check_form(given, hosted)
    match given:
        case "required" if not tools:
            raise InvalidParameter("tool_choice", "invalid 'tool_choice': 'required' needs a tool in 'tools'")
        case {"type": "allowed_tools", "mode": mode, "tools": allowed}:
            named = [
                _find(tools, str(each.get("type")), each, f"tool_choice.tools[{index}]")
                for index, each in enumerate(allowed)
                if str(each.get("type")) not in hosted
            ]
            if mode == "required" and not named:
                raise _nothing_allowed(allowed, hosted)
            return mode, frozenset(named)
        case {"type": kind}:
            return {"type": "function", "function": {"name": _find(tools, kind, given, "tool_choice")}}, None
        case _:
            return given, None


def _check_form(given: Json, hosted: Mapping[str, str]) -> None:
    """Refuses a `tool_choice` that no tool of the client could make right."""
    match given:
        case None | "auto" | "none" | "required" | {"type": "function" | "custom", "name": str()}:
            return
        case {"type": "allowed_tools", "mode": "auto" | "required", "tools": list(allowed)}:
            _check_objects(allowed)
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


def _check_objects(given: Iterable[Json]) -> None:
    for index, each in enumerate(given):
        if not isinstance(each, dict):
            path = f"tool_choice.tools[{index}]"
            raise InvalidParameter(path, f"invalid '{path}': must be an object")


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
