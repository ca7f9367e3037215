"""Services that share a Redis, as processes: one rate, one window, and work that goes on when Redis is gone."""

import asyncio
import re
import sqlite3
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, closing
from pathlib import Path

import aiohttp
import pytest
import redis

from answerback.testing import FakeLLM, Receiver, Service
from answerback.testing.backends import RedisServer
from answerback.testing.service import ServiceError
from servers import private
from surroundings import SECRET

pytestmark = pytest.mark.asyncio(loop_scope="function")


@pytest.fixture
async def llm() -> AsyncIterator[FakeLLM]:
    async with FakeLLM() as started:
        yield started


def settings(llm: FakeLLM, redis_url: str, **changes: str) -> dict[str, str]:
    return {
        "OPENROUTER_BASE_URL": llm.base_url,
        "CALLBACK_HMAC_SECRET": SECRET,
        "REDIS_URL": redis_url,
        **changes,
    }


async def statuses(service: Service, times: int) -> Counter[int]:
    async with aiohttp.ClientSession(service.url, connector=aiohttp.TCPConnector(limit=250)) as http:

        async def one() -> int:
            async with http.get("/v1/jobs") as response:
                return response.status

        return Counter(await asyncio.gather(*(one() for _ in range(times))))


async def metric(service: Service, name: str) -> float:
    async with aiohttp.ClientSession(service.url) as http, http.get("/metrics") as response:
        found = re.search(rf"^answerback_{name} (\S+)$", await response.text(), re.MULTILINE)
    assert found is not None
    return float(found[1])


class Talk:
    """A conversation with a service: each message is said once the one before was called back."""

    def __init__(self, service: Service, llm: FakeLLM, receiver: Receiver) -> None:
        self.service = service
        self._llm = llm
        self._receiver = receiver
        self._said = 0

    async def say(self, text: str) -> Sequence[str]:
        """What the LLM was given of what users had said."""
        message = {"message": text, "callback_url": self._receiver.url("/talk"), "session_id": "talk"}
        async with aiohttp.ClientSession(self.service.url) as http, http.post("/webhook", json=message) as response:
            assert response.status == 202
        self._said += 1
        await self._receiver.wait_for(self._said)
        (call,) = [call for call in self._llm.calls if call.user == text]
        return [said["content"] for said in call.messages if said["role"] == "user"]

    async def erase(self) -> tuple[int, dict[str, dict[str, str]]]:
        async with (
            aiohttp.ClientSession(self.service.url) as http,
            http.delete("/v1/sessions/talk") as response,
        ):
            return response.status, await response.json() if response.status != 204 else {}


async def test_two_processes_admit_exactly_a_hundred_of_a_thousand_at_once(
    llm: FakeLLM, redis_url: str, postgres_url: str
) -> None:
    shared = settings(llm, redis_url, DATABASE_URL=postgres_url, RATE_LIMIT="100/minute")
    async with Service(shared, role="api") as one, Service(shared, role="api") as other:
        counted = sum(await asyncio.gather(statuses(one, 500), statuses(other, 500)), Counter[int]())

        assert await metric(one, "redis_up") == await metric(other, "redis_up") == 1

    assert counted == {200: 100, 429: 900}


@asynccontextmanager
async def talking(llm: FakeLLM, receiver: Receiver, redis_url: str, folder: Path) -> AsyncIterator[Talk]:
    async with Service(settings(llm, redis_url), folder=folder) as service:
        yield Talk(service, llm, receiver)


def rewrite_the_record(talk: Talk) -> None:
    """From now on what comes from the database differs from what does not."""
    with closing(sqlite3.connect(talk.service.database, timeout=20)) as connection, connection:
        connection.execute(
            "UPDATE conversation_items SET items = replace(items, ?, ?)", ('"content":"', '"content":"recorded ')
        )


async def test_a_window_is_served_from_redis_and_rebuilt_after_a_flush(
    llm: FakeLLM, receiver: Receiver, redis_url: str, tmp_path: Path
) -> None:
    async with talking(llm, receiver, redis_url, tmp_path) as talk:
        await talk.say("one")
        await talk.say("two")
        rewrite_the_record(talk)

        assert await talk.say("three") == ["one", "two", "three"]
        with redis.Redis.from_url(redis_url) as client:
            (window,) = client.keys("answerback:window:*")
            assert 86_000 < client.ttl(window) <= 86_401
            client.flushall()

        assert await talk.say("four") == ["recorded one", "recorded two", "three", "four"]


async def test_erasing_reaches_redis_or_says_that_it_did_not(llm: FakeLLM, receiver: Receiver, tmp_path: Path) -> None:
    with private(RedisServer) as server:
        async with talking(llm, receiver, server.url, tmp_path) as talk:
            await talk.say("one")
            await talk.say("two")
            assert (await talk.erase())[0] == 204
            assert await talk.say("three") == ["three"]

            server.kill()
            status, body = await talk.erase()
            assert (status, body["error"]["code"]) == (503, "erase_unfinished")
            assert await talk.say("four") == ["four"]


async def test_requests_go_on_when_redis_is_killed_under_load(llm: FakeLLM, receiver: Receiver, tmp_path: Path) -> None:
    with private(RedisServer) as server:
        limited = settings(llm, server.url, RATE_LIMIT="1000/minute")
        async with Service(limited, folder=tmp_path) as service:
            talk = Talk(service, llm, receiver)
            await talk.say("one")
            await talk.say("two")
            load = asyncio.gather(*(statuses(service, 100) for _ in range(5)))
            server.kill()

            counted = sum(await load, Counter[int]())
            assert await talk.say("three") == ["one", "two", "three"]

            assert counted == {200: 500}
            assert await metric(service, "redis_up") == 0
            # A busy machine may delay a reply before the kill, which is an outage of its own.
            outages = await metric(service, "redis_outages_total")
            assert outages >= 1
            assert await statuses(service, 100) == {200: 100}
            assert await metric(service, "redis_outages_total") == outages
            await service.until_logged('"redis_away"', int(outages))
            assert service.logs.count('"redis_away"') == outages


async def test_without_the_client_the_start_says_what_to_install(llm: FakeLLM, tmp_path: Path) -> None:
    (tmp_path / "redis.py").write_text("raise ModuleNotFoundError('not installed')")
    lacking = settings(llm, "redis://127.0.0.1:1/0", PYTHONPATH=str(tmp_path))

    with pytest.raises(ServiceError, match=re.escape("pip install 'answerback[redis]'")):
        async with Service(lacking, folder=tmp_path):
            pass
