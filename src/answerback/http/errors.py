"""Errors as responses, each with its status. The renderer of a router makes the body; `problem` is that of our own
routes: `{"detail": …, "error": {"code", "message"}}`."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from answerback.http.responses import is_none, respond
from answerback.kernel.errors import (
    Conflict,
    EraseUnfinished,
    Forbidden,
    IdempotencyConflict,
    InvalidField,
    Misdirected,
    NotFound,
    Overloaded,
    Refusal,
    RequestInProgress,
    ResponseNotStored,
    TooManyUnanswered,
    Unauthorized,
    UnknownModel,
)

RETRY_AFTER = {"Retry-After": "1"}
NO_RETRY = {"x-should-retry": "false"}
"""For OpenAI's SDKs, which otherwise retry after a 409."""


class InvalidRequest(Refusal):
    code = "validation_error"

    def __init__(self, errors: list[dict[str, Any]]) -> None:
        """`errors` are `{"type", "loc", "msg"}`, one for each field."""
        super().__init__("; ".join(f"{_path(error['loc'])}: {error['msg']}" for error in errors))
        self.errors = errors


class BodyTooLarge(Refusal):
    """The body is larger than `MAX_BODY_BYTES`, or on OpenAI's routes than 32 MiB."""

    code = "body_too_large"


class UnsupportedMediaType(Refusal):
    """The body is of a kind that the route does not take; the message says which it takes."""

    code = "unsupported_media_type"


class RateLimited(Refusal):
    """More requests than the rate limit allows. `RateLimit-*` say what is left, `Retry-After` when to try again."""

    code = "rate_limited"


STATUSES: Mapping[type[Refusal], int] = {
    InvalidRequest: 422,
    InvalidField: 422,
    BodyTooLarge: 413,
    UnsupportedMediaType: 415,
    RateLimited: 429,
    Unauthorized: 401,
    Forbidden: 403,
    Misdirected: 421,
    UnknownModel: 400,
    NotFound: 404,
    Conflict: 409,
    IdempotencyConflict: 409,
    RequestInProgress: 409,
    ResponseNotStored: 409,
    TooManyUnanswered: 429,
    Overloaded: 503,
    EraseUnfinished: 503,
}
HEADERS: Mapping[type[Refusal], Mapping[str, str]] = {
    Unauthorized: {"WWW-Authenticate": "Bearer"},
    RequestInProgress: RETRY_AFTER,
    Conflict: NO_RETRY,
    IdempotencyConflict: NO_RETRY,
    ResponseNotStored: NO_RETRY,
    Overloaded: {"Retry-After": "5"},
    EraseUnfinished: RETRY_AFTER,
}


class ErrorBody(BaseModel):
    """What went wrong with a request, a job or one of its attempts."""

    model_config = ConfigDict(from_attributes=True)

    code: str
    message: str
    param: str | None = Field(
        None,
        description="The parameter that an upstream refuses, where it names one.",
        examples=[None],
        exclude_if=is_none,
    )
    upstream_code: str | None = Field(
        None,
        description="The upstream's own code for why it refused a job.",
        examples=[None],
        exclude_if=is_none,
    )


class Problem(BaseModel):
    """Every error of these routes. `detail` is a text, or for 422 a list that names each field."""

    detail: str | list[dict[str, Any]]
    error: ErrorBody


@dataclass(frozen=True, slots=True)
class ErrorContent:
    """What an error response says. `detail` is a text, or a list that names each field as `{"type", "loc", "msg"}`;
    None stands for the message. `param` is the parameter that an upstream refuses."""

    status: int
    code: str
    message: str
    detail: Any = None
    headers: Mapping[str, str] | None = None
    param: str | None = None


ErrorRenderer: TypeAlias = Callable[[ErrorContent], Response]
"""Makes the error responses of a router."""


def problem(content: ErrorContent) -> Response:
    """The ErrorRenderer of our own routes."""
    message, detail = content.message, content.detail
    error = ErrorBody(code=content.code, message=message, param=content.param if detail is None else None)
    return respond(content.status, Problem(detail=message if detail is None else detail, error=error), content.headers)


def content_of(refusal: Refusal) -> ErrorContent:
    """What the response to a refusal says. Raises a refusal that has no status."""
    kind = next((kind for kind in type(refusal).__mro__ if kind in STATUSES), None)
    if kind is None:
        raise refusal
    detail: Any = None
    param: str | None = None
    if isinstance(refusal, InvalidRequest):
        detail = refusal.errors
    elif isinstance(refusal, NotFound):
        param = refusal.param
    elif isinstance(refusal, InvalidField):
        param = refusal.field
        detail = [{"type": refusal.code, "loc": ["body", *_steps(refusal.field)], "msg": refusal.message}]
    headers = HEADERS.get(kind)
    if isinstance(refusal, TooManyUnanswered):
        # The limit that was hit is not the rate: a place is free again once a message is answered.
        headers = {**RETRY_AFTER, **rate_headers(refusal.limit, 0, 1)}
    return ErrorContent(STATUSES[kind], refusal.code, refusal.message, detail, headers, param)


def rate_headers(limit: int, remaining: int, seconds: int) -> dict[str, str]:
    """How many requests a limit allows, how many are left, and the seconds until there are more."""
    return {
        "RateLimit-Limit": str(limit),
        "RateLimit-Remaining": str(remaining),
        "RateLimit-Reset": str(seconds),
    }


def _steps(field: str) -> list[str | int]:
    return [int(step) if step.isdigit() else step for step in field.split(".")]


def _path(loc: list[Any]) -> str:
    """Without where it stood, unless that is all."""
    return ".".join(map(str, loc[1:] or loc)) or "body"
