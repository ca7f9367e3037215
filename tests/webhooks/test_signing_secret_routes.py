"""`/v1/signing_secret`: each tenant sees and rotates its own."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from answerback.accounts.model import hash_key
from whole_api import Api, whole_api

PATH = "/v1/signing_secret"


@pytest.fixture
async def api(path: Path) -> AsyncIterator[Api]:
    async with whole_api(path, auth_token="client-token-2b7c", callback_hmac_secret="the operator's words") as api:
        for key in ("one", "other"):
            await api.service.stores.accounts.create_key(key, hash_key(key))
        yield api


async def test_each_key_reads_the_secret_of_its_tenant(api: Api) -> None:
    one, other = [await api("GET", PATH, key) for key in ("one", "other")]

    assert one.status == other.status == 200
    assert one.json["secret"] != other.json["secret"]
    assert one.json["secret"].startswith("whsec_")
    assert one.json["previous_expires_at"] is None
    assert one.headers["cache-control"] == "no-store"


async def test_the_configured_secret_is_the_default_tenants(api: Api) -> None:
    assert (await api("GET", PATH, "client-token-2b7c")).json["secret"] == "the operator's words"


async def test_a_rotation_shows_the_new_secret_and_how_long_the_old_one_signs(api: Api) -> None:
    before = {key: (await api("GET", PATH, key)).json for key in ("one", "other")}

    rotated = await api("POST", f"{PATH}/rotate", "one")

    assert rotated.status == 200
    assert rotated.json["secret"] != before["one"]["secret"]
    assert rotated.json["previous_expires_at"] > rotated.json["created_at"]
    assert (await api("GET", PATH, "one")).json == rotated.json
    assert (await api("GET", PATH, "other")).json == before["other"]


async def test_a_repeated_rotation_is_the_same_rotation(api: Api) -> None:
    first, again = [await api("POST", f"{PATH}/rotate", "one", idempotency_key="a") for _ in range(2)]

    assert first.json == again.json
    assert again.headers["Idempotent-Replayed"] == "true"


async def test_the_configured_secret_is_not_rotated_over_http(api: Api) -> None:
    reply = await api("POST", f"{PATH}/rotate", "client-token-2b7c")

    assert (reply.status, reply.code) == (409, "conflict")
    assert "CALLBACK_HMAC_SECRET" in reply.json["detail"]


@pytest.mark.parametrize(("method", "route"), [("GET", PATH), ("POST", f"{PATH}/rotate")])
async def test_nobody_sees_a_secret_without_a_key(api: Api, method: str, route: str) -> None:
    assert (await api(method, route)).status == 401
    assert (await api(method, route, "wrong")).status == 401
