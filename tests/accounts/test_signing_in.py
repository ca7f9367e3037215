"""Browsers sign in with a key: the cookie opens the service to its own pages, and to no other page."""

from http.cookies import SimpleCookie
from pathlib import Path

import pytest

from answerback import __version__
from answerback.accounts.session_cookie import NAME
from whole_api import Api, Reply, shared_api, whole_api

CLIENT, OPERATOR, ODD = "client-token-2b7c", "operator-token-6d1f", 'odd;"token",100%'
OWN, OTHER = "http://localhost", "http://localhost:3000"
CANCEL = "/v1/jobs/job_1/cancel"


pytestmark = pytest.mark.asyncio(loop_scope="module")
api = shared_api(operator_token=OPERATOR, auth_token=CLIENT)


def cookie(reply: Reply) -> str:
    """As a browser sends it back."""
    (morsel,) = SimpleCookie(reply.headers["set-cookie"]).values()
    return f"{morsel.key}={morsel.coded_value}"


async def sign_in(api: Api, key: str = CLIENT) -> str:
    reply = await api("POST", "/v1/session", key, origin=OWN, sec_fetch_site="same-origin")
    assert reply.status == 204, reply.raw
    return cookie(reply)


async def test_a_caller_sees_who_it_is_and_what_it_called(api: Api) -> None:
    seen = (await api("GET", "/v1/session", CLIENT)).json

    assert seen == {
        "tenant": "default",
        "key": {"id": "AUTH_TOKEN", "name": "AUTH_TOKEN"},
        "operator": False,
        "keyless": False,
        "version": __version__,
        "mock": True,
        "default_model": api.service.default_model,
    }
    assert (await api("GET", "/v1/session", OPERATOR)).json["operator"]


async def test_a_key_that_was_made_has_its_own_name(api: Api) -> None:
    made = (await api("POST", "/v1/keys", OPERATOR, body={"name": "shop"})).json

    seen = (await api("GET", "/v1/session", made["key"])).json

    assert seen["key"] == {"id": made["id"], "name": "shop"}
    assert seen["tenant"] == made["tenant_id"]


async def test_a_service_without_keys_asks_for_no_signing_in(path: Path) -> None:
    async with whole_api(path) as api:
        seen = (await api("GET", "/v1/session")).json
        reply = await api("POST", "/v1/session", "anything")

    assert (seen["key"], seen["keyless"], seen["operator"]) == (None, True, True)
    assert (reply.status, reply.headers.get("set-cookie")) == (204, None)


async def test_the_cookie_opens_what_the_key_opens(api: Api) -> None:
    signed_in = await sign_in(api, OPERATOR)

    reply = await api("GET", "/v1/keys", cookie=signed_in, sec_fetch_site="same-origin")

    assert reply.status == 200


async def test_the_cookie_is_for_no_script_and_no_other_site_and_ends_with_the_browser(api: Api) -> None:
    reply = await api("POST", "/v1/session", CLIENT)

    parts = reply.headers["set-cookie"].split("; ")
    assert sorted(parts) == sorted([f"{NAME}={CLIENT}", "HttpOnly", "Path=/", "SameSite=Strict"])


async def test_the_cookie_travels_over_https_only_where_it_was_made_there(path: Path) -> None:
    async with whole_api(path, auth_token=CLIENT) as api:
        reply = await api("POST", "/v1/session", CLIENT, scheme="https")

    assert "Secure" in reply.headers["set-cookie"].split("; ")


async def test_a_key_of_any_characters_comes_back_whole(path: Path) -> None:
    async with whole_api(path, auth_token=ODD) as api:
        signed_in = await sign_in(api, ODD)
        reply = await api("GET", "/v1/session", cookie=f"theme=dark; {signed_in}")

    assert reply.status == 200


@pytest.mark.parametrize("key", [None, "wrong"])
async def test_nobody_signs_in_without_a_valid_key(api: Api, key: str | None) -> None:
    reply = await api("POST", "/v1/session", key)

    assert (reply.status, reply.headers.get("set-cookie")) == (401, None)


@pytest.mark.parametrize("key", [None, "wrong"])
async def test_a_browser_may_ask_whether_it_is_signed_in_without_an_error(api: Api, key: str | None) -> None:
    cookie = {} if key is None else {"cookie": f"{NAME}={key}"}

    asked = await api("GET", "/v1/session?optional=true", **cookie)

    assert (asked.status, asked.raw, asked.headers["cache-control"]) == (204, b"", "no-store")
    assert (await api("GET", "/v1/session", **cookie)).status == 401
    known = await api("GET", "/v1/session?optional=true", CLIENT)
    assert known.raw == (await api("GET", "/v1/session", CLIENT)).raw


async def test_a_key_in_the_header_wins_over_the_cookie(api: Api) -> None:
    signed_in = await sign_in(api, OPERATOR)

    assert not (await api("GET", "/v1/session", CLIENT, cookie=signed_in)).json["operator"]
    assert (await api("GET", "/v1/session", "wrong", cookie=signed_in)).status == 401


@pytest.mark.parametrize(
    ("method", "route", "sent", "taken"),
    [
        ("GET", "/v1/jobs", {"sec_fetch_site": "same-origin"}, True),
        ("GET", "/v1/jobs", {"sec_fetch_site": "none"}, True),
        ("GET", "/v1/jobs", {"sec_fetch_site": "same-site"}, False),
        ("GET", "/v1/jobs", {"sec_fetch_site": "cross-site"}, False),
        ("GET", "/v1/jobs", {"sec_fetch_site": "cross-site", "origin": OWN}, False),
        ("GET", "/v1/jobs", {}, True),
        ("GET", "/v1/jobs", {"origin": OWN}, True),
        ("GET", "/v1/jobs", {"origin": OTHER}, False),
        ("GET", "/v1/jobs", {"origin": "null"}, False),
        ("POST", CANCEL, {"sec_fetch_site": "same-origin"}, True),
        ("POST", CANCEL, {"sec_fetch_site": "none"}, False),
        ("POST", CANCEL, {"sec_fetch_site": "same-site"}, False),
        ("POST", CANCEL, {"origin": OWN}, True),
        ("POST", CANCEL, {"origin": OTHER}, False),
        ("POST", CANCEL, {"origin": "null"}, False),
        ("POST", CANCEL, {}, False),
        ("DELETE", "/v1/sessions/s", {}, False),
    ],
)
async def test_only_this_services_pages_use_the_cookie(
    api: Api, method: str, route: str, sent: dict[str, str], *, taken: bool
) -> None:
    reply = await api(method, route, cookie=await sign_in(api), **sent)

    assert (reply.status != 401) is taken
    assert CLIENT.encode() not in reply.raw


async def test_signing_out_clears_the_cookie_also_of_a_key_that_is_gone(api: Api) -> None:
    reply = await api("DELETE", "/v1/session", cookie=f"{NAME}=revoked", sec_fetch_site="same-origin")

    assert reply.status == 204
    (morsel,) = SimpleCookie(reply.headers["set-cookie"]).values()
    assert (morsel.value, morsel["max-age"], morsel["path"]) == ("", "0", "/")


@pytest.mark.parametrize("method", ["POST", "DELETE"])
@pytest.mark.parametrize("sent", [{"sec_fetch_site": "same-site"}, {"origin": OTHER}])
async def test_no_other_page_signs_a_browser_in_or_out(api: Api, method: str, sent: dict[str, str]) -> None:
    reply = await api(method, "/v1/session", CLIENT, **sent)

    assert (reply.status, reply.headers.get("set-cookie")) == (401, None)


async def test_asking_who_one_is_does_not_count(path: Path) -> None:
    async with whole_api(path, auth_token=CLIENT, rate_limit="1/hour") as api:
        statuses = [(await api("GET", "/v1/session", CLIENT)).status for _ in range(3)]

    assert statuses == [200, 200, 200]


@pytest.mark.parametrize("sent", [{"sec_fetch_site": "same-origin"}, {}])
async def test_what_the_pages_read_has_a_rate_of_its_own(path: Path, sent: dict[str, str]) -> None:
    async with whole_api(path, auth_token=CLIENT, rate_limit="1/hour") as api:
        signed_in = cookie(await api("POST", "/v1/session", CLIENT))
        read = [(await api("GET", "/v1/jobs", cookie=signed_in, **sent)).status for _ in range(3)]
        changed = await api("POST", CANCEL, cookie=signed_in, sec_fetch_site="same-origin")
        by_key = await api("GET", "/v1/jobs", CLIENT, sec_fetch_site="same-origin")

    assert (read, changed.status, by_key.status) == ([200, 200, 200], 429, 429)


async def test_the_pages_of_a_service_without_keys_read_at_that_rate_too(path: Path) -> None:
    async with whole_api(path, rate_limit="1/hour") as api:
        read = [(await api("GET", "/v1/jobs", sec_fetch_site="same-origin")) for _ in range(3)]

    assert [each.status for each in read] == [200, 200, 200]
    assert read[0].headers["ratelimit-limit"] == "50"
