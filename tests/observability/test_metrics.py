"""What Prometheus reads: every stage counted, labels bounded, the database asked seldom."""

import asyncio
import re
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from prometheus_client.parser import text_string_to_metric_families

from answerback.jobs.metrics_routes import FRESH_SECONDS, Depths
from answerback.kernel.errors import ErrorCode, StorageUnavailable
from answerback.kernel.telemetry import Depth, LLMCall
from answerback.kernel.usage import Usage
from answerback.observability.metrics import MODELS_LABELLED, PrometheusMetrics
from answerback.testing import FakeLLM, Receiver, Service, behaviours, replies
from answerback.testing.clock import FakeClock

NO_DEPTH = Depth({}, {}, 0.0, 0.0)


class Page:
    """A scraped page."""

    def __init__(self, text: str) -> None:
        self.samples = [
            sample
            for family in text_string_to_metric_families(text)
            for sample in family.samples
            if not sample.name.endswith(("_bucket", "_created"))
        ]

    def value(self, name: str, **labels: str) -> float:
        """The sum of the samples that carry these labels."""
        return sum(
            sample.value
            for sample in self.samples
            if sample.name == f"answerback_{name}" and labels.items() <= sample.labels.items()
        )

    def labels(self, name: str, label: str) -> set[str]:
        return {sample.labels[label] for sample in self.samples if sample.name == f"answerback_{name}"}


def test_the_readme_names_every_metric() -> None:
    readme = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
    documented = re.findall(r"^\| `(answerback_\w+)` \| (\w+) \|", readme, re.MULTILINE)

    metrics = PrometheusMetrics()
    metrics.redis(up=True)
    page = metrics.exposition(None).decode()

    kept = re.findall(r"^# TYPE (answerback_\w+(?<!_created)) (\w+)$", page, re.MULTILINE)
    assert sorted(documented) == sorted(kept)


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
        page = await scrape(http)

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


class SlowStore:
    """Counts how often it is asked."""

    def __init__(self) -> None:
        self.asked = 0
        self.broken = False

    async def depth(self) -> Depth:
        self.asked += 1
        await asyncio.sleep(0)
        if self.broken:
            raise StorageUnavailable("away")
        return NO_DEPTH


class TestTheDepth:
    async def gather(self, depths: Depths, times: int) -> list[Depth | None]:
        asks: list[Awaitable[Depth | None]] = [depths.now() for _ in range(times)]
        return list(await asyncio.gather(*asks))

    async def test_a_stampede_asks_the_database_once(self) -> None:
        stores: Any = SlowStore()
        clock = FakeClock()
        depths = Depths(stores, clock)

        assert await self.gather(depths, 500) == [NO_DEPTH] * 500
        assert stores.asked == 1
        clock.advance(FRESH_SECONDS)
        await self.gather(depths, 500)
        assert stores.asked == 2

    async def test_a_database_that_is_away_leaves_the_rest_of_the_page(self) -> None:
        stores: Any = SlowStore()
        stores.broken = True

        depth = await Depths(stores, FakeClock()).now()

        assert depth is None
        assert b"answerback_build_info" in PrometheusMetrics().exposition(depth)


def call(model: str, code: ErrorCode | None = None) -> LLMCall:
    return LLMCall("p", model, 0.5, None, Usage(1, 2, 3) if code is None else None, code)


class TestLabels:
    def models(self, metrics: PrometheusMetrics) -> set[str]:
        return Page(metrics.exposition(NO_DEPTH).decode()).labels("llm_calls_total", "model")

    def test_a_model_has_its_own_label_once_it_has_answered(self) -> None:
        metrics = PrometheusMetrics()

        metrics.called(call("made up", ErrorCode.UPSTREAM_REFUSED))
        metrics.called(call("real"))
        metrics.called(call("real", ErrorCode.UPSTREAM_TIMEOUT))

        assert self.models(metrics) == {"other", "real"}
        page = Page(metrics.exposition(NO_DEPTH).decode())
        assert page.value("llm_calls_total", model="real", outcome="upstream_timeout") == 1

    def test_a_model_of_the_settings_has_its_own_label_though_it_never_answers(self) -> None:
        metrics = PrometheusMetrics({"ours"})

        metrics.called(call("ours", ErrorCode.UPSTREAM_TIMEOUT))
        metrics.called(call("made up", ErrorCode.UPSTREAM_REFUSED))

        assert self.models(metrics) == {"ours", "other"}

    def test_there_is_an_end_to_them(self) -> None:
        metrics = PrometheusMetrics()

        for number in range(MODELS_LABELLED * 3):
            metrics.called(call(f"m{number}"))

        assert len(self.models(metrics)) == MODELS_LABELLED + 1
        page = Page(metrics.exposition(NO_DEPTH).decode())
        assert page.value("llm_calls_total") == MODELS_LABELLED * 3

    def test_methods_of_anybodys_invention_are_one(self) -> None:
        metrics = PrometheusMetrics()

        for number in range(50):
            metrics.requested(f"M{number}", "unmatched", 404, 0.1)

        assert Page(metrics.exposition(NO_DEPTH).decode()).labels("http_requests_total", "method") == {"other"}

    def test_each_application_has_metrics_of_its_own(self) -> None:
        one, two = PrometheusMetrics(), PrometheusMetrics()

        one.requested("GET", "/models", 200, 0.1)

        assert Page(two.exposition(NO_DEPTH).decode()).value("http_requests_total") == 0


@pytest.mark.parametrize("text", ['a"b', "a\nb", "a\\b", "é"])
def test_a_models_name_cannot_break_the_page(text: str) -> None:
    metrics = PrometheusMetrics()

    metrics.called(call(text))

    assert Page(metrics.exposition(NO_DEPTH).decode()).value("llm_calls_total", model=text) == 1
