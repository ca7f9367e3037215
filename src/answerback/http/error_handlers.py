"""Every error of the application as the response of its route."""

from collections.abc import Iterable, Mapping
from http import HTTPMethod, HTTPStatus

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.routing import BaseRoute, Match, Route
from starlette.types import Scope

from answerback.http.disconnect import ClientGone
from answerback.http.errors import RETRY_AFTER, ErrorRenderer, InvalidRequest, problem, render_refusal
from answerback.http.upstream import headers_of, status_of
from answerback.kernel.errors import ProviderError, Refusal, StorageUnavailable

CLIENT_CLOSED_REQUEST = 499
"""The logged status of a request whose client hung up first; that response is not read."""


class ErrorRenderers:
    """Finds the renderer of an error: `render_error` of its route's class, else `problem`.

    An error outside of any route takes the renderer of the routes that share most of its path. `unowned` says what
    applies below a path that routes of several renderers share: `{"/v1": openai_error}`.
    """

    def __init__(self, routes: Iterable[BaseRoute], unowned: Mapping[str, ErrorRenderer]) -> None:
        self._by_prefix: dict[tuple[str, ...], ErrorRenderer] = {(): problem}
        for route in routes:
            literal = _segments(route.path.partition("{")[0]) if isinstance(route, Route) else ()
            for length in range(1, len(literal) + 1):
                self._by_prefix.setdefault(literal[:length], _renderer(route))
        self._by_prefix.update({_segments(path): renderer for path, renderer in unowned.items()})
        self._depth = max(map(len, self._by_prefix))

    def of(self, scope: Scope) -> ErrorRenderer:
        """For a request, whether a route was found for it already or not."""
        route = scope.get("route")
        return self.at(scope["path"]) if route is None else _renderer(route)

    def at(self, path: str) -> ErrorRenderer:
        # No deeper than any prefix: a path may have thousands of segments.
        prefix = _segments(path)[: self._depth]
        while prefix not in self._by_prefix:
            prefix = prefix[:-1]
        return self._by_prefix[prefix]


def _renderer(route: object) -> ErrorRenderer:
    renderer: ErrorRenderer = getattr(route, "render_error", problem)
    return renderer


def _segments(path: str) -> tuple[str, ...]:
    return tuple(path.strip("/").split("/"))


def install(app: FastAPI, renderers: ErrorRenderers) -> None:
    """Renders every error of the app."""

    @app.exception_handler(Refusal)
    async def refused(request: Request, refusal: Refusal) -> Response:
        return render_refusal(refusal, renderers.of(request.scope))

    @app.exception_handler(ProviderError)
    async def upstream_failed(request: Request, error: ProviderError) -> Response:
        failure = error.failure
        render = renderers.of(request.scope)
        return render(status_of(error), failure.code.value, failure.message, None, headers_of(error))

    @app.exception_handler(ClientDisconnect)
    @app.exception_handler(ClientGone)
    async def client_gone(_: Request, __: ClientGone) -> Response:
        return Response(status_code=CLIENT_CLOSED_REQUEST)

    @app.exception_handler(StorageUnavailable)
    async def unavailable(request: Request, _: StorageUnavailable) -> Response:
        message = "the database cannot take this now; nothing was stored, send it again"
        return renderers.of(request.scope)(503, "storage_unavailable", message, None, RETRY_AFTER)

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> Response:
        errors = [{"type": each["type"], "loc": list(each["loc"]), "msg": each["msg"]} for each in error.errors()]
        return render_refusal(InvalidRequest(errors), renderers.of(request.scope))

    @app.exception_handler(HTTPException)
    async def http_error(request: Request, error: HTTPException) -> Response:
        code = HTTPStatus(error.status_code).phrase.lower().replace(" ", "_")
        headers = error.headers
        if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
            headers = {"Allow": ", ".join(_allowed(request))}
        return renderers.of(request.scope)(error.status_code, code, str(error.detail), None, headers)


def _allowed(request: Request) -> list[str]:
    """All methods of the path; the router itself names those of the first route that matches."""

    def matches(method: str) -> bool:
        scope = {**request.scope, "method": method}
        return any(route.matches(scope)[0] is Match.FULL for route in request.app.routes)

    return [method.value for method in HTTPMethod if matches(method.value)]
