"""Routes without a process around them."""

from fastapi import APIRouter, FastAPI
from httpx2 import ASGITransport, AsyncClient

from answerback.http import errors
from builders import TENANT


def calling(routes: APIRouter) -> AsyncClient:
    """A client of these routes, and of their part of the OpenAPI document."""
    app = FastAPI()
    errors.install(app)
    app.include_router(routes)
    return AsyncClient(transport=ASGITransport(app), base_url="http://relay")


class AnyKey:
    """Takes every caller for the same tenant."""

    async def tenant(self, _: object) -> str:
        return TENANT
