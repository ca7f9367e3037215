"""`/v1/receivers`, and a dry run of resending."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from answerback.accounts.model import hash_key
from answerback.jobs import all_tenants
from answerback.testing import behaviours
from answerback.testing.receiver import Receiver
from whole_api import Api, whole_api

OWN = "own"
HOOK = "https://203.0.114.1/hook"
ORIGIN = "https://203.0.114.1:443"


@pytest.fixture
async def api(path: Path) -> AsyncIterator[Api]:
    """Nothing is delivered: this process only takes requests."""
    async with whole_api(path, callback_allowed_networks="127.0.0.0/8") as api:
        for key in (OWN, "other"):
            await api.service.stores.accounts.create_key(key, hash_key(key))
        yield api


async def owe(api: Api, url: str = HOOK, key: str = OWN) -> None:
    """A callback that waits."""
    accepted = await api("POST", "/webhook", key, body={"message": "Hello!", "callback_url": url, "stateless": True})
    assert (await api("POST", f"/v1/jobs/{accepted.json['job_id']}/cancel", key)).status == 200


async def test_a_tenant_sees_where_its_own_callbacks_go(api: Api) -> None:
    await owe(api)

    (shown,) = (await api("GET", "/v1/receivers", OWN)).json["items"]

    assert shown.pop("next_attempt_at")
    assert shown == {
        "origin": ORIGIN,
        "url": HOOK,
        "healthy": None,
        "waiting": 1,
        "held": 0,
        "sending": 0,
        "dead": 0,
        "last_error": None,
        "failing": [],
        "last_attempt_at": None,
        "delivered_at": None,
    }
    assert (await api("GET", "/v1/receivers", "other")).json == {"items": []}


async def test_an_operator_sees_where_the_callbacks_of_all_tenants_go(api: Api) -> None:
    accounts = api.service.stores.accounts
    await accounts.create_key("operator", hash_key("operator"), operator=True)
    other = await accounts.create_key("shop", hash_key("shop"))
    await owe(api)
    for _ in range(2):
        await owe(api, key="shop")

    items = (await api("GET", "/v1/receivers?tenant=*", "operator")).json["items"]

    assert [(each["origin"], each["waiting"]) for each in items] == [(ORIGIN, 2), (ORIGIN, 1)]
    assert items[0]["tenant_id"] == other.tenant_id != items[1]["tenant_id"]
    assert (await api("GET", "/v1/receivers?tenant=*", OWN)).status == 403


async def test_tenants_that_are_too_many_are_named_one_by_one(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(all_tenants, "MOST_TENANTS", 1)
    accounts = api.service.stores.accounts
    await accounts.create_key("operator", hash_key("operator"), operator=True)
    for key in (OWN, "other"):
        await owe(api, key=key)

    reply = await api("GET", "/v1/receivers?tenant=*", "operator")

    assert (reply.status, reply.json["error"]["code"]) == (422, "validation_error")
    assert "the id of one" in reply.json["error"]["message"]


async def test_a_dry_run_says_how_many_match_and_resends_none(api: Api) -> None:
    await owe(api)
    body = {"status": "pending", "url": "https://203.0.114.1/", "dry_run": True}

    for _ in range(2):
        reply = await api("POST", "/v1/deliveries/resend", OWN, body=body, idempotency_key="once")
        assert (reply.status, reply.json) == (200, {"matched": 1})
    resent = await api("POST", "/v1/deliveries/resend", OWN, body=body | {"dry_run": False}, idempotency_key="once")
    assert (resent.status, resent.json) == (202, {"resent": 1})


async def test_a_sample_is_sent_signed_and_stored_nowhere(api: Api) -> None:
    secret = (await api("GET", "/v1/signing_secret", OWN)).json["secret"]
    async with Receiver(secret) as receiver:
        receiver.on("/hook", behaviours.status(202))
        url = receiver.url("/hook")

        reply = await api("POST", "/v1/receivers/test", OWN, body={"url": url})

        assert (reply.status, reply.json) == (200, {"object": "receiver.test", "url": url, "status_code": 202})
        (came,) = receiver.callbacks
        assert came.verified
        assert came.json["status"] == "completed"
    assert (await api("GET", "/v1/jobs", OWN)).json["items"] == []

    silent = await api("POST", "/v1/receivers/test", OWN, body={"url": url})

    assert (silent.status, silent.code) == (422, "validation_error")
    assert "did not answer" in silent.raw.decode()


async def test_no_sample_is_sent_and_no_secret_made_for_a_tenant_that_is_none(api: Api) -> None:
    await api.service.stores.accounts.create_key("operator", hash_key("operator"), operator=True)
    before = await api.service.webhooks.secrets.all_live()
    async with Receiver() as receiver:
        reply = await api("POST", "/v1/receivers/test?tenant=nobody", "operator", body={"url": receiver.url("/hook")})

        assert (reply.status, reply.code) == (404, "not_found")
        assert not receiver.callbacks
    assert await api.service.webhooks.secrets.all_live() == before


async def test_a_sample_goes_to_no_address_that_a_callback_may_not_go_to(api: Api) -> None:
    reply = await api("POST", "/v1/receivers/test", OWN, body={"url": "http://10.0.0.1/hook"})

    assert (reply.status, reply.code) == (422, "callback_refused")
    (named,) = reply.json["detail"]
    assert named["loc"] == ["body", "url"]
    assert named["msg"].startswith("url's address '10.0.0.1' may not be called")
