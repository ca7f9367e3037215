"""How often a caller may call, over real HTTP: exact, told in headers, each key for itself."""

import asyncio
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import pytest
import pytest_asyncio
from troubles import upstream

from answerback.accounts.model import hash_key
from answerback.testing import FakeLLM, Receiver, Service
from answerback.testing.clock import FakeClock

pytestmark = pytest.mark.asyncio(loop_scope="module")

RATES: Mapping[str, str | None] = {
    "hundred": "100/minute",
    "three": "3/hour",
    "two": "2 per day",
    "one": "1/minute",
    "free": "0",
    "default": None,
}
"""The keys, each its own name, and their rates; the service's own is 5 a minute."""


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def service(llm: FakeLLM, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Service]:
    folder = tmp_path_factory.mktemp("limited")
    stores = await open_sqlite(folder / "answerback.db", FakeClock(), render)
    for key, rate in RATES.items():
        await stores.accounts.create_key(key, hash_key(key), rate)
    await stores.close()
    async with Service(upstream(llm.base_url) | {"RATE_LIMIT": "5/minute"}, folder=folder) as started:
        yield started


async def statuses(http: aiohttp.ClientSession, times: int, path: str = "/v1/jobs", **options: object) -> list[int]:
    async def one() -> int:
        async with http.get(path, **options) as response:  # type: ignore[arg-type]
            return response.status

    return list(await asyncio.gather(*(one() for _ in range(times))))


async def test_of_a_thousand_at_once_exactly_a_hundred_are_admitted(service: Service) -> None:
    async with aiohttp.ClientSession(service.url, connector=aiohttp.TCPConnector(limit=250)) as http:
        counted = Counter(await statuses(http, 1000, headers=bearer("hundred")))

    assert counted == {200: 100, 429: 900}


async def test_the_headers_count_down_and_the_refusal_says_when_to_come_back(http: aiohttp.ClientSession) -> None:
    seen = []
    for _ in range(4):
        async with http.get("/v1/jobs", headers=bearer("three")) as response:
            seen.append((response.status, response.headers["RateLimit-Remaining"]))
            assert response.headers["RateLimit-Limit"] == "3"
            assert 3590 <= int(response.headers["RateLimit-Reset"]) <= 3600
            assert ("Retry-After" in response.headers) == (response.status == 429)
            body = await response.json()

    assert seen == [(200, "2"), (200, "1"), (200, "0"), (429, "0")]
    assert body["error"]["code"] == "rate_limited"
    assert body["detail"] == body["error"]["message"]
    assert body["detail"].startswith("more than 3 requests an hour; try again in 3")
    assert response.headers["Retry-After"] == response.headers["RateLimit-Reset"]
    assert response.headers["x-should-retry"] == "false"


async def test_openais_door_refuses_in_its_own_words_and_asks_nobody(http: aiohttp.ClientSession, llm: FakeLLM) -> None:
    said = {"messages": [{"role": "user", "content": "within the rate"}]}

    answers = []
    for _ in range(2):
        async with http.post("/v1/chat/completions", json=said, headers=bearer("one")) as response:
            answers.append((response.status, await response.json()))

    assert [status for status, _ in answers] == [200, 429]
    error = answers[1][1]["error"]
    assert (error["type"], error["code"], error["param"]) == ("rate_limit_error", "rate_limited", None)
    assert 1 <= int(response.headers["Retry-After"]) <= 60
    assert llm.count("within the rate") == 1


async def test_one_limit_counts_for_all_doors_and_refused_messages_are_not_stored(
    http: aiohttp.ClientSession,
) -> None:
    headers = bearer("two")
    async with Receiver() as receiver:
        message = {"message": "limited", "callback_url": receiver.url("/limited"), "stateless": True}
        async with http.post("/webhook", json=message, headers=headers) as accepted:
            assert (accepted.status, accepted.headers["RateLimit-Remaining"]) == (202, "1")
            job_id = (await accepted.json())["job_id"]
        async with http.post("/api/ask", json={"question": "limited?"}, headers=headers) as answered:
            assert (answered.status, answered.headers["RateLimit-Remaining"]) == (200, "0")
        async with http.post("/webhook", json=message, headers=headers) as refused:
            assert refused.status == 429
        (callback,) = await receiver.wait_for(1)

    assert callback.json["job_id"] == job_id


async def test_a_key_of_rate_zero_is_never_refused_nor_told_of_limits(http: aiohttp.ClientSession) -> None:
    assert set(await statuses(http, 50, headers=bearer("free"))) == {200}
    async with http.get("/v1/jobs", headers=bearer("free")) as response:
        assert not [name for name in response.headers if name.lower().startswith("ratelimit")]


async def test_a_key_without_a_rate_has_the_services_and_other_keys_take_nothing_from_it(
    http: aiohttp.ClientSession,
) -> None:
    await statuses(http, 20, headers=bearer("hundred"))

    assert Counter(await statuses(http, 8, headers=bearer("default"))) == {200: 5, 429: 3}


async def test_guessing_keys_is_limited_but_a_good_key_still_opens(http: aiohttp.ClientSession) -> None:
    guesses = [(await statuses(http, 1, headers=bearer(f"guess-{n}")))[0] for n in range(8)]

    assert guesses == [401] * 5 + [429] * 3
    assert await statuses(http, 1, headers=bearer("free")) == [200]


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/metrics", "/openapi.json", "/docs"])
async def test_what_costs_nothing_is_not_limited(http: aiohttp.ClientSession, path: str) -> None:
    assert set(await statuses(http, 12, path)) == {200}


async def test_the_llms_own_callbacks_are_not_limited(http: aiohttp.ClientSession) -> None:
    async def call_back() -> int:
        async with http.post("/v1/llm/callback/job_none?token=no", json={"ok": True, "result": {}}) as response:
            return response.status

    assert 429 not in await asyncio.gather(*(call_back() for _ in range(12)))


@dataclass
class Cli:
    folder: Path

    def __call__(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [sys.executable, "-m", "answerback", "keys", *arguments],
            cwd=self.folder,
            env={"DATABASE_URL": f"sqlite:///{self.folder}/answerback.db", "COLUMNS": "200"},
            capture_output=True,
            text=True,
            check=False,
        )


async def test_the_command_line_gives_and_shows_rates(tmp_path: Path) -> None:
    keys = Cli(tmp_path)

    made = keys("create", "batch jobs", "--rate-limit", "1000/hour")
    refused = keys("create", "typo", "--rate-limit", "often")

    assert made.returncode == 0
    assert refused.returncode == 2
    assert "--rate-limit is 'often' but must be a number a second, minute, hour or day" in refused.stderr
    listed = keys("list").stdout
    assert "1000/hour" in listed
    assert "typo" not in listed


async def test_without_keys_each_address_counts_for_itself(llm: FakeLLM) -> None:
    async with (
        Service(upstream(llm.base_url) | {"RATE_LIMIT": "4/minute"}) as service,
        aiohttp.ClientSession(service.url) as http,
    ):
        here = await statuses(http, 6)
        # The server takes a proxy's word on its own machine for who is calling.
        there = await statuses(http, 6, headers={"X-Forwarded-For": "203.0.113.9"})
        same_network = [
            (await statuses(http, 1, headers={"X-Forwarded-For": f"2001:db8:1:2::{n}"}))[0] for n in range(1, 7)
        ]

    assert Counter(here) == {200: 4, 429: 2}
    assert Counter(there) == {200: 4, 429: 2}
    assert same_network == [200] * 4 + [429] * 2
