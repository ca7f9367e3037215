"""Errors as responses, each with its status. On our own doors they read `{"detail": …, "error": {"code", "message"}}`;
other doors have other shapes, and the path says which."""

import json
from collections.abc import Mapping
from http import HTTPMethod, HTTPStatus
from typing import Any, Protocol

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.routing import Match

from answerback.http.disconnect import ClientGone
from answerback.http.upstream import headers_of, status_of
from answerback.kernel.errors import (
    CallInProgress,
    Conflict,
    ConversationFull,
    EraseUnfinished,
    Forbidden,
    IdempotencyConflict,
    InvalidField,
    Misdirected,
    NotFound,
    Overloaded,
    ProviderError,
    Refusal,
    ResponseNotStored,
    StorageUnavailable,
    Unauthorized,
    UnknownModel,
)

RETRY_AFTER = {"Retry-After": "1"}
NEVER_AGAIN = {"x-should-retry": "false"}
"""For OpenAI's SDKs, which send again by themselves what met a 409."""

CLIENT_CLOSED_REQUEST = 499
"""What the log says of a caller that hung up first; nobody reads it."""


class InvalidRequest(Refusal):
    """Some fields do not fit; `errors` are `{"type", "loc", "msg"}`, one for each field."""

    code = "validation_error"

    def __init__(self, errors: list[dict[str, Any]]) -> None:
        super().__init__("; ".join(f"{_path(error['loc'])}: {error['msg']}" for error in errors))
        self.errors = errors


class BodyTooLarge(Refusal):
    code = "body_too_large"


class RateLimited(Refusal):
    """The caller's requests of late exceed its rate. `Retry-After` travels with the other headers of the limit."""

    code = "rate_limited"


STATUSES: Mapping[type[Refusal], int] = {
    InvalidRequest: 422,
    InvalidField: 422,
    BodyTooLarge: 413,
    RateLimited: 429,
    Unauthorized: 401,
    Forbidden: 403,
    Misdirected: 421,
    UnknownModel: 400,
    NotFound: 404,
    Conflict: 409,
    IdempotencyConflict: 409,
    CallInProgress: 409,
    ResponseNotStored: 409,
    ConversationFull: 429,
    Overloaded: 503,
    EraseUnfinished: 503,
}
HEADERS: Mapping[type[Refusal], Mapping[str, str]] = {
    Unauthorized: {"WWW-Authenticate": "Bearer"},
    CallInProgress: RETRY_AFTER,
    IdempotencyConflict: NEVER_AGAIN,
    ResponseNotStored: NEVER_AGAIN,
    Overloaded: {"Retry-After": "5"},
    EraseUnfinished: RETRY_AFTER,
}


def json_response(status: int, body: Any, headers: Mapping[str, str] | None = None) -> Response:
    """UTF-8 JSON as it stands, nothing escaped to ASCII."""
    content = json.dumps(body, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()
    return Response(content, status, dict(headers or {}), "application/json")


def problem(
    status: int, code: str, message: str, detail: Any = None, headers: Mapping[str, str] | None = None
) -> Response:
    body = {"detail": message if detail is None else detail, "error": {"code": code, "message": message}}
    return json_response(status, body, headers)


class Shape(Protocol):
    """How a door words its errors; `problem` is that of our own. `detail` is a text, or a list that names each field as
    `{"type", "loc", "msg"}`."""

    def __call__(
        self, status: int, code: str, message: str, detail: Any = None, headers: Mapping[str, str] | None = None, /
    ) -> Response: ...


class ShapeOf(Protocol):
    """The shape of the door at a path."""

    def __call__(self, path: str, /) -> Shape: ...


def own_shape(_: str) -> Shape:
    return problem


def render_refusal(refusal: Refusal, shape: Shape = problem) -> Response:
    kind = next((kind for kind in type(refusal).__mro__ if kind in STATUSES), None)
    if kind is None:
        raise refusal
    detail: Any = None
    if isinstance(refusal, InvalidRequest):
        detail = refusal.errors
    elif isinstance(refusal, InvalidField):
        detail = [{"type": refusal.code, "loc": ["body", *_steps(refusal.field)], "msg": refusal.message}]
    headers = HEADERS.get(kind)
    if isinstance(refusal, ConversationFull):
        # The limit that refuses is the one to tell of: places in the conversation, free again once an answer is there.
        headers = {**RETRY_AFTER, **rate_headers(refusal.limit, 0, 1)}
    return shape(STATUSES[kind], refusal.code, refusal.message, detail, headers)


def rate_headers(limit: int, remaining: int, seconds: int) -> dict[str, str]:
    """How much a limit allows, how much is left, and the seconds until there is more."""
    told = {"Limit": limit, "Remaining": remaining, "Reset": seconds}
    return {f"RateLimit-{name}": str(value) for name, value in told.items()}


def install(app: FastAPI, shape_of: ShapeOf = own_shape) -> None:
    """Renders every error of the app, each as its door words it."""

    @app.exception_handler(Refusal)
    async def refused(request: Request, refusal: Refusal) -> Response:
        return render_refusal(refusal, shape_of(request.scope["path"]))

    @app.exception_handler(ProviderError)
    async def upstream_failed(request: Request, error: ProviderError) -> Response:
        failure = error.failure
        shape = shape_of(request.scope["path"])
        return shape(status_of(error), failure.code.value, failure.message, None, headers_of(error))

    @app.exception_handler(ClientDisconnect)
    @app.exception_handler(ClientGone)
    async def client_gone(_: Request, __: ClientGone) -> Response:
        return Response(status_code=CLIENT_CLOSED_REQUEST)

    @app.exception_handler(StorageUnavailable)
    async def unavailable(request: Request, _: StorageUnavailable) -> Response:
        message = "the database cannot take this now; nothing was stored, send it again"
        return shape_of(request.scope["path"])(503, "storage_unavailable", message, None, RETRY_AFTER)

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> Response:
        errors = [{"type": each["type"], "loc": list(each["loc"]), "msg": each["msg"]} for each in error.errors()]
        return render_refusal(InvalidRequest(errors), shape_of(request.scope["path"]))

    @app.exception_handler(HTTPException)
    async def http_error(request: Request, error: HTTPException) -> Response:
        code = HTTPStatus(error.status_code).phrase.lower().replace(" ", "_")
        told = error.headers
        if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
            told = {"Allow": ", ".join(_methods(request))}
        return shape_of(request.scope["path"])(error.status_code, code, str(error.detail), None, told)


def _methods(request: Request) -> list[str]:
    """All that the path takes; the router itself names those of the first route that fits."""

    def taken(method: str) -> bool:
        scope = {**request.scope, "method": method}
        return any(route.matches(scope)[0] is Match.FULL for route in request.app.routes)

    return [method.value for method in HTTPMethod if taken(method.value)]


def _steps(field: str) -> list[str | int]:
    return [int(step) if step.isdigit() else step for step in field.split(".")]


def _path(loc: list[Any]) -> str:
    return ".".join(str(part) for part in loc if part != "body") or "body"
