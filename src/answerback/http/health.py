"""Whether the process is alive, and whether it can take work."""

from typing import Literal

from fastapi import APIRouter
from pydantic import BaseModel, Field
from starlette.requests import Request
from starlette.responses import Response

from answerback import __version__
from answerback.http.codes import NOT_READY
from answerback.http.errors import RETRY_AFTER, ErrorContent, problem
from answerback.http.openapi import KEYLESS
from answerback.http.openapi_parts import errors
from answerback.http.readiness import Readiness
from answerback.http.request_log import ERROR_CODE
from answerback.http.responses import respond


class Alive(BaseModel):
    """`mock`: a mock answers in place of the LLM."""

    status: Literal["ok"]
    version: str = Field(examples=[__version__])
    provider: str = Field(examples=["openrouter"])
    mock: bool = Field(examples=[False])


class Ready(BaseModel):
    status: Literal["ready"]


def router(readiness: Readiness, provider_name: str, mock: bool) -> APIRouter:
    """`/healthz` for liveness, `/readyz` for traffic."""
    router = APIRouter(tags=["health"])
    alive = Alive(status="ok", version=__version__, provider=provider_name, mock=mock)

    async def healthz() -> Response:
        """Needs nothing but the process itself."""
        return respond(200, alive)

    async def readyz(request: Request) -> Response:
        """The database takes writes and the engine runs; found out once a second at most."""
        if (trouble := await readiness.trouble()) is not None:
            request.scope[ERROR_CODE] = NOT_READY.code
            return problem(ErrorContent(*NOT_READY, trouble, headers=RETRY_AFTER))
        return respond(200, Ready(status="ready"))

    router.add_api_route(
        "/healthz", healthz, response_model=Alive, summary="The process is alive", openapi_extra=KEYLESS
    )
    router.add_api_route(
        "/readyz",
        readyz,
        response_model=Ready,
        summary="The service can take work",
        responses=errors(_503="Not now"),
        openapi_extra=KEYLESS,
    )
    return router
