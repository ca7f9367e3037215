"""Is the process alive; can it take work."""

from collections.abc import Callable

from fastapi import APIRouter
from starlette.responses import Response

from answerback import __version__
from answerback.api.documents import errors
from answerback.api.errors import json_response, problem
from answerback.domain.errors import StorageUnavailable
from answerback.ports import Store


def router(store: Store, provider_name: str, mock: bool, engine_healthy: Callable[[], bool]) -> APIRouter:
    """`/healthz` for liveness, `/readyz` for traffic."""
    door = APIRouter(tags=["health"])

    @door.get("/healthz", summary="The process is alive")
    async def healthz() -> Response:
        body = {"status": "ok", "version": __version__, "provider": provider_name, "mock": mock}
        return json_response(200, body)

    @door.get("/readyz", summary="The service can take work", responses=errors(_503="Not now"))
    async def readyz() -> Response:
        try:
            await store.ping()
        except StorageUnavailable:
            return problem(503, "not_ready", "the database does not take writes now", headers={"Retry-After": "1"})
        if not engine_healthy():
            return problem(503, "not_ready", "the engine is not running", headers={"Retry-After": "1"})
        return json_response(200, {"status": "ready"})

    return door
