"""`GET /`: where a browser begins."""

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from answerback.http.headers import accepts
from answerback.kernel.errors import NotFound


def router(leads_to: str) -> APIRouter:
    """`leads_to` is relative, such as `docs`: a browser finds it behind a proxy that cuts a prefix off, too."""
    routes = APIRouter()

    async def front_page(request: Request) -> Response:
        """A browser is led to a page; any other client gets the address of the documentation."""
        if not accepts(request, "text/html"):
            raise NotFound("there is nothing at '/'; '/docs' lists what there is, such as POST /webhook")
        return RedirectResponse(leads_to)

    routes.add_api_route("/", front_page, include_in_schema=False)
    return routes
