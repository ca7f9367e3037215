"""`GET /`: where a browser begins."""

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from answerback.http.headers import accepts
from answerback.kernel.errors import NotFound

DOCS = "docs"
"""Relative, so that it leads to the right place behind a proxy that cuts a prefix off, too."""


def router() -> APIRouter:
    routes = APIRouter()

    async def front_page(request: Request) -> Response:
        """A browser is led to the documentation; any other client gets its address."""
        if not accepts(request, "text/html"):
            raise NotFound("there is nothing at '/'; '/docs' lists what there is, such as POST /webhook")
        return RedirectResponse(DOCS)

    routes.add_api_route("/", front_page, methods=["GET", "HEAD"], include_in_schema=False)
    return routes
