"""Pieces of the OpenAPI document that several routers share."""

from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import Path
from pydantic import BaseModel

from answerback.http.bodies import SCHEMA_REF
from answerback.http.errors import ErrorBody, Problem
from answerback.http.responses import JSON

JOB = "job_01a1fc8454427e0488ed70bfee41f52c"
DELIVERY = "msg_01a1fc8455127d23bd4fb85716e42dde"
ENDED_AT = "2026-01-01T12:00:01.250Z"
USAGE = {"prompt_tokens": 9, "completion_tokens": 7, "total_tokens": 16}
"""Values of examples."""

JobId = Annotated[str, Path(description="A job's id, as in its 202.", examples=[JOB])]


EXAMPLES: Mapping[int, tuple[str, str]] = {
    400: ("upstream_refused", "the upstream refused the request with 400; check the model's name and the parameters"),
    401: ("unauthorized", "this key is not valid; check it, or ask the operator for a new one"),
    403: (
        "forbidden",
        "this is for operators; use a key of 'answerback keys create --operator', or OPERATOR_TOKEN",
    ),
    404: ("not_found", "there is no job 'job_1'"),
    409: ("idempotency_conflict", "this Idempotency-Key was used with another body; use a new key for a new request"),
    413: ("body_too_large", "the body is larger than 1048576 bytes; send a smaller one"),
    415: (
        "unsupported_media_type",
        "this route takes JSON, not a form (application/x-www-form-urlencoded): send a JSON object",
    ),
    421: ("misdirected", "this service has no keys, so it answers as localhost only"),
    422: ("validation_error", ""),
    429: ("rate_limited", "more than 60 requests a minute; try again in 12 s"),
    502: ("upstream_error", "the upstream failed with 500"),
    503: ("storage_unavailable", "the database cannot take this now; nothing was stored, send it again"),
}
"""An `error.code` and its message for each status. `openapi_folding` finds what is wrong in an example of a 422."""


def errors(**reasons: str) -> dict[int | str, dict[str, Any]]:
    """OpenAPI responses by `_status=reason`."""
    return {int(name[1:]): _error(int(name[1:]), reason) for name, reason in reasons.items()}


def refusal(status: int, reason: str, code: str, message: str) -> dict[int | str, dict[str, Any]]:
    """The OpenAPI response of a route's own error, with an example."""
    return {status: _error(status, reason, (code, message))}


def conflict(reason: str, message: str) -> dict[int | str, dict[str, Any]]:
    """The OpenAPI response of a request that the state of its object excludes, with its message as an example."""
    return refusal(409, reason, "conflict", message)


def not_found(message: str, reason: str = "No such thing among yours") -> dict[int | str, dict[str, Any]]:
    """The OpenAPI response of a request for what is not there, with its message as an example."""
    return refusal(404, reason, "not_found", message)


def invalid(reason: str, field: str, message: str, code: str) -> dict[int | str, dict[str, Any]]:
    """The OpenAPI response of a request with a wrong value, named by an error of its own `code`."""
    entry = {"type": code, "loc": ["body", field], "msg": message}
    body = Problem(detail=[entry], error=ErrorBody(code=code, message=f"{field}: {message}"))
    return {422: error_response(reason, body)}


def _error(status: int, reason: str, of: tuple[str, str] | None = None) -> dict[str, Any]:
    code, message = of or EXAMPLES[status]
    return error_response(reason, Problem(detail=message, error=ErrorBody(code=code, message=message)))


def error_response(reason: str, example: BaseModel) -> dict[str, Any]:
    """The OpenAPI response of an error. It refers to the schema that `openapi.install` adds: of a model FastAPI would
    build a validator for each of 400 responses at every start."""
    schema = {"$ref": SCHEMA_REF.format(model=type(example).__name__)}
    return {"description": reason, "content": {JSON: {"schema": schema, "example": example.model_dump()}}}


NOT_JSON = "The body is a form; send JSON"
MISDIRECTED = "The service has no keys, and was called by a name (`Host`) that is not this machine's own"
KEY_REASONS: Mapping[str, str] = {
    "_401": "No key, or one that is not valid",
    "_421": MISDIRECTED,
    "_429": "More requests than your rate allows; `Retry-After` says when to try again, `RateLimit-*` what is left",
    "_503": "The database cannot be reached now; try again",
}
UPSTREAM_REASONS: Mapping[str, str] = {
    "_429": "A rate limit, ours or the upstream's; `Retry-After` says when to try again, where it is known",
    "_502": "The upstream failed, answered with nonsense, or refuses the service's own credentials or credit",
    "_503": "The upstream did not answer in time or cannot be reached, or the database cannot be; try again",
}
SPENT_KEY = (
    "The Idempotency-Key was used with another body, or its first request is still being answered (then with "
    "`Retry-After`), or its response was not stored"
)
KEY_ERRORS = errors(**KEY_REASONS)
QUERY_ERRORS = KEY_ERRORS | errors(_422="A parameter is wrong; each is named")
TENANT_ERRORS = errors(_403="`tenant` is for operators", _422="A parameter is wrong; each is named")
JOB_ERRORS = KEY_ERRORS | not_found(f"there is no job '{JOB}'")
ACCEPT_ERRORS = KEY_ERRORS | errors(
    _409="The Idempotency-Key was used with another body",
    _413="The body is too large",
    _415=NOT_JSON,
    _422="A field is wrong, or the callback URL is refused; each field is named",
    _429="More requests than your rate allows, or too many unanswered messages in the conversation; `Retry-After` says "
    "when to try again",
    _503="The backlog is full or the database cannot take it; nothing was stored, try again",
)
ASK_ERRORS = KEY_ERRORS | errors(
    _400="The upstream refused the question: no such model, or too long for it",
    _409=SPENT_KEY,
    _413="The body is too large, for the service or for the upstream",
    _415=NOT_JSON,
    _422="A field is wrong; each is named. Or the upstream refused the question with this status",
    **UPSTREAM_REASONS,
)

EVENTS: dict[str, Any] = {
    "schema": {
        "type": "string",
        "description": 'Server-sent events: `{"content": text}` as the words come, and `{"done": true}` once all have '
        "come, with a `finish_reason` where it is not `stop` (`length`: the answer was cut). A stream that breaks ends "
        'with `event: error` and `{"error": {"code", "message"}}` instead.',
    },
    "example": 'data: {"content":"Par"}\n\ndata: {"content":"is."}\n\ndata: {"done":true}\n\n',
}
"""An answer as our own routes stream it."""

IDEMPOTENCY_KEY: dict[str, Any] = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "Send it again with the same body to get the same response; nothing is done twice.",
    "schema": {"type": "string", "minLength": 1, "maxLength": 255},
}
AUTH_HEADERS: dict[str, Any] = {
    "parameters": [
        {"name": name, "in": "header", "required": True, "description": meaning, "schema": {"type": "string"}}
        for name, meaning in (
            ("webhook-id", "Stable over all attempts: use it to drop duplicates."),
            ("webhook-timestamp", "Epoch seconds of this attempt."),
            ("webhook-signature", "Standard Webhooks: `v1,` + base64 HMAC-SHA256 of `id.timestamp.body`."),
            ("X-Signature", "`sha256=` + hex HMAC-SHA256 of the raw body."),
        )
    ]
}
CALLBACK: dict[str, Any] = {
    "response_description": "Taken; any 2xx will do",
    "responses": {"default": {"description": "Not taken: it comes again later, except after 410"}},
    "openapi_extra": AUTH_HEADERS,
}
"""The documentation of a callback, the same for every kind of job."""
