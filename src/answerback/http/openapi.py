"""The OpenAPI document as a whole: FastAPI's, completed with what all routes share."""

from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

from fastapi import FastAPI
from fastapi.routing import APIRoute
from pydantic.json_schema import models_json_schema
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from answerback.http.bodies import SCHEMA_REF
from answerback.http.errors import Problem
from answerback.http.openai_errors import OpenAIProblem
from answerback.http.openapi_folding import fold

SCHEME = "key"
KEYLESS: dict[str, Any] = {"security": []}
"""The operation of a route without a key; every other one asks for one."""
KEY_OR_NOT: dict[str, Any] = {"security": [{}, {SCHEME: []}]}

FRAMEWORK_ERRORS = ("HTTPValidationError", "ValidationError")
"""Schemas of FastAPI's own errors, which no route answers."""

ERRORS = (Problem, OpenAIProblem)
"""The bodies of error responses, which refer to their schemas."""

_SECURITY = {
    "type": "http",
    "scheme": "bearer",
    "description": "A key of `answerback keys create`, or AUTH_TOKEN: `Authorization: Bearer <key>`, or the key alone; "
    "a browser that signed in by `POST /v1/session` sends a cookie instead. "
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
    """Completes the app's document when it is first requested. An operation is named after its endpoint, which is what
    generated clients call it."""
    for route in app.routes:
        if isinstance(route, APIRoute):
            for named in (route, *(route.callbacks or ())):
                if isinstance(named, APIRoute):
                    named.operation_id = named.name
    found = app.openapi

    @cache
    def openapi() -> dict[str, Any]:
        return _complete(found())

    app.openapi = openapi  # type: ignore[method-assign]
    _serve_written(app)


def _serve_written(app: FastAPI) -> None:
    """Writes the document once: FastAPI would for each request, which takes 10 ms and no key."""

    @cache
    def written() -> bytes:
        return bytes(JSONResponse(app.openapi()).body)

    async def openapi(_: Request) -> Response:
        return Response(written(), media_type="application/json")

    app.router.routes[:] = [each for each in app.routes if getattr(each, "path", None) != app.openapi_url]
    app.add_route(str(app.openapi_url), openapi, include_in_schema=False)


def _complete(document: dict[str, Any]) -> dict[str, Any]:
    components = document["components"]
    components["securitySchemes"] = {SCHEME: _SECURITY}
    components["headers"] = _HEADERS
    _, errors = models_json_schema([(model, "serialization") for model in ERRORS], ref_template=SCHEMA_REF)
    components["schemas"] = schemas = errors["$defs"] | components["schemas"]
    examples = components.setdefault("examples", {})
    for path in document["paths"].values():
        for operation in path.values():
            _drop_framework_errors(operation["responses"])
            _add_headers(operation)
            fold(operation, examples)
            if (body := operation.get("requestBody")) is not None:
                content = {kind: _named(each, schemas) for kind, each in body["content"].items()}
                operation["requestBody"] = {**body, "content": content}
    for name in FRAMEWORK_ERRORS:
        schemas.pop(name, None)
    return document


def _add_headers(operation: dict[str, Any]) -> None:
    security = operation.setdefault("security", [{SCHEME: []}])
    operation["responses"] = dict(sorted(operation["responses"].items()))
    keyed = bool(security) and {} not in security
    idempotent = any(each["name"] == "Idempotency-Key" for each in operation.get("parameters", ()))
    for status, response in operation["responses"].items():
        names = _header_names(status, keyed=keyed, idempotent=idempotent)
        response["headers"] = headers(*names) | response.get("headers", {})


def _named(content: Mapping[str, Any], schemas: dict[str, Any]) -> Mapping[str, Any]:
    """A body's content, its schema and those of its parts moved to the document's own, where `body_schema` refers to
    them."""
    schema = {key: value for key, value in content["schema"].items() if key != "$defs"}
    if "title" not in schema:
        return content
    for name, part in {**content["schema"].get("$defs", {}), schema["title"]: schema}.items():
        if schemas.setdefault(name, part) != part:
            raise ValueError(f"two schemas are named {name}")
    return {**content, "schema": {"$ref": SCHEMA_REF.format(model=schema["title"])}}


def _drop_framework_errors(responses: dict[str, Any]) -> None:
    """FastAPI documents its own 422 where a route documents none, though any text fits its path."""
    schema = responses.get("422", {}).get("content", {}).get("application/json", {}).get("schema", {})
    if schema.get("$ref", "").endswith(FRAMEWORK_ERRORS):
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
