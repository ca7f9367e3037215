"""How errors read on our own doors: `{"detail": …, "error": {"code", "message"}}`, each with its status."""

import json
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response

from answerback.domain.errors import (
    Conflict,
    ConversationFull,
    IdempotencyConflict,
    InvalidField,
    NotFound,
    Overloaded,
    Refusal,
    StorageUnavailable,
    Unauthorized,
)

RETRY_AFTER = {"Retry-After": "1"}


class InvalidRequest(Refusal):
    """Some fields do not fit; `errors` are `{"type", "loc", "msg"}`, one for each field."""

    code = "validation_error"

    def __init__(self, errors: list[dict[str, Any]]) -> None:
        super().__init__("; ".join(f"{_path(error['loc'])}: {error['msg']}" for error in errors))
        self.errors = errors


class BodyTooLarge(Refusal):
    code = "body_too_large"


STATUSES: Mapping[type[Refusal], int] = {
    InvalidRequest: 422,
    InvalidField: 422,
    BodyTooLarge: 413,
    Unauthorized: 401,
    NotFound: 404,
    Conflict: 409,
    IdempotencyConflict: 409,
    ConversationFull: 429,
    Overloaded: 503,
}
HEADERS: Mapping[type[Refusal], Mapping[str, str]] = {
    Unauthorized: {"WWW-Authenticate": "Bearer"},
    ConversationFull: RETRY_AFTER,
    Overloaded: {"Retry-After": "5"},
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


def render_refusal(refusal: Refusal) -> Response:
    kind = next((kind for kind in type(refusal).__mro__ if kind in STATUSES), None)
    if kind is None:
        raise refusal
    detail: Any = None
    if isinstance(refusal, InvalidRequest):
        detail = refusal.errors
    elif isinstance(refusal, InvalidField):
        detail = [{"type": refusal.code, "loc": ["body", refusal.field], "msg": refusal.message}]
    return problem(STATUSES[kind], refusal.code, refusal.message, detail, HEADERS.get(kind))


def install(app: FastAPI) -> None:
    """Renders every error of the app the same way."""

    @app.exception_handler(Refusal)
    async def refused(_: Request, refusal: Refusal) -> Response:
        return render_refusal(refusal)

    @app.exception_handler(StorageUnavailable)
    async def unavailable(_: Request, __: StorageUnavailable) -> Response:
        message = "the database cannot take this now; nothing was stored, send it again"
        return problem(503, "storage_unavailable", message, headers=RETRY_AFTER)

    @app.exception_handler(RequestValidationError)
    async def invalid(_: Request, error: RequestValidationError) -> Response:
        errors = [{"type": each["type"], "loc": list(each["loc"]), "msg": each["msg"]} for each in error.errors()]
        return render_refusal(InvalidRequest(errors))

    @app.exception_handler(HTTPException)
    async def http_error(_: Request, error: HTTPException) -> Response:
        code = HTTPStatus(error.status_code).phrase.lower().replace(" ", "_")
        return problem(error.status_code, code, str(error.detail), headers=error.headers)


def _path(loc: list[Any]) -> str:
    return ".".join(str(part) for part in loc if part != "body") or "body"
