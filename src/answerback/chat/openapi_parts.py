"""What the OpenAPI document says of OpenAI's routes."""

from typing import Any

from answerback.http.openai_errors import openai_errors, openai_refusal
from answerback.http.openapi_parts import MISDIRECTED, NOT_JSON

_UPSTREAM = openai_errors(
    _429="A rate limit, ours or the upstream's; `Retry-After` says when to try again, where it is known",
    _502="The upstream failed, answered with nonsense, or refuses the service's own credentials or credit",
    _503="The upstream did not answer in time or cannot be reached, or the database cannot be; try again",
)
MODELS_ERRORS = openai_errors(_401="No key, or one that is not valid", _421=MISDIRECTED) | _UPSTREAM
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

CHAT_BODY: dict[str, Any] = {
    "required": True,
    "content": {
        "application/json": {
            "schema": {
                "type": "object",
                "required": ["messages"],
                "additionalProperties": True,
                "properties": {
                    "messages": {"type": "array", "minItems": 1, "items": {"type": "object"}},
                    "model": {"type": ["string", "null"], "description": "Without it the service's default answers."},
                    "stream": {"type": ["boolean", "null"]},
                    "stream_options": {
                        "type": ["object", "null"],
                        "properties": {"include_usage": {"type": "boolean"}},
                    },
                },
            },
            "example": _EXAMPLE_REQUEST,
        }
    },
}
RELAY_ERRORS = (
    openai_errors(
        _400="The request is wrong, or the upstream refused it: `param` and `message` say what to change",
        _401="No key, or one that is not valid",
        _409="The Idempotency-Key was used with another body, or its first request is still being answered (then with "
        "`Retry-After`), or its response was not stored",
        _413="The body is too large, for the service or for the upstream",
        _415=NOT_JSON,
        _421=MISDIRECTED,
    )
    | openai_refusal(404, "The upstream has no such model", "model_not_found", "nonesuch is not a valid model ID")
    | _UPSTREAM
)

CHAT_RESPONSES: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The upstream's answer as it came, or with `stream: true` its chunks",
        "content": {
            "application/json": {"schema": {"type": "object"}, "example": _EXAMPLE_ANSWER},
            "text/event-stream": {"schema": {"type": "string"}, "example": _EXAMPLE_STREAM},
        },
    },
    **RELAY_ERRORS,
}
