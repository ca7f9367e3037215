"""What the OpenAPI document says of responses."""

import json
from collections.abc import Iterable
from typing import Any

from answerback.http.bodies import body_schema
from answerback.http.openai_errors import openai_errors, openai_refusal
from answerback.http.openapi_parts import KEY_REASONS, NOT_JSON, SPENT_KEY, UPSTREAM_REASONS
from answerback.responses.body import Progress, response_body
from answerback.responses.model import Asked
from answerback.responses.paging import listed
from answerback.responses.request import RequestBody

EXAMPLE_ID = "resp_01a1fc8454427e0488ed70bfee41f52c"
_CREATED_AT = 1_767_225_600_000
_ITEM = {"type": "message", "role": "user", "status": "completed"}
EXAMPLE_ITEM = {
    "id": EXAMPLE_ID.replace("resp_", "msg_") + "i0",
    **_ITEM,
    "content": [{"type": "input_text", "text": "Say hello."}],
}
EXAMPLE_LIST = listed([EXAMPLE_ITEM], has_more=False)
_SAID = {
    "id": EXAMPLE_ID.replace("resp_", "msg_") + "o0",
    **_ITEM,
    "role": "assistant",
    "content": [{"type": "output_text", "text": "Hello!", "annotations": [], "logprobs": []}],
}
_USAGE = {
    "input_tokens": 9,
    "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
    "output_tokens": 2,
    "output_tokens_details": {"reasoning_tokens": 0},
    "total_tokens": 11,
}
_MODEL = "openai/gpt-oss-20b:free"
_DONE = Progress(EXAMPLE_ID, _CREATED_AT, _MODEL, "completed", [_SAID], _USAGE, completed_at=_CREATED_AT + 1250)
_EXAMPLE = response_body(Asked({}, ()), _DONE, stored=True)
_STREAM = "".join(
    f"event: {event['type']}\ndata: {json.dumps(event)}\n\n"
    for event in (
        {"type": "response.output_text.delta", "item_id": _SAID["id"], "output_index": 0, "content_index": 0}
        | {"delta": "Hello!", "logprobs": [], "sequence_number": 4},
        {"type": "response.completed", "response": _EXAMPLE, "sequence_number": 8},
    )
)


def body_of(description: str, example: Any) -> dict[str, Any]:
    content = {"schema": {"type": "object"}, "example": example}
    return {"description": description, "content": {"application/json": content}}


def _whole_or_events(description: str) -> dict[str, Any]:
    body = body_of(description, _EXAMPLE)
    body["content"]["text/event-stream"] = {"schema": {"type": "string"}, "example": _STREAM}
    return body


def _query(name: str, meaning: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"name": name, "in": "query", "required": False, "description": meaning, "schema": schema}


def _texts(names: Iterable[str]) -> dict[str, Any]:
    return {"type": "array", "items": {"type": "string", "enum": list(names)}}


CREATE_BODY = body_schema(RequestBody, {"model": _MODEL, "input": "Say hello."})
CREATE_RESPONSES: dict[int | str, dict[str, Any]] = {
    200: _whole_or_events("The response, or with `stream: true` its events"),
    **openai_errors(
        **{
            **KEY_REASONS,
            **UPSTREAM_REASONS,
            "_400": "The request is wrong, or the upstream refused it: `param` and `message` say what to change",
            "_409": SPENT_KEY,
            "_413": "The body is larger than 32 MiB, or too large for the upstream",
            "_415": NOT_JSON,
        }
    ),
    **openai_refusal(
        404,
        "An `item_reference` to what is not stored, or an unknown `conversation`",
        "not_found",
        "there is no item 'msg_1'",
    ),
}
_OF_ONE = openai_errors(**KEY_REASONS) | openai_refusal(
    404, "There is no such response among yours", "not_found", f"there is no response {EXAMPLE_ID!r}"
)


def _refused(message: str) -> dict[int | str, dict[str, Any]]:
    return openai_refusal(400, "The request cannot be carried out", "invalid_value", message)


SHOWN_RESPONSES: dict[int | str, dict[str, Any]] = {
    200: _whole_or_events("The response, or with `stream=true` its events"),
    **_OF_ONE,
    **_refused("only a background response can be streamed again: leave 'stream' out"),
}
CANCELLED_RESPONSES: dict[int | str, dict[str, Any]] = {
    200: body_of("The response", _EXAMPLE),
    **_OF_ONE,
    **_refused("only a background response can be cancelled"),
}
DELETED_RESPONSES: dict[int | str, dict[str, Any]] = {
    200: body_of("It is deleted", {"id": EXAMPLE_ID, "object": "response", "deleted": True}),
    **_OF_ONE,
}
ITEMS_RESPONSES: dict[int | str, dict[str, Any]] = {
    200: body_of("A page of items", EXAMPLE_LIST),
    **_OF_ONE,
    **_refused("'limit' must be a number from 1 to 100"),
}
INCLUDE_QUERY = _query("include[]", "What else to show.", _texts(["reasoning.encrypted_content"]))
RESPONSE_QUERIES = {
    "parameters": [
        _query(
            "stream",
            "True: the events of a background response that was created with `stream`.",
            {"type": "boolean"},
        ),
        _query("starting_after", "Only events behind this `sequence_number`.", {"type": "integer", "minimum": 0}),
        INCLUDE_QUERY,
    ]
}
ITEM_QUERIES = {
    "parameters": [
        _query(
            "after", "Only items behind this one in the list: the `last_id` of the page before.", {"type": "string"}
        ),
        _query("limit", "How many at most.", {"type": "integer", "minimum": 1, "maximum": 100, "default": 20}),
        _query("order", "`desc`: the newest first.", {"type": "string", "enum": ["asc", "desc"], "default": "desc"}),
        INCLUDE_QUERY,
    ]
}
