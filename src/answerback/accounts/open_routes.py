"""A rate for what is answered without a key: documents, metrics, paths and methods that are not there."""

from collections.abc import Collection, Iterable

from fastapi.routing import APIRoute
from starlette.requests import Request
from starlette.routing import BaseRoute
from starlette.types import ASGIApp, Receive, Scope, Send

from answerback.accounts.ratelimit import Rates, address_of
from answerback.http.errors import RETRY_AFTER, RateLimited
from answerback.http.headers import set_headers
from answerback.kernel.rate import Rate

OPEN_RATE = Rate(300, 1)
"""Of one address: many callers may share a proxy's."""

PROBES = frozenset({"/healthz", "/readyz"})
"""They cost nothing, and a supervisor that is refused would stop a healthy process."""

METRICS = "/metrics"
"""It counts by itself: whether it asks for a key depends on where the service listens."""


class OpenRates:
    """Counts the requests of addresses by `OPEN_RATE`. `rates` are this process's own, so that none waits for Redis."""

    def __init__(self, rates: Rates) -> None:
        self._rates = rates

    async def count(self, request: Request, what: str = "open") -> None:
        """Each `what` is counted by itself. Raises RateLimited."""
        standing = await self._rates.hit(f"{what}:{address_of(request)}", OPEN_RATE)
        if not standing.admitted:
            set_headers(request, RETRY_AFTER)
            raise RateLimited(f"more than {OPEN_RATE.amount} requests a second without a key; try again in 1 s")


class OpenRoutes:
    """Counts requests that no route with a key or a token takes. `open_paths` are templates, such as
    `/console/{path}`, of routes that ask for neither."""

    def __init__(
        self, app: ASGIApp, rates: OpenRates, routes: Iterable[BaseRoute], open_paths: Collection[str] = ()
    ) -> None:
        self._app = app
        self._rates = rates
        uncounted = [
            (method, route)
            for route in routes
            if isinstance(route, APIRoute)
            and route.path not in open_paths
            and (_asks_for_a_key(route) or route.path in PROBES or route.path == METRICS)
            for method in route.methods or ()
        ]
        self._literal = frozenset((method, route.path) for method, route in uncounted if "{" not in route.path)
        # A prefix decides nearly always, and is found faster.
        self._templates = tuple(
            (method, route.path.partition("{")[0], route.path_regex) for method, route in uncounted if "{" in route.path
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Raises RateLimited, which the middleware renders."""
        if scope["type"] == "http" and self._is_open(scope["method"], scope["path"]):
            await self._rates.count(Request(scope))
        await self._app(scope, receive, send)

    def _is_open(self, method: str, path: str) -> bool:
        if (method, path) in self._literal:
            return False
        return not any(
            method == taken and path.startswith(prefix) and template.match(path)
            for taken, prefix, template in self._templates
        )


def _asks_for_a_key(route: APIRoute) -> bool:
    """Or for the token of the one object that its path names."""
    if "{" in route.path:
        return True
    return route.include_in_schema and "security" not in (route.openapi_extra or {})
