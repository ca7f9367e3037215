"""Adds routes to an application without the cost of FastAPI's features that they do not use."""

import inspect
from collections.abc import Collection, Iterable

from fastapi import APIRouter, FastAPI
from fastapi.routing import APIRoute
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Mount, Route, request_response
from starlette.types import Receive, Scope, Send

from answerback.http.error_handlers import ErrorHandlers
from answerback.http.request_log import UNMATCHED


class DirectRoutes:
    """The application as ASGI: an endpoint that takes the request as it is, at a path without parameters, is called
    directly; every other request goes through FastAPI.

    Routes keep the prefix, tags and dependencies of their routers, and FastAPI documents all of them. Its middlewares,
    its matching of one route after the other and its parsing would cost each request 150 µs.
    """

    def __init__(self, app: FastAPI, routers: Iterable[APIRouter], handlers: ErrorHandlers) -> None:
        self._app = app
        self._handlers = handlers
        self._direct: dict[tuple[str, str], APIRoute] = {}
        for route in (route for router in routers for route in router.routes):
            if isinstance(route, APIRoute) and _speaks_http(route):
                route.app = request_response(route.endpoint)
                if "{" not in route.path:
                    self._direct.update({(method, route.path): route for method in route.methods or ()})
            # `include_router` would match each request against the routers one by one, then against a router's routes.
            app.router.routes.append(route)
        handlers.install(app)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        route = self._direct.get((scope["method"], scope["path"])) if scope["type"] == "http" else None
        if route is None:
            await self._app(scope, receive, send)
            return
        scope.update(app=self._app, route=route, endpoint=route.endpoint, path_params={})
        request = _Request(scope, receive, send)
        try:
            response: Response = await route.endpoint(request)
        except Exception as error:  # noqa: BLE001 - what has no handler is raised again
            response = self._handlers.response(request, error)
        await response(scope, receive, send)


class _Request(Request):
    """Starlette's, which reads a body through a generator within another."""

    async def body(self) -> bytes:
        if not hasattr(self, "_body"):
            parts, more = list[bytes](), True
            while more:
                message = await self._receive()
                if message["type"] == "http.disconnect":
                    raise ClientDisconnect
                parts.append(message.get("body", b""))
                more = message.get("more_body", False)
            self._body = b"".join(parts)
        return self._body


class RouteLabels:
    """Names the route of a request, for metrics: one of a number that no client can raise."""

    def __init__(self, routes: Collection[BaseRoute]) -> None:
        self._routes = frozenset(route.path for route in routes if isinstance(route, Route))
        self._mounts = tuple(route.path for route in routes if isinstance(route, Mount))

    def of(self, scope: Scope) -> str:
        """The path's template, once the request has been answered."""
        template = getattr(scope.get("route"), "path", None)
        if template in self._routes:
            return str(template)
        path = scope["path"]
        if scope.get("endpoint") is None:
            return UNMATCHED
        if path in self._routes:
            return str(path)
        return next((mount for mount in self._mounts if path.startswith(mount)), UNMATCHED)


def _speaks_http(route: APIRoute) -> bool:
    """Whether the endpoint takes the request as it is and returns a response, with no dependencies of FastAPI's."""
    signature = inspect.signature(route.endpoint)
    takes_request = [each.annotation for each in signature.parameters.values()] == [Request]
    return takes_request and signature.return_annotation is Response and not route.dependencies
