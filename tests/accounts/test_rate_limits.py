"""How often a caller may call: exact, shown in headers, one limit over all routes."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from answerback.accounts.model import hash_key
from whole_api import Api, whole_api

RATES: Mapping[str, str | None] = {
    "hundred": "100/minute",
    "three": "3/hour",
    "two": "2 per day",
    "one": "1/minute",
    "free": "0",
    "default": None,
}
"""The keys, each its own name, and their rates; the service's own is 5 a minute."""
MESSAGE = {"message": "limited", "callback_url": "http://127.0.0.1:9/limited", "stateless": True}


@pytest.fixture
async def api(path: Path) -> AsyncIterator[Api]:
    async with whole_api(path, rate_limit="5/minute", mock_delay_seconds=0) as api:
        for key, rate in RATES.items():
            await api.service.stores.accounts.create_key(key, hash_key(key), rate)
        yield api


async def statuses(api: Api, times: int, path: str = "/v1/jobs", **options: Any) -> Counter[int]:
    return Counter(reply.status for reply in await asyncio.gather(*(api("GET", path, **options) for _ in range(times))))


async def test_of_many_at_once_exactly_as_many_are_admitted_as_the_rate_allows(api: Api) -> None:
    assert await statuses(api, 300, key="hundred") == {200: 100, 429: 200}


async def test_the_headers_count_down_and_the_refusal_says_when_to_come_back(api: Api) -> None:
    replies = [await api("GET", "/v1/jobs", "three") for _ in range(4)]

    assert [(each.status, each.headers["ratelimit-remaining"]) for each in replies] == [
        (200, "2"),
        (200, "1"),
        (200, "0"),
        (429, "0"),
    ]
    assert {each.headers["ratelimit-limit"] for each in replies} == {"3"}
    assert all(3590 <= int(each.headers["ratelimit-reset"]) <= 3600 for each in replies)
    assert ["retry-after" in each.headers for each in replies] == [False] * 3 + [True]
    refused = replies[-1]
    assert refused.code == "rate_limited"
    assert refused.json["detail"].startswith("more than 3 requests an hour; try again in 3")
    assert refused.headers["retry-after"] == refused.headers["ratelimit-reset"]
    assert refused.headers["x-should-retry"] == "false"


async def test_the_chat_completions_route_refuses_as_openai_does(api: Api) -> None:
    asked = {"messages": [{"role": "user", "content": "within the rate"}]}

    answered, refused = [await api("POST", "/v1/chat/completions", "one", body=asked) for _ in range(2)]

    assert (answered.status, refused.status) == (200, 429)
    error = refused.json["error"]
    assert (error["type"], error["code"], error["param"]) == ("rate_limit_error", "rate_limited", None)
    assert 1 <= int(refused.headers["retry-after"]) <= 60


async def test_one_limit_counts_for_all_routes_and_a_refused_message_is_not_stored(api: Api) -> None:
    accepted = await api("POST", "/webhook", "two", body=MESSAGE)
    answered = await api("POST", "/api/ask", "two", body={"question": "limited?"})
    refused = await api("POST", "/webhook", "two", body=MESSAGE)

    assert (accepted.status, accepted.headers["ratelimit-remaining"]) == (202, "1")
    assert (answered.status, answered.headers["ratelimit-remaining"]) == (200, "0")
    assert refused.status == 429
    assert await api.service.jobs.count_open() == 1


async def test_a_key_of_rate_zero_is_never_refused_and_sees_no_limits(api: Api) -> None:
    assert await statuses(api, 50, key="free") == {200: 50}
    headers = (await api("GET", "/v1/jobs", "free")).headers
    assert not [name for name in headers if name.startswith("ratelimit")]


async def test_a_key_without_a_rate_has_the_services(api: Api) -> None:
    assert await statuses(api, 8, key="default") == {200: 5, 429: 3}


@pytest.mark.parametrize("route", ["/healthz", "/readyz", "/metrics", "/openapi.json", "/docs"])
async def test_what_costs_nothing_is_not_limited(api: Api, route: str) -> None:
    assert await statuses(api, 12, route) == {200: 12}


async def test_the_llms_own_callbacks_are_not_limited(api: Api) -> None:
    answer = {"ok": True, "result": {}}

    replies = [await api("POST", "/v1/llm/callback/job_none?token=no", body=answer) for _ in range(12)]

    assert 429 not in {each.status for each in replies}
