"""Pages of other origins may call the service only where CORS_ALLOWED_ORIGINS names them."""

from pathlib import Path

import pytest

from answerback.settings import Settings
from whole_api import whole_api

SHOP, OTHER = "https://shop.example", "https://other.example"
KEY = "client-token-2b7c"
PREFLIGHT = {
    "access_control_request_method": "POST",
    "access_control_request_headers": "authorization,content-type",
}


async def test_an_allowed_origin_may_ask_with_a_key_and_read_every_answer(path: Path) -> None:
    async with whole_api(path, auth_token=KEY, cors_allowed_origins=SHOP) as api:
        preflight = await api("OPTIONS", "/v1/chat/completions", origin=SHOP, **PREFLIGHT)
        assert (preflight.status, preflight.raw) == (204, b"")
        assert preflight.headers["access-control-allow-origin"] == SHOP
        assert "POST" in preflight.headers["access-control-allow-methods"]
        assert preflight.headers["access-control-allow-headers"] == "authorization,content-type"
        assert preflight.headers["x-request-id"]
        for key, status in ((KEY, 200), (None, 401)):
            reply = await api("GET", "/v1/jobs", key, origin=SHOP)
            assert (reply.status, reply.headers["access-control-allow-origin"]) == (status, SHOP)
            assert "x-request-id" in reply.headers["access-control-expose-headers"]
        too_large = await api("POST", "/webhook", KEY, origin=SHOP, content_length="99999999")
        assert (too_large.status, too_large.headers["access-control-allow-origin"]) == (413, SHOP)


async def test_other_origins_may_not(path: Path) -> None:
    async with whole_api(path, auth_token=KEY, cors_allowed_origins=SHOP) as api:
        for reply in (
            await api("OPTIONS", "/v1/jobs", origin=OTHER, **PREFLIGHT),
            await api("GET", "/v1/jobs", KEY, origin=OTHER),
            await api("GET", "/v1/jobs", KEY),
        ):
            assert "access-control-allow-origin" not in reply.headers
            assert reply.headers["vary"] == "Origin"


async def test_by_default_no_origin_may(path: Path) -> None:
    async with whole_api(path, auth_token=KEY) as api:
        assert (await api("OPTIONS", "/v1/jobs", origin=SHOP, **PREFLIGHT)).status == 405
        reply = await api("GET", "/v1/jobs", KEY, origin=SHOP)
        assert not {name for name in reply.headers if name.startswith("access-control") or name == "vary"}


async def test_without_any_key_no_other_origin_acts_in_the_operators_name(path: Path) -> None:
    async with whole_api(path, cors_allowed_origins="*") as api:
        assert (await api("OPTIONS", "/v1/jobs", origin=SHOP, **PREFLIGHT)).status == 204
        assert (await api("GET", "/v1/jobs", origin=SHOP)).status == 401


@pytest.mark.parametrize(
    "origin", ["null", "", "http://[", "http://[::1", "http://localhost@[", "//localhost", "http://"]
)
async def test_an_origin_that_is_none_is_another_ones(path: Path, origin: str) -> None:
    async with whole_api(path) as keyless:
        assert (await keyless("GET", "/v1/jobs", origin=origin)).status == 401
        assert (await keyless("GET", "/v1/jobs", origin="http://localhost")).status == 200
        assert (await keyless("POST", "/v1/session", body={}, origin=origin)).status < 500


@pytest.mark.parametrize(
    ("given", "origins"),
    [
        ("https://Shop.example/, http://localhost:3000", ("https://shop.example", "http://localhost:3000")),
        ("http://[::1]:3000 *", ("http://[::1]:3000", "*")),
        ("", ()),
    ],
)
def test_origins_are_written_as_browsers_send_them(given: str, origins: tuple[str, ...]) -> None:
    assert Settings(_env_file=None, cors_allowed_origins=given).cors_allowed_origins == origins  # type: ignore[call-arg, arg-type]


@pytest.mark.parametrize("given", ["shop.example", "https://shop.example/path", "https://", "null"])
def test_what_is_no_origin_stops_the_start(given: str) -> None:
    with pytest.raises(ValueError, match="must be origins such as"):
        Settings(_env_file=None, cors_allowed_origins=given)  # type: ignore[call-arg, arg-type]
