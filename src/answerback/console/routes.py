"""`/console` and below: one page, whatever the address, and the files that it is made of."""

from collections.abc import Mapping

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from answerback.console.assets import Asset, read_assets
from answerback.http.openapi import KEYLESS
from answerback.kernel.errors import NotFound

HOME = "/console"
ANY_PAGE = HOME + "/{path:path}"
ASSETS = "assets/"
"""Below this and a version the files are; every other address is the page, which finds out by itself what it is to
show."""

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
)
HEADERS: Mapping[str, str] = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}
ASKED_AGAIN = "no-cache"
STAYS = "public, max-age=31536000, immutable"
"""Of a file at the address of its version: after an upgrade the page names others."""


def router() -> APIRouter:
    """The console, without a key: it holds no data, and asks the other routes for all it shows."""
    routes = APIRouter()
    assets = read_assets()

    async def console(request: Request) -> Response:
        return _served(request, assets.page(""), ASKED_AGAIN)

    async def console_page(request: Request) -> Response:
        path: str = request.path_params["path"]
        if not path.startswith(ASSETS):
            return _served(request, assets.page(path), ASKED_AGAIN)
        version, _, name = path.removeprefix(ASSETS).partition("/")
        asset = assets.files.get(name)
        if asset is None:
            raise NotFound("the console has no such file")
        # A page of before an upgrade goes on with what is there now.
        return _served(request, asset, STAYS if version == assets.version else ASKED_AGAIN)

    for path, endpoint in ((HOME, console), (ANY_PAGE, console_page)):
        routes.add_api_route(path, endpoint, include_in_schema=False, openapi_extra=KEYLESS)
    return routes


def _served(request: Request, asset: Asset, cached: str) -> Response:
    headers = {**HEADERS, "Cache-Control": cached, "ETag": asset.etag}
    if asset.etag in _known(request):
        return Response(status_code=304, headers=headers)
    return Response(asset.content, 200, headers, asset.media_type)


def _known(request: Request) -> frozenset[str]:
    """The entity tags that the client has."""
    given = request.headers.get("if-none-match", "").split(",")
    return frozenset(each.strip().removeprefix("W/") for each in given)
