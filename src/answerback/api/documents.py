"""Pieces of the OpenAPI document that several doors share."""

from typing import Any

from pydantic import BaseModel


class ErrorBody(BaseModel):
    code: str
    message: str


class Problem(BaseModel):
    """Every error of these doors. `detail` is a text, or for 422 a list that names each field."""

    detail: str | list[dict[str, Any]]
    error: ErrorBody


def errors(**reasons: str) -> dict[int | str, dict[str, Any]]:
    """OpenAPI responses by `_status=reason`."""
    return {int(status[1:]): {"model": Problem, "description": reason} for status, reason in reasons.items()}


KEY_ERRORS = errors(
    _401="No key, or one that is not valid",
    _429="More requests than your rate allows; `Retry-After` says when to try again, `RateLimit-*` what is left",
    _422="A parameter is wrong; each is named",
    _503="The database cannot be reached now; try again",
)
JOB_ERRORS = KEY_ERRORS | errors(_404="No such thing among yours")
ACCEPT_ERRORS = KEY_ERRORS | errors(
    _409="The Idempotency-Key was used with another body",
    _413="The body is too large",
    _422="A field is wrong, or the callback URL is refused; each field is named",
    _429="More requests than your rate allows, or too many unanswered messages in the conversation; `Retry-After` says "
    "when to try again",
    _503="The backlog is full or the database cannot take it; nothing was stored, try again",
)
ASK_ERRORS = KEY_ERRORS | errors(
    _400="The upstream refused the question: no such model, or too long for it",
    _413="The body is too large",
    _422="A field is wrong; each is named",
    _429="A rate limit, ours or the upstream's; `Retry-After` says when to try again, where it is known",
    _502="The upstream failed, answered with nonsense, or refuses the service's own credentials or credit",
    _503="The upstream did not answer in time or cannot be reached, or the database cannot be; try again",
)

IDEMPOTENCY_KEY: dict[str, Any] = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "Send it again with the same body to hear the same answer; nothing is done twice.",
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
"""How a callback is documented, whichever door owes it."""
