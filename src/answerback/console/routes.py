"""`/console` and below: one page, whatever the address, and the files that it is made of."""

from collections.abc import Mapping

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from answerback.console.assets import PAGE, Asset, read_assets
from answerback.http.openapi import KEYLESS
from answerback.kernel.errors import NotFound

HOME = "/console"
ANY_PAGE = HOME + "/{path:path}"
ASSETS = "assets/"
"""Below this the files are; every other address is the page, which finds out by itself what it is to show."""

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
)
HEADERS: Mapping[str, str] = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    # Asks each time whether the file is still the same: after an upgrade no page is made of files of two versions.
    "Cache-Control": "no-cache",
}


def router() -> APIRouter:
    """The console, without a key: it holds no data, and asks the other routes for all it shows."""
    routes = APIRouter()
    assets = read_assets()

    async def console(request: Request) -> Response:
        return _served(request, assets[PAGE])

    async def console_page(request: Request) -> Response:
        path: str = request.path_params["path"]
        if not path.startswith(ASSETS):
            return _served(request, assets[PAGE])
        asset = assets.get(path.removeprefix(ASSETS))
        if asset is None:
            raise NotFound("the console has no such file")
        return _served(request, asset)

    for path, endpoint in ((HOME, console), (ANY_PAGE, console_page)):
        routes.add_api_route(path, endpoint, include_in_schema=False, openapi_extra=KEYLESS)
    return routes


def _served(request: Request, asset: Asset) -> Response:
    headers = {**HEADERS, "ETag": asset.etag}
    if asset.etag in _known(request):
        return Response(status_code=304, headers=headers)
    return Response(asset.content, 200, headers, asset.media_type)


def _known(request: Request) -> frozenset[str]:
    """The entity tags that the client has."""
    given = request.headers.get("if-none-match", "").split(",")
    return frozenset(each.strip().removeprefix("W/") for each in given)
