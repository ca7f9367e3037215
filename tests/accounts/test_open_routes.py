"""What needs no key has a rate of its own, which takes nothing from callers with keys."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from fastapi import APIRouter

from answerback.accounts import open_routes
from answerback.accounts.open_routes import OPEN_RATE, OpenRates, OpenRoutes
from answerback.accounts.ratelimit import MovingWindows
from answerback.http.errors import RateLimited
from answerback.http.headers import RESPONSE_HEADERS
from answerback.http.openapi import KEYLESS
from answerback.kernel.rate import Rate
from whole_api import HERE, Api, whole_api

TOKEN = "a-token-of-the-settings"


class Front:
    """Open routes before an application that answers nothing, at a time that a test sets."""

    def __init__(self) -> None:
        self.now = 0.0
        routes = APIRouter()
        routes.add_api_route("/keyed", self._app)
        routes.add_api_route("/keyed/{name}", self._app)
        for path in ("/open", "/token/{name}", "/healthz"):
            routes.add_api_route(path, self._app, openapi_extra=KEYLESS)
        self._front = OpenRoutes(self._app, OpenRates(MovingWindows(lambda: self.now)), routes.routes)

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


FAR = ("192.0.2.7", 50_000)


async def flood(api: Api, paths: Sequence[str], client: tuple[str, int] = FAR) -> None:
    """Given that no more is answered at this address without a key."""
    for path in paths:
        await api("GET", path, client=client)
    assert (await api("GET", paths[0], client=client)).status == 429


@pytest.mark.parametrize("flooded", ["/nothing/x", "/metrics"])
@pytest.mark.parametrize("rate", ["0", "60/minute"])
async def test_metrics_with_a_key_are_not_counted_as_what_is_asked_for_without(
    path: Path, monkeypatch: pytest.MonkeyPatch, flooded: str, rate: str
) -> None:
    monkeypatch.setattr(open_routes, "OPEN_RATE", Rate(2, 60))
    async with whole_api(path, app_host="0.0.0.0", auth_token=TOKEN, rate_limit=rate) as api:
        await flood(api, [flooded] * 2)

        assert [(await api("GET", "/metrics", TOKEN, client=FAR)).status for _ in range(5)] == [200] * 5
        assert (await api("GET", "/metrics", "a-wrong-one", client=FAR)).status == 429
        assert (await api("GET", "/metrics", client=FAR)).status == 429


@pytest.mark.parametrize("settings", [{}, {"auth_token": TOKEN}, {"app_host": "0.0.0.0", "auth_disabled": True}])
async def test_metrics_without_a_key_have_a_rate_that_unknown_paths_do_not_take(
    path: Path, monkeypatch: pytest.MonkeyPatch, settings: dict[str, Any]
) -> None:
    monkeypatch.setattr(open_routes, "OPEN_RATE", Rate(2, 60))
    async with whole_api(path, **settings) as api:
        await flood(api, ["/nothing/x", "/docs"], HERE)

        assert [(await api("GET", "/metrics")).status for _ in range(3)] == [200, 200, 429]
