"""What the OpenAPI document says of OpenAI's routes."""

from typing import Any

from answerback.http.openai_errors import OPENAI_KEY_ERRORS, openai_errors, openai_refusal
from answerback.http.openapi_parts import NOT_JSON, SPENT_KEY, UPSTREAM_REASONS

MODELS_ERRORS = OPENAI_KEY_ERRORS | openai_errors(**UPSTREAM_REASONS)
MODEL_ERRORS = MODELS_ERRORS | openai_refusal(
    404, "There is no such model", "model_not_found", "there is no model 'nonesuch'; GET /v1/models lists them"
)

_EXAMPLE_REQUEST = {
    "model": "openai/gpt-oss-20b:free",
    "messages": [{"role": "user", "content": "Say hello."}],
    "stream": False,
}
_USAGE = {"prompt_tokens": 9, "completion_tokens": 2, "total_tokens": 11}
_EXAMPLE_ANSWER = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 1767225600,
    "model": "openai/gpt-oss-20b:free",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "Hello!"}, "finish_reason": "stop"}],
    "usage": _USAGE,
}
_EXAMPLE_STREAM = (
    'data: {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1767225600, "model": "m", "choices": '
    '[{"index": 0, "delta": {"role": "assistant", "content": "Hello!"}, "finish_reason": null}], "usage": null}\n\n'
    'data: {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1767225600, "model": "m", "choices": '
    '[{"index": 0, "delta": {}, "finish_reason": "stop"}], "usage": null}\n\n'
    "data: [DONE]\n\n"
)

_RELAY_ERRORS = (
    MODELS_ERRORS
    | openai_errors(
        _400="The request is wrong, or the upstream refused it: `param` and `message` say what to change",
        _409=SPENT_KEY,
        _413="The body is larger than 32 MiB, or too large for the upstream",
        _415=NOT_JSON,
    )
    | openai_refusal(404, "The upstream has no such model", "model_not_found", "nonesuch is not a valid model ID")
)


def relayed_body(required: list[str], example: dict[str, Any], **properties: Any) -> dict[str, Any]:
    """The `requestBody` of a relayed request: what is checked of it; anything else passes through."""
    schema = {"type": "object", "required": required, "additionalProperties": True, "properties": properties}
    return {"required": True, "content": {"application/json": {"schema": schema, "example": example}}}


def relayed_responses(
    description: str, example: dict[str, Any], stream: str | None = None
) -> dict[int | str, dict[str, Any]]:
    """The responses of a relayed request; `stream` is an example of its events, where it may be streamed."""
    content: dict[str, Any] = {"application/json": {"schema": {"type": "object"}, "example": example}}
    if stream is not None:
        content["text/event-stream"] = {"schema": {"type": "string"}, "example": stream}
    return {200: {"description": description, "content": content}, **_RELAY_ERRORS}


TEXTS_OR_TOKENS = {"anyOf": [{"type": "string", "minLength": 1}, {"type": "array", "minItems": 1, "items": {}}]}
"""A text, or a list of texts or of tokens. Generators of clients want `items`, though anything may be in it."""
MODEL_OR_DEFAULT = {"type": ["string", "null"], "description": "Without it the service's default answers."}
STREAM = {"type": ["boolean", "null"]}
STREAM_OPTIONS = {"type": ["object", "null"], "properties": {"include_usage": {"type": "boolean"}}}

CHAT_BODY = relayed_body(
    ["messages"],
    _EXAMPLE_REQUEST,
    messages={"type": "array", "minItems": 1, "items": {"type": "object"}},
    model=MODEL_OR_DEFAULT,
    stream=STREAM,
    stream_options=STREAM_OPTIONS,
)
CHAT_RESPONSES = relayed_responses(
    "The upstream's answer as it came, or with `stream: true` its chunks", _EXAMPLE_ANSWER, _EXAMPLE_STREAM
)
