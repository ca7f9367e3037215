"""`POST /v1/deliveries/resend`."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from answerback.accounts.model import hash_key
from whole_api import Api, whole_api

PATH = "/v1/deliveries/resend"


@pytest.fixture
async def api(path: Path) -> AsyncIterator[Api]:
    """Nothing is delivered: this process only takes requests."""
    async with whole_api(path, auth_token="client-token-2b7c") as api:
        for key in ("one", "other"):
            await api.service.stores.accounts.create_key(key, hash_key(key))
        yield api


async def owe(api: Api, key: str, url: str = "https://203.0.114.1/hook") -> None:
    """A callback that waits."""
    accepted = await api("POST", "/webhook", key, body={"message": "Hello!", "callback_url": url, "stateless": True})
    assert (await api("POST", f"/v1/jobs/{accepted.json['job_id']}/cancel", key)).status == 200


async def test_it_says_how_many_of_ones_own_it_resends_and_wakes_the_workers(api: Api) -> None:
    for key in ("one", "one", "other"):
        await owe(api, key, f"https://203.0.114.1/{key}")

    reply = await api("POST", PATH, "one", body={"status": "pending"})

    assert (reply.status, reply.json) == (202, {"resent": 2})
    journal: Any = api.service.process.instruments.log
    (line,) = [fields for event, fields in journal.lines if event == "resent_all"]
    assert (line["count"], line["status"]) == (2, "pending")


async def test_an_operator_names_one_tenant(api: Api) -> None:
    accounts = api.service.stores.accounts
    await accounts.create_key("operator", hash_key("operator"), operator=True)
    await owe(api, "one")

    refused = await api("POST", f"{PATH}?tenant=*", "operator", body={"status": "pending"})
    unknown = await api("POST", f"{PATH}?tenant=nobody", "operator", body={"status": "pending"})
    asked = f"?tenant={await accounts.find_tenant('one')}"
    resent = await api("POST", PATH + asked, "operator", body={"status": "pending"})

    assert (refused.status, refused.code) == (422, "validation_error")
    assert refused.json["error"]["message"] == "tenant: must be the id of one, not `*` for all"
    assert (unknown.status, unknown.json) == (202, {"resent": 0})
    assert resent.json == {"resent": 1}


async def test_the_state_is_the_deliveries_own(api: Api) -> None:
    await owe(api, "one")

    assert (await api("POST", PATH, "one", body={"status": "dead"})).json == {"resent": 0}


async def test_it_takes_a_prefix_and_a_time(api: Api) -> None:
    await owe(api, "one", "https://203.0.114.1/hook")

    async def resent(**wanted: str) -> Any:
        return (await api("POST", PATH, "one", body={"status": "pending", **wanted})).json["resent"]

    assert await resent(url="https://203.0.114.2/") == 0
    assert await resent(url="https://203.0.114.1/h", since="2026-01-01T00:00:00+01:00") == 1
    assert await resent(since="9999-01-01T00:00:00Z") == 0
    assert await resent(url="", since="") == 1


async def test_a_repeated_request_gets_the_same_response_and_resends_nothing(api: Api) -> None:
    await owe(api, "one")
    asked = {"status": "pending"}
    first = await api("POST", PATH, "one", body=asked, idempotency_key="a")
    await owe(api, "one", "https://203.0.114.1/later")

    again = await api("POST", PATH, "one", body=asked, idempotency_key="a")

    assert (again.status, again.raw) == (first.status, first.raw)
    assert again.headers["Idempotent-Replayed"] == "true"
    other = await api("POST", PATH, "one", body={"status": "dead"}, idempotency_key="a")
    assert (other.status, other.code) == (409, "idempotency_conflict")


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({}, "status"),
        ({"status": "delivered"}, "status"),
        ({"status": "dead", "since": "yesterday"}, "since"),
        ({"status": "dead", "since": "2026-01-01T00:00:00"}, "since"),
        ({"status": "dead", "since": 1_767_225_600}, "since"),
        ({"status": "dead", "url": "x" * 2049}, "url"),
        ({"status": "dead", "urls": ["https://203.0.114.1/"]}, "urls"),
    ],
)
async def test_what_is_wrong_is_named_and_nothing_is_resent(api: Api, wrong: dict[str, Any], field: str) -> None:
    reply = await api("POST", PATH, "one", body=wrong)

    assert (reply.status, reply.code) == (422, "validation_error")
    assert field in reply.json["error"]["message"]


async def test_it_wants_a_key(api: Api) -> None:
    assert (await api("POST", PATH, body={"status": "dead"})).status == 401
