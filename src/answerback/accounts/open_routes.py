"""A rate for what is answered without a key: health, documents, callbacks of an LLM, paths that are not there."""

from collections.abc import Iterable

from fastapi.routing import APIRoute
from starlette.requests import Request
from starlette.routing import BaseRoute
from starlette.types import ASGIApp, Receive, Scope, Send

from answerback.accounts.ratelimit import Rates, address_of
from answerback.http.errors import RateLimited
from answerback.http.headers import add_header
from answerback.kernel.rate import Rate

OPEN_RATE = Rate(100, 1)
"""Of one address. A probe or a scraper needs a few; many callers may share a proxy's address."""


class OpenRoutes:
    """Counts requests that no route with a key takes. `rates` are this process's own, so that a probe does not wait for
    others."""

    def __init__(self, app: ASGIApp, rates: Rates, routes: Iterable[BaseRoute]) -> None:
        self._app = app
        self._rates = rates
        keyed = [
            (method, route.path)
            for route in routes
            if isinstance(route, APIRoute) and _asks_for_a_key(route)
            for method in route.methods or ()
        ]
        self._literal = frozenset((method, path) for method, path in keyed if "{" not in path)
        self._prefixes = tuple((method, path.partition("{")[0]) for method, path in keyed if "{" in path)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Raises RateLimited, which the middleware renders."""
        if scope["type"] == "http" and self._is_open(scope["method"], scope["path"]):
            await self._count(Request(scope))
        await self._app(scope, receive, send)

    def _is_open(self, method: str, path: str) -> bool:
        if (method, path) in self._literal:
            return False
        return not any(method == taken and path.startswith(prefix) for taken, prefix in self._prefixes)

    async def _count(self, request: Request) -> None:
        standing = await self._rates.hit("open:" + address_of(request), OPEN_RATE)
        if not standing.admitted:
            add_header(request, "Retry-After", "1")
            raise RateLimited(f"more than {OPEN_RATE.amount} requests a second without a key; try again in 1 s")


def _asks_for_a_key(route: APIRoute) -> bool:
    return route.include_in_schema and "security" not in (route.openapi_extra or {})
