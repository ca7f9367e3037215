"""The tool calls of an answer, completed so that a client can answer each and a later request can repeat it."""

import json
import uuid
from collections.abc import Iterator, Mapping
from typing import TypeGuard

from answerback.kernel.errors import ErrorCode
from answerback.kernel.json import Json
from answerback.kernel.provider_error import ProviderError
from answerback.llm.model import storable_json

LONGEST_ID = 1024
"""Characters; `tool_outputs` take ids of this length."""

FUNCTION, CUSTOM = "function", "custom"

NO_NAMES = frozenset({"null", "None"})
"""Names of nothing, as texts (vLLM behind LiteLLM, in pieces behind the first)."""


def tool_calls(message: Mapping[str, Json], *, cut: bool = False) -> tuple[dict[str, Json], ...]:
    """The calls in the message of a choice, in OpenAI's shape. Upstreams leave ids out, use one twice or number them: a
    call without an id of its own gets one here. Arguments that are an object become its JSON text, and none the text
    of an empty object, unless the answer was `cut` before they came. Raises ProviderError for a call that names no
    tool."""
    listed = message.get("tool_calls") or []
    if not isinstance(listed, list):
        raise names_no_tool()
    if not listed and message.get("function_call"):
        listed = [{"function": message["function_call"]}]
    return tuple(_with_own_ids(_call(storable_json(call), "" if cut else "{}") for call in listed if call is not None))


def names_of_tools(offered: Json) -> frozenset[str]:
    """Those of the `tools` of a request."""
    if not isinstance(offered, list):
        return frozenset()
    named = (each.get(CUSTOM if CUSTOM in each else FUNCTION) for each in offered if isinstance(each, dict))
    return frozenset(each["name"] for each in named if isinstance(each, dict) and isinstance(each.get("name"), str))


def calls_tools(said: Json) -> bool:
    """Whether a message, or a piece of one, calls tools."""
    if not isinstance(said, dict):
        return False
    listed = said.get("tool_calls")
    # Entries of null stand for nothing.
    return (any(each is not None for each in listed) if isinstance(listed, list) else bool(listed)) or bool(
        said.get("function_call")
    )


def type_of(call: Mapping[str, Json]) -> str:
    """The type of a call. Some have none of OpenAI's, such as Moonshot's `builtin_function`."""
    given = call.get("type")
    if not isinstance(given, str) or not given or given.lower() == FUNCTION:
        return CUSTOM if given != FUNCTION and isinstance(call.get("custom"), dict) else FUNCTION
    return given


def is_usable_id(value: Json) -> TypeGuard[str]:
    """Whether outputs can be given for a call of this id."""
    return isinstance(value, str) and 0 < len(value) <= LONGEST_ID


def new_id() -> str:
    return f"call_{uuid.uuid4().hex}"


def as_text(arguments: Json) -> str:
    """Arguments that are a value as JSON."""
    return json.dumps(arguments, ensure_ascii=False)


def names_no_tool() -> ProviderError:
    words = "the upstream's answer holds a tool call that names no tool"
    return ProviderError(ErrorCode.UPSTREAM_INVALID, words, retryable=True)


def with_function(call: dict[str, Json]) -> dict[str, Json]:
    """A call whose name and arguments stand beside its type, as in OpenAI's responses and at Cloudflare, with a
    `function`."""
    if call.get(FUNCTION) is not None or call.get(CUSTOM) is not None:
        return call
    beside = {name: call[name] for name in ("name", "arguments") if call.get(name) is not None}
    if not beside:
        return call
    return {name: value for name, value in call.items() if name not in beside} | {FUNCTION: beside}


def _call(call: Json, without_arguments: str) -> dict[str, Json]:
    call = with_function(call) if isinstance(call, dict) else call
    match call:
        case {"custom": {"name": str(name)}} if name:
            said = call["custom"].get("input")
            custom = {"name": name, "input": said if isinstance(said, str) else ""}
            return {**call, "type": type_of(call), "custom": custom}
        case {"function": {"name": str(name)} as function} if name:
            arguments = function.get("arguments")
            if arguments in (None, ""):
                arguments = without_arguments
            elif not isinstance(arguments, str):
                arguments = as_text(arguments)
            return {**call, "type": type_of(call), "function": {**function, "arguments": arguments}}
        case _:
            raise names_no_tool()


def _with_own_ids(calls: Iterator[dict[str, Json]]) -> Iterator[dict[str, Json]]:
    seen: set[str] = set()
    for call in calls:
        call_id = call.get("id")
        if not is_usable_id(call_id) or call_id in seen:
            call_id = new_id()
        seen.add(call_id)
        yield {**call, "id": call_id}
