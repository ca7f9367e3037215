"""An inbox: an address for callbacks that every tenant has, private to it, bounded, reached without a connection."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from answerback.accounts import open_routes
from answerback.inbox.model import MAX_BODY, MAX_ITEMS
from answerback.kernel import signature
from answerback.kernel.rate import Rate
from answerback.webhooks.sending.errors import SendError
from whole_api import Api, whole_api

CLIENT, OPERATOR = "client-token-2b7c", "operator-token-6d1f"
BASE = "http://relay.example:8080"
BODY = json.dumps({"job_id": "job_1", "status": "completed"}).encode()


@pytest.fixture
async def api(path: Path) -> AsyncIterator[Api]:
    async with whole_api(path, operator_token=OPERATOR, auth_token=CLIENT, public_base_url=BASE, rate_limit="0") as api:
        yield api


async def opened(api: Api, key: str = CLIENT) -> str:
    """The inbox's path."""
    url = (await api("POST", "/v1/inbox", key)).json["url"]
    assert url.startswith(BASE + "/inbox/")
    return str(url.removeprefix(BASE))


async def items(api: Api, key: str = CLIENT, query: str = "") -> list[Any]:
    reply = await api("GET", f"/v1/inbox{query}", key)
    assert reply.status == 200, reply.raw
    found: list[Any] = reply.json["items"]
    return found


async def signed(api: Api, body: bytes = BODY, key: str = CLIENT) -> dict[str, str]:
    secret = (await api("GET", "/v1/signing_secret", key)).json["secret"]
    return {name.replace("-", "_"): text for name, text in signature.headers("msg_1", 1, body, [secret]).items()}


async def test_what_is_posted_is_shown_with_its_headers_and_its_job(api: Api) -> None:
    address = await opened(api)

    taken = await api("POST", address, body=BODY, content_type="application/json", authorization="secret", cookie="a=b")

    (came,) = await items(api)
    assert (taken.status, taken.json) == (200, {"received": True})
    assert came["headers"] == {"host": "localhost", "content-type": "application/json"}
    assert (came["body"], came["job_id"], came["truncated"]) == (BODY.decode(), "job_1", False)
    assert came["signature"] == "missing"


async def test_the_address_of_a_tenant_stays_and_is_no_other_tenants(api: Api) -> None:
    shop = (await api("POST", "/v1/keys", OPERATOR, body={"name": "shop"})).json["key"]
    ours, theirs = await opened(api), await opened(api, shop)
    assert ours == await opened(api) != theirs

    await api("POST", theirs, body=BODY)

    assert (len(await items(api)), len(await items(api, shop))) == (0, 1)
    await api("DELETE", "/v1/inbox", CLIENT)
    assert len(await items(api, shop)) == 1


@pytest.mark.parametrize(
    "change",
    [lambda token: token[:-1], lambda token: token + "A", lambda token: ("A" if token[0] != "A" else "B") + token[1:]],
)
async def test_no_token_can_be_guessed_from_another(api: Api, change: Any) -> None:
    address = await opened(api)
    token = address.removeprefix("/inbox/")

    for wrong in (change(token), "x", "%2e%2e", "ключ"):
        assert (await api("POST", f"/inbox/{wrong}", body=BODY)).status == 404

    assert await items(api) == []


async def test_a_signature_is_verified_by_the_tenants_secret(api: Api) -> None:
    address = await opened(api)
    right = await signed(api)
    for headers in (right, right | {"webhook_id": "msg_2"}, right | {"webhook_timestamp": "x"}):
        await api("POST", address, body=BODY, **headers)
    await api("POST", address, body=BODY + b" ", **right)

    assert [each["signature"] for each in await items(api)] == ["wrong", "wrong", "wrong", "verified"]


async def test_an_event_for_an_endpoint_is_verified_by_the_endpoints_secret(api: Api) -> None:
    address = await opened(api)
    endpoint = {"name": "inbox", "url": BASE + address, "event_types": ["message.completed"]}
    made = (await api("POST", "/v1/webhook_endpoints", CLIENT, body=endpoint)).json

    tried = await api(
        "POST", f"/v1/webhook_endpoints/{made['id']}/test", CLIENT, body={"event_type": "message.completed"}
    )

    assert tried.status < 300, tried.raw
    (came,) = await items(api)
    assert came["signature"] == "verified"
    assert came["job_id"] == json.loads(came["body"])["data"].get("job_id")


async def test_the_newest_are_shown_first_and_the_oldest_go(api: Api) -> None:
    address = await opened(api)
    for number in range(MAX_ITEMS + 3):
        await api("POST", address, body=b"%d" % number)

    shown = [int(each["body"]) for each in await items(api, query=f"?limit={MAX_ITEMS}")]
    gone = set(range(MAX_ITEMS + 3)) - set(shown)
    # What came within one millisecond has no order.
    assert len(gone) == 3
    assert max(gone) < 20
    assert len(await items(api, query="?limit=2")) == 2
    assert len(await items(api, query="?limit=")) == 20


async def test_an_inbox_is_read_page_by_page(api: Api) -> None:
    address = await opened(api)
    for number in range(5):
        await api("POST", address, body=b"%d" % number)

    bodies, query = [], "?limit=2"
    while query:
        page = (await api("GET", f"/v1/inbox{query}", CLIENT)).json
        bodies += [each["body"] for each in page["items"]]
        query = f"?limit=2&before={page['next']}" if page["next"] else ""

    assert sorted(bodies) == ["0", "1", "2", "3", "4"]
    refused = await api("GET", "/v1/inbox?before=job_1", CLIENT)
    assert (refused.status, "`next` of a page" in refused.json["error"]["message"]) == (422, True)


async def test_a_long_body_is_stored_in_part_and_says_so_but_is_verified_whole(api: Api) -> None:
    address, long = await opened(api), b"x" * (MAX_BODY + 1)

    await api("POST", address, body=long, **await signed(api, long))

    (came,) = await items(api)
    assert (len(came["body"]), came["truncated"], came["signature"]) == (MAX_BODY, True, "verified")


async def test_any_bytes_are_taken(api: Api) -> None:
    await api("POST", await opened(api), body=b'\xff\x00{"job_id": 1}' + b"[" * 10_000)

    (came,) = await items(api)
    assert (came["body"][:2], came["job_id"]) == ("\ufffd\x00", None)


@pytest.mark.parametrize("named", ["\\ud800", "a\\udfff", "\\u0000"])
async def test_a_job_that_no_database_can_name_is_none(api: Api, named: str) -> None:
    answer = await api("POST", await opened(api), body=b'{"job_id": "%s"}' % named.encode())

    (came,) = await items(api)
    assert (answer.status, came["job_id"]) == (200, None)


async def test_an_emptied_inbox_takes_more(api: Api) -> None:
    address = await opened(api)
    await api("POST", address, body=BODY)

    assert (await api("DELETE", "/v1/inbox", CLIENT)).status == 204

    assert await items(api) == []
    await api("POST", address, body=BODY)
    assert len(await items(api)) == 1


async def test_only_an_inbox_of_all_own_addresses_may_be_a_callback_url(path: Path) -> None:
    async with whole_api(path) as api:
        own = (await api("POST", "/v1/inbox")).json["url"]
        assert own.startswith("http://localhost:8080/inbox/")
        wrong = [
            "http://localhost:8080/v1/keys",
            "http://localhost:8080/inbox/short",
            f"{own}?x=1",
            f"{own}/../../v1/keys",
            own.replace("/inbox/", "/inbox/../v1/"),
            own.replace("localhost", "127.0.0.1"),
        ]
        replies = [
            (await api("POST", "/webhook", body={"message": "hi", "callback_url": url})).status for url in (own, *wrong)
        ]

    assert replies == [202, *[422] * len(wrong)]


@pytest.mark.parametrize(
    "spelt",
    [
        "http://relay.example:8080/inbox/{nobodys}",
        "HTTP://Relay.example:8080/inbox/{own}",
        "http://relay.example.:8080/inbox/{own}",
        "http://relay.example:8080/%69nbox/{own}",
        "http://relay.example:8080/inbox/{own}?x=1",
    ],
)
async def test_under_the_services_own_name_no_other_address_may_be_one(
    api: Api, monkeypatch: pytest.MonkeyPatch, spelt: str
) -> None:
    own = (await opened(api)).removeprefix("/inbox/")
    monkeypatch.setattr(api.service.webhooks.guard, "_resolve", lambda *_: asyncio.sleep(0, ["93.184.216.34"]))

    async def status(url: str) -> int:
        return (await api("POST", "/webhook", CLIENT, body={"message": "hi", "callback_url": url})).status

    assert await status(spelt.format(own=own, nobodys=own[::-1])) == 422
    assert await status(f"{BASE}/inbox/{own}") == 202
    assert await status("http://relay.example:8080/hook") == 202


async def test_an_address_that_is_nobodys_is_not_called_either(api: Api) -> None:
    address = BASE + await opened(api)
    sender = api.service.webhooks.sender

    answered = [(await sender.send("t", url, {}, BODY)).status for url in (address, address + "AAAA")]

    assert answered == [200, 404]
    with pytest.raises(SendError):
        await sender.send("t", "http://localhost:8080/v1/keys", {}, BODY)


async def test_posting_without_a_key_is_limited(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    address = await opened(api)
    monkeypatch.setattr(open_routes, "OPEN_RATE", Rate(2, 60))

    assert [(await api("POST", address, body=BODY)).status for _ in range(3)] == [200, 200, 429]


async def test_nothing_is_read_for_an_inbox_that_is_not_there(api: Api) -> None:
    address = await opened(api)
    endless = bytes(8 * 1024 * 1024)

    assert (await api("POST", address, body=endless)).status == 413
    assert (await api("POST", address[:-1] + "~", body=endless)).status == 404
    assert (await api("POST", "/inbox/" + "a" * 100, body=endless)).status == 404
