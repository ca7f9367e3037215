"""Limits towards an upstream as users of the service meet them."""

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime
from typing import Any

import aiohttp
import pytest

from answerback.testing import FakeLLM, Receiver, Service, replies

pytestmark = pytest.mark.asyncio(loop_scope="function")


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with Receiver() as started:
        yield started


def settings(llm: FakeLLM, **more: str) -> dict[str, str]:
    return {"OPENROUTER_BASE_URL": llm.base_url, "LLM_MODEL": "fake", **more}


async def post(http: aiohttp.ClientSession, receiver: Receiver, text: str, **fields: str) -> str:
    body = {"message": text, "callback_url": receiver.url("/done"), "stateless": True, **fields}
    async with http.post("/webhook", json=body) as response:
        assert response.status == 202
        return str((await response.json())["job_id"])


async def job(http: aiohttp.ClientSession, job_id: str) -> dict[str, Any]:
    async with http.get(f"/v1/jobs/{job_id}") as response:
        found: dict[str, Any] = await response.json()
        return found


async def put_off(http: aiohttp.ClientSession, job_id: str) -> dict[str, Any]:
    """The job, once it waits with a reason."""
    async with asyncio.timeout(10):
        while not (found := await job(http, job_id))["error"] or found["status"] != "scheduled":
            continue
    return found


def due(found: dict[str, Any]) -> float:
    return datetime.fromisoformat(found["run_at"]).timestamp()


async def test_many_jobs_share_few_slots_and_all_are_answered_at_their_first_attempt(receiver: Receiver) -> None:
    async with (
        FakeLLM(default=replies.delayed(0.02)) as llm,
        Service(settings(llm, UPSTREAM_CONCURRENCY="3")) as service,
        aiohttp.ClientSession(service.url) as http,
    ):
        ids = [await post(http, receiver, f"job {n}") for n in range(30)]
        callbacks = await receiver.wait_for(30, timeout=30)
        found = [await job(http, job_id) for job_id in ids]

    assert {callback.json["status"] for callback in callbacks} == {"completed"}
    assert llm.total == 30
    assert llm.peak <= 3
    assert {each["attempt"] for each in found} == {1}
    assert {len(each["attempts"]) for each in found} == {1}


async def test_jobs_beyond_the_minute_wait_as_rows_spread_and_sync_callers_hear_when(receiver: Receiver) -> None:
    limited = {"UPSTREAM_REQUESTS_PER_MINUTE": "3", "MAX_RETRIES": "2", "MAX_RETRY_DELAY": "1"}
    async with (
        FakeLLM() as llm,
        Service(settings(llm, **limited)) as service,
        aiohttp.ClientSession(service.url) as http,
    ):
        for n in range(3):
            await post(http, receiver, f"within {n}")
        await receiver.wait_for(3)
        waiting = [await put_off(http, await post(http, receiver, f"beyond {n}")) for n in range(3)]
        async with http.post("/api/ask", json={"question": "now, please"}) as refused:
            body = await refused.json()

    assert llm.total == 3
    assert {(each["attempt"], len(each["attempts"])) for each in waiting} == {(0, 0)}
    assert {each["error"]["code"] for each in waiting} == {"upstream_rate_limited"}
    first, second, third = map(due, waiting)
    assert (second - first, third - second) == (pytest.approx(20.4, abs=2), pytest.approx(20.4, abs=2))
    assert refused.status == 429
    assert body["error"]["code"] == "upstream_rate_limited"
    assert 50 <= int(refused.headers["Retry-After"]) <= 60


async def test_a_quota_that_is_used_up_is_waited_for_by_all_and_asked_by_one(receiver: Receiver) -> None:
    async with FakeLLM() as llm, Service(settings(llm)) as service, aiohttp.ClientSession(service.url) as http:
        llm.on("the first", replies.status(429, headers={"Retry-After": "3600"}))
        first = await put_off(http, await post(http, receiver, "the first", model="quota:free"))
        others = [await put_off(http, await post(http, receiver, f"n {n}", model="quota:free")) for n in range(5)]
        async with http.post("/api/ask", json={"question": "me too", "model": "quota:free"}) as refused:
            assert refused.status == 429
            assert 3_500 <= int(refused.headers["Retry-After"]) <= 3_600
        await post(http, receiver, "another model", model="paid")
        (callback,) = await receiver.wait_for(1)

    assert callback.json["model"] == "paid"
    assert llm.total == 2
    assert [each["attempt"] for each in (first, *others)] == [0] * 6
    assert all(abs(due(each) - due(first)) < 70 for each in others)
    assert [due(each) for each in others] == sorted({due(each) for each in others})
