"""What operators see of other tenants' jobs, and do about them."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from answerback.queue.attempts import Report
from builders import claim_delivery
from whole_api import Api, whole_api

CLIENT, OPERATOR = "client-token-2b7c", "operator-token-6d1f"
MESSAGE = {"message": "hello", "callback_url": "http://127.0.0.1:9/callback", "session_id": "s"}


@dataclass(frozen=True, slots=True)
class Shop:
    """A tenant."""

    tenant: str
    key_id: str
    key: str


@pytest.fixture
async def api(path: Path) -> AsyncIterator[Api]:
    async with whole_api(path, operator_token=OPERATOR, auth_token=CLIENT, rate_limit="0") as api:
        yield api


@pytest.fixture
async def shop(api: Api) -> Shop:
    made = (await api("POST", "/v1/keys", OPERATOR, body={"name": "shop"})).json
    return Shop(made["tenant_id"], made["id"], made["key"])


async def sent(api: Api, key: str) -> str:
    return str((await api("POST", "/webhook", key, body=MESSAGE)).json["job_id"])


async def listed(api: Api, query: str, key: str = OPERATOR) -> list[Any]:
    reply = await api("GET", f"/v1/jobs?{query}", key)
    assert reply.status == 200, reply.raw
    return list(reply.json["items"])


async def test_an_operator_lists_the_jobs_of_all_tenants_and_whose_each_is(api: Api, shop: Shop) -> None:
    ours, theirs = await sent(api, CLIENT), await sent(api, shop.key)

    shown = {each["job_id"]: each["tenant_id"] for each in await listed(api, "tenant=*")}

    assert shown == {ours: "default", theirs: shop.tenant}
    assert (await api("GET", f"/v1/jobs/{theirs}?tenant={shop.tenant}", OPERATOR)).json["tenant_id"] == shop.tenant
    assert (await api("GET", "/v1/jobs?tenant=*", shop.key)).code == "forbidden"
    (own,) = await listed(api, "", shop.key)
    assert "tenant_id" not in own


async def test_jobs_are_listed_by_the_key_that_sent_them(api: Api, shop: Shop) -> None:
    further = (await api("POST", "/v1/keys", OPERATOR, body={"name": "further", "tenant": shop.tenant})).json
    by_first, by_further = await sent(api, shop.key), await sent(api, further["key"])
    await api("POST", f"/v1/jobs/{by_first}/cancel", shop.key)
    again = (await api("POST", f"/v1/jobs/{by_first}/retry", further["key"])).json["job_id"]
    reply = await api("POST", "/v1/responses", further["key"], body={"input": "hi", "background": True})

    by_id = {each["job_id"]: each["key_id"] for each in await listed(api, "", shop.key)}

    assert reply.status == 200
    assert [by_id[each] for each in (by_first, by_further, again)] == [shop.key_id, further["id"], further["id"]]
    assert [each["job_id"] for each in await listed(api, f"key={shop.key_id}", shop.key)] == [by_first]
    assert len(await listed(api, f"key={further['id']}", shop.key)) == 3


async def test_an_operator_cancels_a_tenants_job_asks_again_and_resends(api: Api, shop: Shop) -> None:
    job, asked = await sent(api, shop.key), f"?tenant={shop.tenant}"

    cancelled = await api("POST", f"/v1/jobs/{job}/cancel{asked}", OPERATOR)
    again = await api("POST", f"/v1/jobs/{job}/retry{asked}", OPERATOR)
    stores = api.service.stores
    claim = await claim_delivery(stores)
    await stores.deliveries.dead(claim, Report("dead"))
    count = await api("POST", f"/v1/deliveries/resend{asked}", OPERATOR, body={"status": "dead", "dry_run": True})
    resent = await api("POST", f"/v1/deliveries/{claim.id}/resend{asked}", OPERATOR)

    assert (cancelled.status, cancelled.json["status"]) == (200, "cancelled")
    assert cancelled.json["error"]["message"] == "cancelled by an operator of the service"
    assert (again.status, again.json["retry_of"]) == (202, job)
    assert (await api("GET", f"/v1/jobs/{again.json['job_id']}", shop.key)).status == 200
    assert (count.json, resent.status, resent.json["status"]) == ({"matched": 1}, 202, "pending")
    (receiver,) = (await api("GET", f"/v1/receivers{asked}", OPERATOR)).json["items"]
    assert receiver["waiting"] == 1


@pytest.mark.parametrize("asked", ["", "?tenant=*"])
async def test_an_operator_needs_no_tenant_to_find_a_job_and_to_mend_it(api: Api, shop: Shop, asked: str) -> None:
    job = await sent(api, shop.key)

    seen = await api("GET", f"/v1/jobs/{job}{asked}", OPERATOR)
    cancelled = await api("POST", f"/v1/jobs/{job}/cancel{asked}", OPERATOR)
    again = await api("POST", f"/v1/jobs/{job}/retry{asked}", OPERATOR)

    assert (seen.status, seen.json["tenant_id"]) == (200, shop.tenant)
    assert cancelled.json["status"] == "cancelled"
    assert (await api("GET", f"/v1/jobs/{again.json['job_id']}", shop.key)).json["retry_of"] == job
    assert (await api("GET", f"/v1/jobs/job_{'0' * 32}{asked}", OPERATOR)).code == "not_found"
    assert (await api("GET", f"/v1/jobs/{job}", CLIENT)).code == "not_found"


@pytest.mark.parametrize(
    "act",
    [
        "/v1/jobs/job_{}/cancel",
        "/v1/jobs/job_{}/retry",
        "/v1/deliveries/msg_{}/resend",
        "/v1/deliveries/resend",
        "/v1/receivers/test",
    ],
)
async def test_nobody_else_acts_for_another_tenant(api: Api, shop: Shop, act: str) -> None:
    reply = await api("POST", f"{act.format('0' * 32)}?tenant={shop.tenant}", CLIENT)

    assert (reply.status, reply.code) == (403, "forbidden")
