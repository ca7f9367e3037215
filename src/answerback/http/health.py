"""Is the process alive; can it take work."""

from collections.abc import Callable
from typing import Literal

from fastapi import APIRouter
from pydantic import BaseModel
from starlette.responses import Response

from answerback import __version__
from answerback.http.errors import problem
from answerback.http.openapi import KEYLESS
from answerback.http.openapi_parts import errors
from answerback.http.responses import respond, shown
from answerback.jobs.ports import Store
from answerback.kernel.errors import StorageUnavailable


class Alive(BaseModel):
    """`mock`: no LLM is asked, a mock answers."""

    model_config = shown({"status": "ok", "version": __version__, "provider": "openrouter", "mock": False})

    status: Literal["ok"]
    version: str
    provider: str
    mock: bool


class Ready(BaseModel):
    model_config = shown({"status": "ready"})

    status: Literal["ready"]


def router(store: Store, provider_name: str, mock: bool, engine_healthy: Callable[[], bool]) -> APIRouter:
    """`/healthz` for liveness, `/readyz` for traffic."""
    door = APIRouter(tags=["health"])

    async def healthz() -> Response:
        """Asks nobody else: it answers as long as the process does."""
        return respond(200, Alive(status="ok", version=__version__, provider=provider_name, mock=mock))

    async def readyz() -> Response:
        """The database takes writes and the engine runs."""
        try:
            await store.ping()
        except StorageUnavailable:
            return problem(503, "not_ready", "the database does not take writes now", headers={"Retry-After": "1"})
        if not engine_healthy():
            return problem(503, "not_ready", "the engine is not running", headers={"Retry-After": "1"})
        return respond(200, Ready(status="ready"))

    door.add_api_route("/healthz", healthz, response_model=Alive, summary="The process is alive", openapi_extra=KEYLESS)
    door.add_api_route(
        "/readyz",
        readyz,
        response_model=Ready,
        summary="The service can take work",
        responses=errors(_503="Not now"),
        openapi_extra=KEYLESS,
    )
    # Probes and load balancers ask with HEAD too.
    door.add_api_route("/healthz", healthz, methods=["HEAD"], include_in_schema=False)
    door.add_api_route("/readyz", readyz, methods=["HEAD"], include_in_schema=False)
    return door
