"""The route that Prometheus reads."""

import asyncio
from collections.abc import Callable

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from answerback.accounts.auth import Authenticator
from answerback.http.openapi import KEY_OR_NOT
from answerback.http.openapi_parts import errors
from answerback.jobs.store import JobStore
from answerback.kernel.clock import Clock
from answerback.kernel.errors import StorageUnavailable
from answerback.kernel.telemetry import Depth

FRESH_SECONDS = 3.0
PATIENCE_SECONDS = 5.0
"""How long the page waits for the database: Prometheus gives up after ten seconds, and the other metrics matter most
while the database is away."""
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
EXAMPLE = """# HELP answerback_jobs_accepted_total Jobs accepted with 202, by kind.
# TYPE answerback_jobs_accepted_total counter
answerback_jobs_accepted_total{kind="message"} 2.0
"""


class Depths:
    """How many rows wait, read from the database at most every three seconds, however many requests come."""

    def __init__(self, store: JobStore, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._lock = asyncio.Lock()
        self._depth: Depth | None = None
        self._fresh_until = float("-inf")

    async def now(self) -> Depth | None:
        """None while the database does not answer."""
        async with self._lock:
            if self._clock.monotonic() >= self._fresh_until:
                try:
                    async with asyncio.timeout(PATIENCE_SECONDS):
                        self._depth = await self._store.depth()
                except (StorageUnavailable, TimeoutError):
                    self._depth = None
                self._fresh_until = self._clock.monotonic() + FRESH_SECONDS
            return self._depth


def router(
    depths: Depths, exposition: Callable[[Depth | None], bytes], authenticator: Authenticator, *, is_open: bool
) -> APIRouter:
    """`/metrics`: without a key where `is_open`, else with any key."""
    routes = APIRouter(tags=["health"])

    @routes.get(
        "/metrics",
        summary="Metrics for Prometheus",
        response_class=Response,
        openapi_extra=KEY_OR_NOT,
        responses={
            200: {"description": "Prometheus text format 0.0.4", "content": {"text/plain": {"example": EXAMPLE}}},
            **errors(_401="No key, or one that is not valid", _503="The keys cannot be read now; try again"),
        },
    )
    async def metrics(request: Request) -> Response:
        """Counts, latencies and what waits. No names of tenants, no texts. While the service listens on loopback, or
        asks nobody for a key, it asks for none here; otherwise any key will do, and the request is not counted against
        its rate."""
        if not is_open:
            await authenticator.check(request)
        return Response(exposition(await depths.now()), headers={"content-type": CONTENT_TYPE})

    return routes
