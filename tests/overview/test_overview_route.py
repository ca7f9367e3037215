"""`GET /v1/overview`: each tenant sees its own, an operator all or the one that it asks for."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from answerback.jobs.finish import End
from answerback.jobs.kind import JobState
from answerback.kernel.errors import ErrorCode, Failure
from answerback.kernel.provider_error import ProviderError
from answerback.kernel.telemetry import LLMCall
from whole_api import Api, whole_api

CLIENT, OPERATOR = "client-token-2b7c", "operator-token-6d1f"
MESSAGE = {"message": "hello", "callback_url": "http://127.0.0.1:9/callback", "stateless": True}


@pytest.fixture
async def api(path: Path) -> AsyncIterator[Api]:
    async with whole_api(path, operator_token=OPERATOR, auth_token=CLIENT, rate_limit="20/hour") as api:
        yield api


async def new_tenant(api: Api) -> Any:
    return (await api("POST", "/v1/keys", OPERATOR, body={"name": "shop"})).json


async def seen(api: Api, key: str, query: str = "") -> Any:
    reply = await api("GET", f"/v1/overview{query}", key)
    assert reply.status == 200, reply.raw
    return reply.json


async def test_a_tenant_sees_what_is_its_own_and_an_operator_sees_all(api: Api) -> None:
    shop = await new_tenant(api)
    job = (await api("POST", "/webhook", CLIENT, body=MESSAGE)).json["job_id"]
    for key in (CLIENT, shop["key"], shop["key"]):
        assert (await api("POST", "/webhook", key, body=MESSAGE)).status == 202
    assert (await api("POST", f"/v1/jobs/{job}/cancel", CLIENT)).status == 200
    await api.service.overview.activity.write()

    default, shops, everybody = await seen(api, CLIENT), await seen(api, shop["key"]), await seen(api, OPERATOR)

    assert [each["jobs"]["queued"] for each in (default, shops, everybody)] == [1, 2, 3]
    assert [each["callbacks"]["pending"] for each in (default, shops, everybody)] == [1, 0, 1]
    assert default["callbacks"] == {"owed": 1, "pending": 1, "held": 0, "sending": 0, "dead": 0}
    assert await seen(api, OPERATOR, f"?tenant={shop['tenant_id']}") == shops
    assert (await api("GET", f"/v1/overview?tenant={shop['tenant_id']}", CLIENT)).status == 403


async def test_it_shows_how_jobs_ended_and_who_answers(api: Api) -> None:
    job = (await api("POST", "/webhook", CLIENT, body=MESSAGE)).json["job_id"]
    end = End(JobState.FAILED, failure=Failure(ErrorCode.EXPIRED, "too late"))
    await api.service.jobs.resolve(job, "message", end)
    await api.service.overview.activity.write()

    body = await seen(api, CLIENT)

    assert body["failures"] == [{"code": "expired", "count": 1, "calls": 0}]
    assert (len(body["minutes"]), body["minutes"][-1]["completed"], body["minutes"][-1]["failed"]) == (60, 0, 1)
    assert body["minutes"][0]["minute"] < body["minutes"][-1]["minute"]
    assert body["tokens_today"] == {"prompt": 0, "completion": 0, "total": 0}
    assert (body["mock"], body["default_model"], body["oldest_queued_seconds"]) == (True, "mock", None)
    (provider,) = body["providers"]
    assert provider["name"] == "mock"
    assert {provider[name] for name in ("reachable", "since", "error", "resting_until", "reason")} == {None}


async def test_only_an_operator_sees_why_a_provider_is_not_reachable(api: Api) -> None:
    error = ProviderError(ErrorCode.UPSTREAM_AUTH, "the upstream refuses our key", retryable=False)
    error.base_url = "https://llm.example"
    api.service.overview.providers.health.called(LLMCall("mock", "m", 0.1, code=error.failure.code), error)

    (to_operator,) = (await seen(api, OPERATOR))["providers"]
    (to_client,) = (await seen(api, CLIENT))["providers"]

    assert to_operator["error"] == "https://llm.example refuses our key"
    assert to_client == to_operator | {"error": None}
    assert (to_client["reachable"], to_client["since"] is None) == (False, False)


async def test_it_does_not_count_against_the_rate(api: Api) -> None:
    for _ in range(30):
        await seen(api, CLIENT)
