"""Keys over HTTP: for operators, shown once, never stored."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from answerback.accounts.model import hash_key
from builders import dump
from whole_api import Api, whole_api

OPERATOR = "operator-token-6d1f"


@pytest.fixture
async def api(path: Path) -> AsyncIterator[Api]:
    async with whole_api(path, operator_token=OPERATOR, auth_token="client-token-2b7c") as api:
        yield api


async def create(api: Api, **asked: Any) -> Any:
    """The body of a 201."""
    reply = await api("POST", "/v1/keys", OPERATOR, body={"name": "shop"} | asked)
    assert reply.status == 201, reply.raw
    return reply.json


async def test_a_key_works_at_once_and_is_listed_without_itself(api: Api) -> None:
    made = await create(api, rate_limit="5/minute", weight=3)

    assert (await api("GET", "/v1/jobs", made["key"])).headers["ratelimit-limit"] == "5"
    (listed,) = (await api("GET", "/v1/keys", OPERATOR)).json["items"]
    shown_once = ("key", "signing_secret")
    assert listed == {name: made[name] for name in made if name not in shown_once} | {
        "last_used_at": listed["last_used_at"]
    }
    assert (made["last_used_at"], listed["last_used_at"] is None) == (None, False)
    assert (listed["name"], listed["operator"], listed["revoked_at"]) == ("shop", False, None)
    assert listed["weight"] == 3


async def test_a_limit_and_a_weight_are_changed_alone_and_back(api: Api) -> None:
    made = await create(api, rate_limit="5/minute", weight=3)
    path = f"/v1/keys/{made['id']}"

    weighed = await api("PATCH", path, OPERATOR, body={"weight": 7})
    assert (weighed.status, weighed.json["rate_limit"], weighed.json["weight"]) == (200, "5/minute", 7)

    limited = await api("PATCH", path, OPERATOR, body={"rate_limit": "9/minute"})
    assert (limited.json["rate_limit"], limited.json["weight"]) == ("9/minute", 7)
    assert (await api("GET", "/v1/jobs", made["key"])).headers["ratelimit-limit"] == "9"

    assert (await api("PATCH", path, OPERATOR, body={"rate_limit": "default"})).json["rate_limit"] is None
    (listed,) = (await api("GET", "/v1/keys", OPERATOR)).json["items"]
    assert (listed["rate_limit"], listed["weight"]) == (None, 7)


async def test_only_a_live_key_is_changed_and_only_to_what_is_valid(api: Api) -> None:
    path = f"/v1/keys/{(await create(api))['id']}"
    for body, named in (({"weight": 0}, "weight"), ({"rate_limit": "often"}, "rate_limit"), ({"name": "x"}, "name")):
        reply = await api("PATCH", path, OPERATOR, body=body)
        assert (reply.status, [each["loc"] for each in reply.json["detail"]]) == (422, [["body", named]])

    await api("DELETE", path, OPERATOR)

    assert (await api("PATCH", path, OPERATOR, body={"weight": 2})).status == 404


async def test_keys_are_listed_in_pages_newest_first(api: Api) -> None:
    # Keys of one millisecond are in any order.
    made = sorted([(await create(api, name=f"key {number}"))["id"] for number in range(5)])

    pages: list[list[str]] = []
    path: str | None = "/v1/keys?limit=2"
    while path is not None:
        page = (await api("GET", path, OPERATOR)).json
        pages.append([key["id"] for key in page["items"]])
        path = f"/v1/keys?limit=2&before={page['next']}" if "next" in page else None

    assert pages == [[made[4], made[3]], [made[2], made[1]], [made[0]]]
    assert (await api("GET", "/v1/keys?limit=101", OPERATOR)).status == 422


async def test_a_new_tenants_signing_secret_is_shown_and_is_the_one_that_its_key_reads(api: Api) -> None:
    made = await create(api)

    shown = (await api("GET", "/v1/signing_secret", made["key"])).json

    assert made["signing_secret"] == shown["secret"]


async def test_a_further_key_of_a_tenant_shows_no_secret(api: Api) -> None:
    first = await create(api)

    further = await create(api, name="shop, again", tenant=first["tenant_id"])

    assert (further["tenant_id"], further["signing_secret"]) == (first["tenant_id"], None)


async def test_a_revoked_key_opens_nothing_and_another_of_its_tenant_finds_what_was_there(api: Api) -> None:
    leaked = await create(api)
    message = {"message": "hello", "callback_url": "http://127.0.0.1:9/callback"}
    job_id = (await api("POST", "/webhook", leaked["key"], body=message)).json["job_id"]
    fresh = await create(api, tenant="shop")

    revoked = await api("DELETE", f"/v1/keys/{leaked['id']}", OPERATOR)

    assert (revoked.status, revoked.raw) == (204, b"")
    assert (await api("GET", "/v1/jobs", leaked["key"])).status == 401
    assert (await api("GET", f"/v1/jobs/{job_id}", fresh["key"])).status == 200
    assert (await api("DELETE", f"/v1/keys/{leaked['id']}", OPERATOR)).status == 404


async def test_what_belongs_to_another_tenant_is_not_found(api: Api) -> None:
    one, other = await create(api, name="one"), await create(api, name="other")
    message = {"message": "hello", "callback_url": "http://127.0.0.1:9/callback"}
    job_id = (await api("POST", "/webhook", one["key"], body=message)).json["job_id"]

    for method, path in (("GET", ""), ("POST", "/cancel"), ("POST", "/retry")):
        reply = await api(method, f"/v1/jobs/{job_id}{path}", other["key"])
        assert (reply.status, reply.code) == (404, "not_found")


async def test_operators_list_the_jobs_of_a_tenant_and_clients_only_their_own(api: Api) -> None:
    shop = await create(api)
    message = {"message": "hello", "callback_url": "http://127.0.0.1:9/callback"}
    job_id = (await api("POST", "/webhook", shop["key"], body=message)).json["job_id"]
    asked = f"/v1/jobs?tenant={shop['tenant_id']}"

    assert [job["job_id"] for job in (await api("GET", asked, OPERATOR)).json["items"]] == [job_id]
    assert (await api("GET", "/v1/jobs", OPERATOR)).json["items"] == []
    refused = await api("GET", asked, "client-token-2b7c")
    assert (refused.status, refused.code) == (403, "forbidden")


async def test_an_operator_key_manages_keys(api: Api) -> None:
    operator = await create(api, name="mine", operator=True)

    assert (await api("GET", "/v1/keys", operator["key"])).status == 200


@pytest.mark.parametrize(("method", "route"), [("GET", ""), ("POST", ""), ("DELETE", "/key_1")])
async def test_clients_may_not_manage_keys(api: Api, method: str, route: str) -> None:
    for key in ("client-token-2b7c", (await create(api))["key"]):
        reply = await api(method, f"/v1/keys{route}", key, body={"name": "more"} if method == "POST" else None)
        assert (reply.status, reply.code) == (403, "forbidden")
        assert "OPERATOR_TOKEN" in reply.json["detail"]

    assert (await api(method, f"/v1/keys{route}")).status == 401


async def test_a_caller_on_this_machine_makes_the_first_key_of_a_service_without_any(path: Path) -> None:
    async with whole_api(path) as api:
        made = await api("POST", "/v1/keys", body={"name": "mine", "operator": True})
        assert made.status == 201

        assert (await api("GET", "/v1/keys")).status == 401
        assert (await api("GET", "/v1/keys", made.json["key"])).status == 200


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "name"),
        ({"name": " "}, "name"),
        ({"name": "two\nlines"}, "name"),
        ({"name": "x" * 201}, "name"),
        ({"name": "shop", "rate_limit": "often"}, "rate_limit"),
        ({"name": "shop", "operator": "yes"}, "operator"),
        ({"name": "shop", "weight": 0}, "weight"),
        ({"name": "shop", "weight": 1001}, "weight"),
        ({"name": "shop", "tenant": "a\x00b"}, "tenant"),
        ({"name": "shop", "more": 1}, "more"),
    ],
)
async def test_a_wrong_field_is_named(api: Api, body: Any, field: str) -> None:
    reply = await api("POST", "/v1/keys", OPERATOR, body=body)

    assert reply.status == 422
    assert [each["loc"] for each in reply.json["detail"]] == [["body", field]]


async def test_an_unknown_tenant_is_not_found_and_a_shared_name_is_a_conflict(api: Api) -> None:
    for _ in range(2):
        await create(api)

    for tenant, status in (("nobody", 404), ("shop", 409)):
        reply = await api("POST", "/v1/keys", OPERATOR, body={"name": "more", "tenant": tenant})
        assert reply.status == status


async def test_the_key_is_nowhere_in_the_database_though_the_request_may_be_repeated(api: Api, path: Path) -> None:
    first = await api("POST", "/v1/keys", OPERATOR, body={"name": "shop"}, idempotency_key="a")
    again = await api("POST", "/v1/keys", OPERATOR, body={"name": "shop"}, idempotency_key="a")
    other = await api("POST", "/v1/keys", OPERATOR, body={"name": "blog"}, idempotency_key="a")

    assert [first.status, again.status, other.status] == [201, 409, 409]
    assert len((await api("GET", "/v1/keys", OPERATOR)).json["items"]) == 1
    key = first.json["key"]
    written = "\n".join(dump(path))
    assert key not in written
    assert key.encode().hex().upper() not in written
    assert hash_key(key) in written
    assert first.headers["cache-control"] == "no-store"
