"""Lists and pages of jobs over HTTP: filters in the query, what a job waits for, what was asked."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from answerback.jobs.finish import End
from answerback.jobs.routes import LISTS_AT_ONCE
from whole_api import Api, whole_api

CLIENT, OPERATOR = "client-token-2b7c", "operator-token-6d1f"
MESSAGE = {"message": "hello", "callback_url": "http://127.0.0.1:9/callback", "session_id": "s"}


@pytest.fixture
async def api(path: Path) -> AsyncIterator[Api]:
    async with whole_api(path, operator_token=OPERATOR, auth_token=CLIENT, rate_limit="0") as api:
        yield api


async def sent(api: Api, **changes: Any) -> str:
    reply = await api("POST", "/webhook", CLIENT, body=MESSAGE | changes)
    assert reply.status == 202, reply.raw
    return str(reply.json["job_id"])


async def listed(api: Api, query: str) -> list[str]:
    reply = await api("GET", f"/v1/jobs?{query}", CLIENT)
    assert reply.status == 200, reply.raw
    return [each["job_id"] for each in reply.json["items"]]


async def test_jobs_are_listed_by_model_error_and_time(api: Api) -> None:
    answered, cancelled = await sent(api, model="small"), await sent(api)
    result = {"text": "hi", "model": "large", "usage": None, "finish_reason": "stop"}
    await api.service.jobs.resolve(answered, "message", End.completed(result))
    await api("POST", f"/v1/jobs/{cancelled}/cancel", CLIENT)
    at = (await api("GET", f"/v1/jobs/{cancelled}", CLIENT)).json["created_at"]

    assert await listed(api, "model=large") == [answered]
    assert await listed(api, "model=small") == []
    assert await listed(api, "error=CANCELLED") == [cancelled]
    assert cancelled in await listed(api, f"since={quote(at)}")
    assert await listed(api, "until=2020-01-01T00:00:00Z") == []
    assert await listed(api, "model=&error=&since=&until=") == [cancelled, answered]


@pytest.mark.parametrize("query", ["since=yesterday", "until=12", "since=2026-01-01T00:00:00", "model=" + "x" * 257])
async def test_a_wrong_filter_is_refused_by_its_name(api: Api, query: str) -> None:
    reply = await api("GET", f"/v1/jobs?{query}", CLIENT)

    assert (reply.status, reply.json["detail"][0]["loc"]) == (422, ["query", query.partition("=")[0]])


async def test_few_pages_are_read_and_written_at_a_time(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between them the service answers others: a burst of lists delays nobody else's requests."""
    read, running, most = api.service.jobs.list, 0, 0

    async def counted(*arguments: Any) -> Any:
        nonlocal running, most
        running += 1
        most = max(most, running)
        try:
            return await read(*arguments)
        finally:
            running -= 1

    monkeypatch.setattr(api.service.jobs, "list", counted)

    replies = await asyncio.gather(*(api("GET", "/v1/jobs", CLIENT) for _ in range(10)))

    assert [reply.status for reply in replies] == [200] * 10
    assert most == LISTS_AT_ONCE


async def test_garbage_is_refused_in_plain_words(api: Api) -> None:
    before = (await api("GET", "/v1/jobs?before=nonsense", CLIENT)).json["error"]["message"]
    limit = (await api("GET", "/v1/jobs?limit=ten", CLIENT)).json["error"]["message"]

    assert before.endswith("must be the id of a job, as in `next` of a page")
    assert "^" not in before + limit


@pytest.mark.parametrize("route", ["/v1/jobs", "/v1/keys", "/v1/webhook_endpoints"])
async def test_an_empty_limit_is_none_on_every_list(api: Api, route: str) -> None:
    without, empty, wrong = [await api("GET", f"{route}{query}", OPERATOR) for query in ("", "?limit=", "?limit=0")]

    assert (empty.status, empty.json) == (200, without.json)
    assert wrong.status >= 400


async def test_a_job_says_what_it_waits_for_and_what_was_asked(api: Api) -> None:
    first = await sent(api, system="Be brief.", temperature=0.2, params={"seed": 7})
    second = await sent(api)

    one, two = [(await api("GET", f"/v1/jobs/{each}", CLIENT)).json for each in (first, second)]

    assert one["waiting_for"] == {"reason": "worker", "job_id": None, "until": None, "code": None}
    assert two["waiting_for"] == {"reason": "job", "job_id": first, "until": None, "code": None}
    assert (one["message"], one["system"], one["params"]) == ("hello", "Be brief.", {"seed": 7, "temperature": 0.2})
    assert (two["system"], two["params"], two["claimed_at"]) == (None, None, None)

    await api("POST", f"/v1/jobs/{first}/cancel", CLIENT)
    assert (await api("GET", f"/v1/jobs/{first}", CLIENT)).json["waiting_for"] is None


async def test_only_an_operator_names_a_tenant(api: Api) -> None:
    shop = (await api("POST", "/v1/keys", OPERATOR, body={"name": "shop"})).json
    job = (await api("POST", "/webhook", shop["key"], body=MESSAGE)).json["job_id"]

    assert (await api("GET", f"/v1/jobs/{job}?tenant={shop['tenant_id']}", OPERATOR)).json["job_id"] == job
    assert (await api("GET", f"/v1/jobs/{job}?tenant=another", OPERATOR)).status == 404
    for path in (f"/v1/jobs/{job}?tenant={shop['tenant_id']}", f"/v1/jobs?tenant={shop['tenant_id']}"):
        assert (await api("GET", path, CLIENT)).status == 403
        assert (await api("GET", path)).status == 401
