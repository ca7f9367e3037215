"""What needs no key has a rate of its own, which takes nothing from callers with keys."""

from pathlib import Path

import pytest
from fastapi import APIRouter

from answerback.accounts import open_routes
from answerback.accounts.open_routes import OPEN_RATE, OpenRoutes
from answerback.accounts.ratelimit import MovingWindows
from answerback.http.errors import RateLimited
from answerback.http.headers import RESPONSE_HEADERS
from answerback.http.openapi import KEYLESS
from answerback.kernel.rate import Rate
from whole_api import whole_api


class Front:
    """Open routes before an application that answers nothing, at a time that a test sets."""

    def __init__(self) -> None:
        self.now = 0.0
        routes = APIRouter()
        routes.add_api_route("/keyed", self._app)
        routes.add_api_route("/keyed/{name}", self._app)
        for path in ("/open", "/token/{name}", "/healthz"):
            routes.add_api_route(path, self._app, openapi_extra=KEYLESS)
        self._front = OpenRoutes(self._app, MovingWindows(lambda: self.now), routes.routes)

    async def _app(self, scope: object, receive: object, send: object) -> None:
        return

    async def ask(self, path: str, method: str = "GET", client: str = "192.0.2.1") -> None:
        scope = {"type": "http", "method": method, "path": path, "headers": [], "client": (client, 1)}
        await self._front({**scope, RESPONSE_HEADERS: []}, None, None)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/open"), ("GET", "/nowhere"), ("POST", "/keyed"), ("GET", "/keyed/one/and/no/more")]
)
async def test_a_flood_from_one_address_is_refused_and_others_are_served(method: str, path: str) -> None:
    front = Front()
    for _ in range(OPEN_RATE.amount):
        await front.ask(path, method)
    with pytest.raises(RateLimited, match="without a key"):
        await front.ask(path, method)
    await front.ask(path, method, client="192.0.2.2")
    front.now += OPEN_RATE.seconds
    await front.ask(path, method)


async def test_routes_with_a_key_or_a_token_and_probes_are_not_counted() -> None:
    front = Front()
    for _ in range(OPEN_RATE.amount + 1):
        await front.ask("/keyed")
        await front.ask("/keyed/one")
        await front.ask("/token/of_a_job")
        await front.ask("/healthz")


async def test_a_refusal_says_when_to_try_again(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(open_routes, "OPEN_RATE", Rate(2, 60))
    async with whole_api(path) as api:
        replies = [await api("GET", "/wp-login.php") for _ in range(3)]
        assert [reply.status for reply in replies] == [404, 404, 429]
        assert (replies[-1].code, replies[-1].headers["retry-after"]) == ("rate_limited", "1")
        assert (await api("GET", "/v1/jobs")).status == 200
        assert (await api("GET", "/healthz")).status == 200
