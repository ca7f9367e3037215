"""What Prometheus reads: every stage counted, labels bounded, the database asked seldom."""

import asyncio
import re
from collections.abc import Awaitable
from typing import Any

import pytest

from answerback.jobs.metrics_routes import FRESH_SECONDS, PATIENCE_SECONDS, Depths
from answerback.kernel.errors import ErrorCode, StorageUnavailable
from answerback.kernel.telemetry import Depth, LLMCall, Metrics
from answerback.kernel.usage import Usage
from answerback.observability.metrics import MODELS_LABELLED, PrometheusMetrics
from answerback.testing.clock import FakeClock
from metrics_page import Page

NO_DEPTH = Depth({}, {}, 0.0, 0.0)


def test_the_families_for_the_reference_are_those_that_prometheus_reads() -> None:
    metrics = PrometheusMetrics()
    metrics.redis(up=True)
    page = metrics.exposition(None).decode()

    shown = re.findall(r"^# TYPE (answerback_\w+) (\w+)$", page, re.MULTILINE)
    assert sorted((family.name, family.kind) for family in metrics.families) == sorted(shown)


def test_every_count_is_kept() -> None:
    counts = {name for name in vars(Metrics) if not name.startswith("_")}

    assert counts - vars(PrometheusMetrics).keys() == set()


class SlowStore:
    """Counts how often it is asked."""

    def __init__(self) -> None:
        self.asked = 0
        self.broken = False
        self.may_answer = asyncio.Event()
        self.may_answer.set()

    async def depth(self) -> Depth:
        self.asked += 1
        await asyncio.sleep(0)
        await self.may_answer.wait()
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

    async def test_a_page_that_comes_during_the_count_at_the_start_waits_for_that(self) -> None:
        stores: Any = SlowStore()
        depths = Depths(stores, FakeClock())

        depths.start()

        assert await self.gather(depths, 2) == [NO_DEPTH] * 2
        assert stores.asked == 1

    async def test_a_database_that_is_away_leaves_the_rest_of_the_page(self) -> None:
        stores: Any = SlowStore()
        stores.broken = True

        depth = await Depths(stores, FakeClock()).now()

        assert depth is None
        assert b"answerback_build_info" in PrometheusMetrics().exposition(depth)

    async def test_during_an_outage_and_after_it_the_page_shows_the_count_before_and_waits_for_none(self) -> None:
        stores: Any = SlowStore()
        clock = FakeClock()
        depths = Depths(stores, clock)
        await depths.now()
        stores.broken = True
        clock.advance(FRESH_SECONDS)
        assert await depths.now() == NO_DEPTH

        stores.broken = False
        stores.may_answer.clear()
        clock.advance(FRESH_SECONDS)
        async with asyncio.timeout(PATIENCE_SECONDS / 2):
            assert await depths.now() == NO_DEPTH

        stores.may_answer.set()
        await depths.close()


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


@pytest.mark.parametrize("text", ["\ud83d", "x" * 257], ids=["half a surrogate pair", "too long"])
def test_a_models_name_that_is_no_label_is_another_model(text: str) -> None:
    metrics = PrometheusMetrics()

    metrics.called(call(text))

    assert Page(metrics.exposition(NO_DEPTH).decode()).value("llm_calls_total", model="other") == 1


@pytest.mark.parametrize("text", ['a"b', "a\nb", "a\\b", "é"])
def test_a_models_name_cannot_break_the_page(text: str) -> None:
    metrics = PrometheusMetrics()

    metrics.called(call(text))

    assert Page(metrics.exposition(NO_DEPTH).decode()).value("llm_calls_total", model=text) == 1
