"""Every error of the application as the response of its route."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.middleware.errors import ServerErrorMiddleware
from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.routing import BaseRoute, Route
from starlette.types import Scope

from answerback.http.caller import is_operator
from answerback.http.codes import BAD_FORM, RESULTS_UNWRITABLE, STORAGE_UNAVAILABLE, UNKNOWN_PATH, WRONG_METHOD, Code
from answerback.http.disconnect import ClientGone
from answerback.http.errors import RETRY_AFTER, ErrorContent, ErrorRenderer, InvalidRequest, content_of, problem
from answerback.http.plain_words import plain_errors
from answerback.http.request_log import ERROR_CODE
from answerback.http.unknown_paths import Signposts
from answerback.http.upstream import content_of_failure
from answerback.kernel.errors import Refusal, ResultsUnwritable, StorageUnavailable
from answerback.kernel.provider_error import ProviderError

CLIENT_CLOSED_REQUEST = 499
"""The logged status of a request whose client hung up first; that response is not read."""

_RAISED = {code.status: code for code in (BAD_FORM, UNKNOWN_PATH, WRONG_METHOD)}
"""What the libraries raise as an HTTPException."""


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

    def render(self, scope: Scope, content: ErrorContent) -> Response:
        """The response to a request; notes the error's code for the request's line of the log."""
        scope[ERROR_CODE] = content.code
        return self.of(scope)(content)

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


class ErrorHandlers:
    """The response to every error of the application that has one."""

    def __init__(self, renderers: ErrorRenderers, signposts: Signposts) -> None:
        self._renderers = renderers
        self._signposts = signposts
        self._by_kind: dict[type[Exception], Callable[[Request, Any], Response]] = {
            Refusal: self._refused,
            ProviderError: self._upstream_failed,
            ClientDisconnect: _client_gone,
            ClientGone: _client_gone,
            StorageUnavailable: self._unavailable,
            ResultsUnwritable: self._unwritable,
            RequestValidationError: self._invalid,
            HTTPException: self._http_error,
        }

    def install(self, app: FastAPI) -> None:
        """For the errors that pass through FastAPI; a fault passes through it to the middleware around it."""

        async def handle(request: Request, error: Exception) -> Response:
            return self.response(request, error)

        for kind in self._by_kind:
            app.add_exception_handler(kind, handle)
        stack = app.build_middleware_stack()
        # The outermost layer would answer a fault itself, in plain text, before it raises it again.
        app.middleware_stack = stack.app if isinstance(stack, ServerErrorMiddleware) else stack

    def response(self, request: Request, error: Exception) -> Response:
        """Raises an error that has no response."""
        handle = next((self._by_kind[kind] for kind in type(error).__mro__ if kind in self._by_kind), None)
        if handle is None:
            raise error
        return handle(request, error)

    def _refused(self, request: Request, refusal: Refusal) -> Response:
        return self._renderers.render(request.scope, content_of(refusal))

    def _upstream_failed(self, request: Request, error: ProviderError) -> Response:
        content = content_of_failure(error, operator=is_operator(request))
        if content.status == HTTPStatus.NOT_FOUND and self._renderers.of(request.scope) is problem:
            # OpenAI's clients know a 404 for a model; on our own routes it would be a path.
            content = replace(content, status=HTTPStatus.BAD_REQUEST)
        return self._renderers.render(request.scope, content)

    def _unavailable(self, request: Request, _: StorageUnavailable) -> Response:
        message = "the database cannot take this now; nothing was stored, send it again"
        content = ErrorContent(*STORAGE_UNAVAILABLE, message, headers=RETRY_AFTER)
        return self._renderers.render(request.scope, content)

    def _unwritable(self, request: Request, error: ResultsUnwritable) -> Response:
        return self._renderers.render(request.scope, ErrorContent(*RESULTS_UNWRITABLE, str(error)))

    def _invalid(self, request: Request, error: RequestValidationError) -> Response:
        return self._refused(request, InvalidRequest(plain_errors(error.errors())))

    def _http_error(self, request: Request, error: HTTPException) -> Response:
        status, headers, words = error.status_code, error.headers, str(error.detail)
        path = request.scope["path"]
        if status == HTTPStatus.METHOD_NOT_ALLOWED:
            methods = self._signposts.methods(path)
            headers = {"Allow": ", ".join(methods)}
            words = self._signposts.wrong_method(request.method, methods)
        elif status == HTTPStatus.NOT_FOUND:
            words = self._signposts.unknown_path(path)
        code = _RAISED.get(status) or Code(status, HTTPStatus(status).phrase.lower().replace(" ", "_"))
        return self._renderers.render(request.scope, ErrorContent(*code, words, headers=headers))


def _client_gone(_: Request, __: Exception) -> Response:
    return Response(status_code=CLIENT_CLOSED_REQUEST)
