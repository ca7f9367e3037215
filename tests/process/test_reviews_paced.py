"""An LLM that answers by webhook is paced, counted and traced as any other."""

from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest_asyncio
from reviewing import Desk

from answerback.testing import behaviours
from answerback.testing.push import PushLLM
from answerback.testing.receiver import Receiver
from answerback.testing.service import Service


@pytest_asyncio.fixture(loop_scope="session")
async def push() -> AsyncIterator[PushLLM]:
    async with PushLLM() as server:
        yield server


@pytest_asyncio.fixture(loop_scope="session")
async def receiver() -> AsyncIterator[Receiver]:
    async with Receiver() as server:
        yield server


def waits_for_its_turn(job: Any) -> bool:
    return job["status"] == "scheduled" and job["error"] is not None


async def test_reviews_beyond_the_minute_wait_for_their_turn(push: PushLLM, receiver: Receiver) -> None:
    limited = {"LLM_API_URL": push.url, "UPSTREAM_REQUESTS_PER_MINUTE": "2"}
    async with Service(limited) as service, aiohttp.ClientSession(service.url) as http:
        desk = Desk(http, receiver)
        for _ in range(2):
            await desk.until_state(await desk.hand_in(), "awaiting")

        late = await desk.until(await desk.hand_in(), waits_for_its_turn)

    assert len(push.submissions) == 2
    assert (late["attempt"], late["attempts"], late["error"]["code"]) == (0, [], "upstream_rate_limited")


async def test_an_llm_that_names_the_end_of_its_limit_is_asked_by_one_and_costs_no_attempt(
    push: PushLLM, receiver: Receiver
) -> None:
    async with Service({"LLM_API_URL": push.url}) as service, aiohttp.ClientSession(service.url) as http:
        desk = Desk(http, receiver)
        push.then(behaviours.status(429, headers={"Retry-After": "3600"}))
        first = await desk.until(await desk.hand_in(), waits_for_its_turn)

        others = [await desk.until(await desk.hand_in(), waits_for_its_turn) for _ in range(3)]

    assert len(push.submissions) == 1
    assert [each["attempt"] for each in (first, *others)] == [0] * 4
    assert [len(each["attempts"]) for each in (first, *others)] == [1, 0, 0, 0]


async def test_what_is_handed_over_is_counted(push: PushLLM, receiver: Receiver) -> None:
    async with Service({"LLM_API_URL": push.url}) as service, aiohttp.ClientSession(service.url) as http:
        desk = Desk(http, receiver)
        await desk.until_state(await desk.hand_in(), "awaiting")
        push.then(behaviours.status(400))
        await desk.until_state(await desk.hand_in(), "failed")
        async with http.get("/metrics") as response:
            page = await response.text()

    called = 'answerback_llm_calls_total{model="reviews",outcome="%s",provider="push"} 1.0'
    assert called % "ok" in page
    assert called % "upstream_refused" in page
    assert 'answerback_llm_latency_seconds_count{model="reviews",provider="push"} 1.0' in page
