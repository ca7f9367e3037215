"""Tools as requests write them: what is wrong with one is named by its place."""

import re
from collections.abc import Iterator, Sequence
from difflib import get_close_matches

from answerback.http.openai_errors import InvalidParameter, InvalidType, MissingParameter
from answerback.responses.fields import required_text
from answerback.responses.model import Item

_NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")
"""Of a tool, as OpenAI takes it; most upstreams refuse any other."""

LONGEST_NAME = 64
"""Of a function, in OpenAI's chat completions; other upstreams take no more."""

CLIENT_TOOLS = ("function", "custom", "namespace")
"""Tools that the client itself runs. All others are taken for some that OpenAI runs: it has new ones all the time."""
MISSPELT = 0.7
"""How much a type that is none is like one of these, between 0 and 1."""

HOSTED_TOOLS = (
    *("web_search", "web_search_preview", "file_search", "code_interpreter", "image_generation", "mcp", "computer"),
    *("computer_use_preview", "local_shell", "shell", "apply_patch", "tool_search", "programmatic_tool_calling"),
)
"""Tools that OpenAI is known to run; a date or another ending may follow each."""
HOSTED_MISSPELT = 0.85
"""As `MISSPELT`, of their letters alone: other vendors' types are like them (xAI's `x_search`)."""

OFFERED = "'function', 'custom', 'namespace'"

_TYPES = (
    ("parameters", dict, "an object"),
    ("description", str, "a string"),
    ("strict", bool, "true or false"),
    ("format", dict, "an object"),
)


def check_type(tool: Item, path: str) -> str:
    """The type. Raises InvalidField, also where it can only be misspelt."""
    kind = required_text(tool, "type", path)
    if (meant := _meant(kind[:LONGEST_NAME])) is not None:
        param, known = f"{path}.type", f"{OFFERED}, and those that OpenAI runs"
        raise InvalidParameter(param, f"invalid '{param}': did you mean {meant!r}? known are {known}")
    return kind


def _meant(kind: str) -> str | None:
    """The type that this one misspells."""
    if kind in CLIENT_TOOLS or any(kind == each or kind.startswith(f"{each}_") for each in HOSTED_TOOLS):
        return None
    if near := get_close_matches(kind, CLIENT_TOOLS, 1, MISSPELT):
        return near[0]
    hosted = {_letters(each): each for each in HOSTED_TOOLS}
    return next((hosted[each] for each in get_close_matches(_letters(kind), hosted, 1, HOSTED_MISSPELT)), None)


def _letters(kind: str) -> str:
    return "".join(filter(str.isalpha, kind)).lower()


def added_tools(tools: Sequence[Item], path: str) -> list[Item]:
    """Those of an item, as it is stored. Raises InvalidField, which names the tool."""
    return [_checked(tool, f"{path}[{index}]") for index, tool in enumerate(tools)]


def _checked(tool: Item, path: str) -> Item:
    if check_type(tool, path) not in CLIENT_TOOLS:
        return tool
    for _ in members(tool, path):
        continue
    return echoed(tool)


def members(tool: Item, path: str) -> Iterator[tuple[str | None, Item, str]]:
    """The tools of a namespace, or the one itself: its namespace, it, and the name of its parameter."""
    name = _name(tool, path)
    if tool["type"] != "namespace":
        yield None, tool, path
        return
    inside = tool.get("tools")
    if not isinstance(inside, list):
        raise MissingParameter(f"{path}.tools", f"missing required parameter: '{path}.tools'")
    for index, each in enumerate(inside):
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


def echoed(tool: Item) -> Item:
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
            inside = [echoed(each) for each in tool["tools"]]
            named = {"name": tool.get("name"), "description": tool.get("description") or ""}
            return {"type": "namespace", **named, "tools": inside}
