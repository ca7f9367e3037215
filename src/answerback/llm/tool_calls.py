"""The tool calls of an answer, completed so that a client can answer each and a later request can repeat it."""

import json
import uuid
from collections.abc import Iterator, Mapping

from answerback.kernel.errors import ErrorCode, ProviderError
from answerback.kernel.json import Json
from answerback.llm.model import storable_json

LONGEST_ID = 1024
"""Characters; `tool_outputs` take ids of this length."""


def tool_calls(message: Mapping[str, Json]) -> tuple[dict[str, Json], ...]:
    """The calls in the message of a choice, in OpenAI's shape. Upstreams leave ids out, use one twice or number them: a
    call without an id of its own gets one here. Arguments that are an object become its JSON text. Raises
    ProviderError for a call that names no tool."""
    listed = message.get("tool_calls") or []
    if not isinstance(listed, list):
        raise _invalid()
    if not listed and message.get("function_call"):
        listed = [{"function": message["function_call"]}]
    return tuple(_with_own_ids(_call(storable_json(call)) for call in listed if call is not None))


def _call(call: Json) -> dict[str, Json]:
    match call:
        case {"custom": {"name": str(name)}} if name:
            said = call["custom"].get("input")
            return {"type": "custom", **call, "custom": {"name": name, "input": said if isinstance(said, str) else ""}}
        case {"function": {"name": str(name)} as function} if name:
            arguments = function.get("arguments")
            if not isinstance(arguments, str):
                arguments = json.dumps({} if arguments is None else arguments, ensure_ascii=False)
            return {"type": "function", **call, "function": {**function, "arguments": arguments}}
        case _:
            raise _invalid()


def _with_own_ids(calls: Iterator[dict[str, Json]]) -> Iterator[dict[str, Json]]:
    seen: set[str] = set()
    for call in calls:
        call_id = call.get("id")
        if not isinstance(call_id, str) or not 0 < len(call_id) <= LONGEST_ID or call_id in seen:
            call_id = f"call_{uuid.uuid4().hex}"
        seen.add(call_id)
        yield {**call, "id": call_id}


def _invalid() -> ProviderError:
    words = "the upstream's answer holds a tool call that names no tool"
    return ProviderError(ErrorCode.UPSTREAM_INVALID, words, retryable=True)
