"""The OpenAPI document as a whole: FastAPI's, completed with what all routes share."""

from collections.abc import Iterator
from functools import cache
from typing import Any

from fastapi import FastAPI

SCHEME = "key"
KEYLESS: dict[str, Any] = {"security": []}
"""The operation of a route without a key; every other one asks for one."""
KEY_OR_NOT: dict[str, Any] = {"security": [{}, {SCHEME: []}]}

_SECURITY = {
    "type": "http",
    "scheme": "bearer",
    "description": "A key of `answerback keys create`, or AUTH_TOKEN: `Authorization: Bearer <key>`, or the key alone. "
    "A service without any key asks for none.",
}
_TEXT = {"type": "string"}
_COUNT = {"type": "integer", "minimum": 0}
_HEADERS: dict[str, Any] = {
    "x-request-id": {
        "description": "The request's name in the service's log: the one that was sent, or a new one.",
        "required": True,
        "schema": _TEXT,
    },
    "RateLimit-Limit": {"description": "How many requests the limit allows in its time.", "schema": _COUNT},
    "RateLimit-Remaining": {"description": "How many are left now.", "schema": _COUNT},
    "RateLimit-Reset": {"description": "Seconds until there are more.", "schema": _COUNT},
    "Retry-After": {"description": "Seconds to wait before trying again, where they are known.", "schema": _COUNT},
    "WWW-Authenticate": {"description": "How to send a key.", "schema": _TEXT},
    "Location": {"description": "Where the job can be followed.", "required": True, "schema": _TEXT},
    "Idempotent-Replayed": {"description": "`true`: nothing new was done for this Idempotency-Key.", "schema": _TEXT},
}
_LIMITS = ("RateLimit-Limit", "RateLimit-Remaining", "RateLimit-Reset")


def headers(*names: str) -> dict[str, Any]:
    """A response's `headers`, by reference to the document's components."""
    return {name: {"$ref": f"#/components/headers/{name}"} for name in names}


def install(app: FastAPI) -> None:
    """Completes the app's document when it is first requested."""
    found = app.openapi

    @cache
    def openapi() -> dict[str, Any]:
        return _complete(found())

    app.openapi = openapi  # type: ignore[method-assign]


def _complete(document: dict[str, Any]) -> dict[str, Any]:
    components = document["components"]
    components["securitySchemes"] = {SCHEME: _SECURITY}
    components["headers"] = _HEADERS
    for path in document["paths"].values():
        for operation in path.values():
            _drop_framework_errors(operation["responses"])
            security = operation.setdefault("security", [{SCHEME: []}])
            operation["responses"] = dict(sorted(operation["responses"].items()))
            keyed = bool(security) and {} not in security
            idempotent = any(each["name"] == "Idempotency-Key" for each in operation.get("parameters", ()))
            for status, response in operation["responses"].items():
                names = _header_names(status, keyed=keyed, idempotent=idempotent)
                response["headers"] = headers(*names) | response.get("headers", {})
    return document


def _drop_framework_errors(responses: dict[str, Any]) -> None:
    """FastAPI documents its own 422 where a route documents none: OpenAI's routes have none."""
    schema = responses.get("422", {}).get("content", {}).get("application/json", {}).get("schema", {})
    if schema.get("$ref", "").endswith("/HTTPValidationError"):
        del responses["422"]


def _header_names(status: str, *, keyed: bool, idempotent: bool) -> Iterator[str]:
    """The headers that responses with this status may carry, on a route that asks for a key or takes an
    Idempotency-Key."""
    yield "x-request-id"
    if status == "401":
        yield "WWW-Authenticate"
    if status in ("429", "503"):
        yield "Retry-After"
    if keyed and (status[0] == "2" or status == "429"):
        yield from _LIMITS
    if idempotent and status[0] == "2":
        yield "Idempotent-Replayed"
