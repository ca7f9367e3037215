"""An app's routes are found by their path, and endpoints that need nothing of FastAPI's get their request as it is."""

from collections.abc import MutableMapping
from typing import Any

import pytest
from fastapi import APIRouter, Depends, FastAPI
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from answerback.http.error_handlers import ErrorHandlers, ErrorRenderers
from answerback.http.routing import DirectRoutes
from answerback.http.unknown_paths import Signposts
from answerback.kernel.errors import NotFound


async def plain(request: Request) -> Response:
    return PlainTextResponse(f"plain {(await request.body()).decode()}")


async def missing(request: Request) -> Response:
    raise NotFound("there is no such thing")


async def parsed(request: Request, limit: int = 3, name: str = "") -> Response:
    return PlainTextResponse(f"parsed {name} {limit}")


async def converted() -> dict[str, str]:
    return {"converted": "yes"}


async def fail() -> None:
    raise NotFound("refused by a dependency")


@pytest.fixture
def document() -> FastAPI:
    return FastAPI()


@pytest.fixture
def app(document: FastAPI) -> DirectRoutes:
    router, guarded = APIRouter(prefix="/v1"), APIRouter(dependencies=[Depends(fail)])
    router.add_api_route("/plain", plain, methods=["POST"], tags=["shown"])
    router.add_api_route("/plain", parsed, methods=["GET"])
    router.add_api_route("/missing", missing)
    router.add_api_route("/named/{name}", parsed)
    router.add_api_route("/converted", converted)
    guarded.add_api_route("/guarded", plain)
    return DirectRoutes(document, [router, guarded], ErrorHandlers(ErrorRenderers((), {}), Signposts(router.routes)))


async def call(app: DirectRoutes, method: str, path: str, query: str = "") -> tuple[int, str, dict[str, Any]]:
    """Status, body, and the scope as the app left it."""
    scope: dict[str, Any] = {
        "type": "http",
        "method": method,
        "path": path,
        "query_string": query.encode(),
        "headers": [],
        "server": ("localhost", 80),
        "scheme": "http",
        "root_path": "",
    }
    sent: list[MutableMapping[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"hello", "more_body": False}

    async def send(message: MutableMapping[str, Any]) -> None:
        sent.append(message)

    await app(scope, receive, send)
    return sent[0]["status"], b"".join(each.get("body", b"") for each in sent[1:]).decode(), scope


async def test_an_endpoint_that_speaks_http_gets_its_request(app: DirectRoutes) -> None:
    status, body, scope = await call(app, "POST", "/v1/plain")

    assert (status, body) == (200, "plain hello")
    assert (scope["route"].path, scope["endpoint"]) == ("/v1/plain", plain)


@pytest.mark.parametrize(
    ("path", "query", "expected"),
    [
        ("/v1/plain", "limit=7", (200, "parsed  7")),
        ("/v1/named/a", "", (200, "parsed a 3")),
        ("/v1/converted", "", (200, '{"converted":"yes"}')),
    ],
)
async def test_what_an_endpoint_declares_is_parsed(
    app: DirectRoutes, path: str, query: str, expected: tuple[int, str]
) -> None:
    assert (await call(app, "GET", path, query))[:2] == expected


@pytest.mark.parametrize(
    ("method", "path", "query", "status", "code"),
    [
        ("GET", "/v1/missing", "", 404, "not_found"),
        ("GET", "/v1/plain", "limit=x", 422, "validation_error"),
        ("GET", "/guarded", "", 404, "not_found"),
        ("DELETE", "/v1/plain", "", 405, "method_not_allowed"),
        ("GET", "/v1/nothing", "", 404, "not_found"),
    ],
)
async def test_errors_are_rendered_wherever_they_arise(
    app: DirectRoutes, method: str, path: str, query: str, status: int, code: str
) -> None:
    answered, body, _ = await call(app, method, path, query)

    assert answered == status
    assert f'"code":"{code}"' in body


def test_every_route_is_documented(app: DirectRoutes, document: FastAPI) -> None:
    paths = document.openapi()["paths"]

    assert paths.keys() == {
        *("/v1/plain", "/v1/missing", "/v1/named/{name}", "/v1/converted", "/guarded"),
    }
    assert paths["/v1/plain"]["post"]["tags"] == ["shown"]
