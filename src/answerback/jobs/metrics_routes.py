"""The route that Prometheus reads."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from answerback.accounts.auth import Authenticator
from answerback.accounts.open_routes import METRICS, OpenRates
from answerback.http.openapi import KEY_OR_NOT
from answerback.http.openapi_parts import MISDIRECTED, errors
from answerback.jobs.store import JobStore
from answerback.kernel.clock import Clock
from answerback.kernel.errors import Misdirected, StorageUnavailable, Unauthorized
from answerback.kernel.shared import Shared
from answerback.kernel.telemetry import Depth

FRESH_SECONDS = 3.0
COUNT_SHARE = 0.05
"""The share of time that counting may take, however many rows wait."""
WAIT_SECONDS = 0.03
"""How long the page waits for a count where it has an earlier one."""
PATIENCE_SECONDS = 5.0
"""How long it waits for the first: Prometheus gives up after ten seconds, and the other metrics matter most while the
database is away."""
TIMEOUT_SECONDS = 10.0
"""After that the database counts as away."""
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
EXAMPLE = """# HELP answerback_jobs_accepted_total Jobs accepted with 202, by kind.
# TYPE answerback_jobs_accepted_total counter
answerback_jobs_accepted_total{kind="message"} 2.0
"""


class Depths:
    """How many rows wait, counted at most every three seconds, however many requests come. A count of very many rows
    takes long, and while the database is away there is none: meanwhile the page shows the one before."""

    def __init__(self, store: JobStore, clock: Clock) -> None:
        self._store = store
        self._counted = Shared(self._count, clock.monotonic, FRESH_SECONDS, COUNT_SHARE)
        self._first: asyncio.Task[None] | None = None
        self._depth: Depth | None = None

    def start(self) -> None:
        """Counts once, so that the first page need not wait."""
        self._first = asyncio.create_task(self._count())

    async def now(self) -> Depth | None:
        """None before the first count."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(PATIENCE_SECONDS if self._depth is None else WAIT_SECONDS):
                if self._first is not None and not self._first.done():
                    await asyncio.wait([self._first])
                else:
                    await self._counted.get()
        return self._depth

    async def close(self) -> None:
        if self._first is not None:
            await asyncio.wait([self._first])
        await self._counted.close()

    async def _count(self) -> None:
        with contextlib.suppress(StorageUnavailable, TimeoutError):
            async with asyncio.timeout(TIMEOUT_SECONDS):
                self._depth = await self._store.depth()


def router(
    depths: Depths,
    exposition: Callable[[Depth | None], Awaitable[bytes]],
    authenticator: Authenticator,
    rates: OpenRates,
    *,
    on_loopback: bool,
) -> APIRouter:
    """`/metrics`: without a key while the service listens `on_loopback` only, or asks nobody for one, else with any
    key. Requests with one are not counted; others never by what came to other routes."""
    routes = APIRouter(tags=["health"])

    async def admitted_keyless(request: Request) -> bool:
        """Whether it needed no key."""
        if on_loopback:
            authenticator.refuse_other_sites(request)
            return True
        return (await authenticator.check(request)).key_id is None

    @routes.get(
        METRICS,
        summary="Metrics for Prometheus",
        response_class=Response,
        openapi_extra=KEY_OR_NOT,
        responses={
            200: {"description": "Prometheus text format 0.0.4", "content": {"text/plain": {"example": EXAMPLE}}},
            **errors(
                _401="No key, or one that is not valid",
                _421=MISDIRECTED,
                _503="The keys cannot be read now; try again",
            ),
        },
    )
    async def get_metrics(request: Request) -> Response:
        """Counts, latencies and what waits. No names of tenants, no texts. While the service listens on loopback, or
        asks nobody for a key, it asks for none here, and answers 300 requests a second of one address; otherwise any
        key will do, and the request is not counted against its rate."""
        try:
            keyless = await admitted_keyless(request)
        except (Unauthorized, Misdirected):
            await rates.count(request)
            raise
        if keyless:
            await rates.count(request, "metrics")
        return Response(await exposition(await depths.now()), headers={"content-type": CONTENT_TYPE})

    return routes
