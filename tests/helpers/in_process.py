"""Routes without a process around them."""

from fastapi import APIRouter, FastAPI, Request, Response
from httpx2 import ASGITransport, AsyncClient

from answerback.accounts.model import Caller
from answerback.http.errors import content_of, problem
from answerback.kernel.errors import Refusal
from builders import TENANT


def calling(routes: APIRouter) -> AsyncClient:
    """A client of these routes, and of their part of the OpenAPI document."""
    app = FastAPI()

    @app.exception_handler(Refusal)
    async def refused(_: Request, refusal: Refusal) -> Response:
        return problem(content_of(refusal))

    app.include_router(routes)
    return AsyncClient(transport=ASGITransport(app), base_url="http://relay")


class AnyKey:
    """Takes every caller for the same tenant."""

    async def caller(self, _: object) -> Caller:
        return Caller(TENANT, None, operator=False, rate=None)

    async def tenant(self, _: object, asked: str | None = None) -> str:
        return TENANT
