"""What Prometheus reads of a service at work: every stage counted."""

import asyncio
from collections.abc import Callable

import aiohttp
import pytest

from answerback.testing import FakeLLM, Receiver, Service, behaviours, replies
from metrics_page import Page


async def scrape(http: aiohttp.ClientSession) -> Page:
    async with http.get("/metrics") as response:
        assert response.status == 200
        assert response.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
        return Page(await response.text())


async def scraped(http: aiohttp.ClientSession, satisfied: Callable[[Page], bool]) -> Page:
    """The first page that satisfies: a job is counted a moment after its callback has come."""
    async with asyncio.timeout(10):
        while not satisfied(page := await scrape(http)):
            continue
    return page


async def post(http: aiohttp.ClientSession, url: str, text: str) -> str:
    async with http.post("/webhook", json={"message": text, "callback_url": url, "stateless": True}) as response:
        assert response.status == 202
        return str((await response.json())["job_id"])


async def test_every_stage_of_a_message_is_counted() -> None:
    async with (
        FakeLLM() as llm,
        Receiver() as receiver,
        Service(
            {"OPENROUTER_BASE_URL": llm.base_url, "LLM_MODEL": "fake", "CALLBACK_BACKOFF_SECONDS": "0.01"}
        ) as service,
        aiohttp.ClientSession(service.url) as http,
    ):
        receiver.on("/later", behaviours.status(503), behaviours.status(200))
        llm.on("refuse me", replies.status(400))
        llm.on("never", replies.hang())
        await post(http, receiver.url("/done"), "one")
        await post(http, receiver.url("/later"), "two")
        await post(http, receiver.url("/done"), "refuse me")
        cancelled = await post(http, receiver.url("/done"), "never")
        await llm.wait_for_calls(4)
        for _ in range(2):
            async with http.post(f"/v1/jobs/{cancelled}/cancel") as response:
                assert response.status == 200
        await receiver.wait_for(5)
        async with http.post("/api/streaming", json={"question": "three"}) as response:
            await response.read()
        async with http.get("/wp-admin.php") as response:
            assert response.status == 404
        page = await scraped(http, lambda page: page.value("jobs_delivered_total") == 4)

    assert page.value("jobs_accepted_total", kind="message") == 4
    assert page.value("jobs_answered_total") == 2
    assert page.value("jobs_failed_total", code="upstream_refused") == 1
    assert page.value("jobs_failed_total", code="cancelled") == 1
    assert page.value("jobs_failed_total") == 2
    assert page.value("delivery_attempts_total", outcome="delivered") == 4
    assert page.value("delivery_attempts_total", outcome="retry") == 1
    assert page.value("delivery_lag_seconds_count") == 4
    assert page.value("claim_lag_seconds_count") == 3
    assert page.value("relay_overhead_seconds_count") == 2
    assert 0 < page.value("relay_overhead_seconds_sum") < 5
    assert page.value("llm_calls_total", outcome="ok", model="fake", provider="127.0.0.1") == 3
    assert page.value("llm_calls_total", outcome="upstream_refused") == 1
    assert page.value("llm_calls_total", outcome="cancelled", model="fake") == 1
    assert page.value("llm_latency_seconds_count", model="fake") == 3
    assert page.value("llm_first_token_seconds_count", model="fake") == 1
    assert page.value("llm_tokens_total", model="fake", type="completion") > 3
    assert page.value("llm_tokens_total", model="fake", type="prompt") > 3
    assert page.value("http_requests_total", method="POST", route="/webhook", status="202") == 4
    assert page.value("http_requests_total", route="/v1/jobs/{job_id}/cancel", status="200") == 2
    assert page.value("http_requests_total", route="unmatched", status="404") == 1
    assert page.value("http_request_seconds_count", route="/webhook") == 4
    assert not [sample for sample in page.samples if any(cancelled in value for value in sample.labels.values())]


@pytest.mark.parametrize("path", ["/api/ask", "/api/streaming"])
async def test_a_call_whose_caller_hung_up_is_counted(path: str) -> None:
    async with (
        FakeLLM(default=replies.hang()) as llm,
        Service({"OPENROUTER_BASE_URL": llm.base_url, "LLM_MODEL": "fake"}) as service,
        aiohttp.ClientSession(service.url) as http,
    ):
        asking = asyncio.ensure_future(http.post(path, json={"question": "never mind"}).__aenter__())
        await llm.wait_for_calls(1)

        asking.cancel()

        page = await scraped(http, lambda page: page.value("llm_calls_total") > 0)

    assert page.value("llm_calls_total", outcome="cancelled", model="fake", provider="127.0.0.1") == 1


async def test_fallback_models_have_their_names_though_they_never_answer() -> None:
    settings = {"LLM_MODEL": "a", "LLM_FALLBACK_MODELS": "b c", "MAX_RETRIES": "0"}
    async with (
        FakeLLM(default=replies.status(500)) as llm,
        Service({"OPENROUTER_BASE_URL": llm.base_url, **settings}) as service,
        aiohttp.ClientSession(service.url) as http,
    ):
        async with http.post("/api/ask", json={"question": "anyone?"}) as response:
            assert response.status == 502
        async with http.post("/api/ask", json={"question": "anyone?", "model": "made up"}) as response:
            assert response.status == 502
        page = await scrape(http)

    assert page.labels("llm_calls_total", "model") == {"a", "b", "c", "other"}


async def test_open_rows_are_shown_by_state_and_age() -> None:
    async with (
        FakeLLM(default=replies.hang()) as llm,
        Receiver() as receiver,
        Service({"OPENROUTER_BASE_URL": llm.base_url, "WORKER_CONCURRENCY": "1"}) as service,
        aiohttp.ClientSession(service.url) as http,
    ):
        for session in ("a", "a", "b", "b", "b"):
            message = {"message": "hello", "callback_url": receiver.url("/done"), "session_id": session}
            async with http.post("/webhook", json=message) as response:
                assert response.status == 202
        await llm.wait_for_calls(1)
        page = await scraped(http, lambda page: page.value("jobs", state="held") == 3)

    assert page.value("jobs", state="running") == 1
    assert page.value("jobs", state="queued") == 1
    assert page.value("jobs", state="held") == 3
    assert page.value("deliveries", state="pending") == 0
    assert 0 < page.value("queue_age_seconds") < 60


async def test_beyond_loopback_a_key_is_asked_for() -> None:
    async with (
        Service({"APP_HOST": "0.0.0.0", "AUTH_TOKEN": "the-key"}) as service,
        aiohttp.ClientSession(service.url) as http,
    ):
        async with http.get("/metrics") as refused:
            assert refused.status == 401
            assert (await refused.json())["error"]["code"] == "unauthorized"
        async with http.get("/metrics", headers={"Authorization": "Bearer the-key"}) as response:
            assert "answerback_build_info" in await response.text()
