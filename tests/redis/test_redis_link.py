"""The way to Redis: together, bounded, and done without while it is away."""

import asyncio
import os
import signal
import threading
import time
from collections.abc import AsyncIterator, Iterator

import pytest
import redis
from outages import Outages
from redis.asyncio.client import Pipeline

from answerback.redis import link as module
from answerback.redis.link import Away, Link
from answerback.testing.backends import RedisServer
from builders import Journal
from servers import private

pytestmark = pytest.mark.starts_processes


@pytest.fixture
def server() -> Iterator[RedisServer]:
    with private(RedisServer) as server:
        yield server


@pytest.fixture
async def own(server: RedisServer, journal: Journal, outages: Outages) -> AsyncIterator[Link]:
    """A link to a server of its own."""
    link = Link(server.url, journal, outages)
    link.start()
    yield link
    await link.close()


async def test_each_hears_its_own_reply_and_all_travel_over_one_connection(link: Link) -> None:
    replies = await asyncio.gather(*(link.call("ECHO", f"word {n}") for n in range(1200)))
    connections = await asyncio.gather(*(link.call("CLIENT", "ID") for _ in range(1200)))

    assert replies == [f"word {n}".encode() for n in range(1200)]
    assert len(set(connections)) == 1


async def test_a_caller_that_gives_up_takes_no_reply_from_others(link: Link) -> None:
    impatient = asyncio.ensure_future(link.call("ECHO", "mine"))
    patient = asyncio.ensure_future(link.call("ECHO", "yours"))
    await asyncio.wait({impatient, patient}, timeout=0)
    impatient.cancel()

    assert await patient == b"yours"
    assert await link.call("ECHO", "next") == b"next"


async def test_an_error_that_nobody_foresaw_is_an_outage_like_any(
    monkeypatch: pytest.MonkeyPatch, link: Link, journal: Journal
) -> None:
    async def broken(self: object, raise_on_error: bool) -> None:
        raise RuntimeError("the transport's handler is closed")

    with monkeypatch.context() as patch:
        patch.setattr(Pipeline, "execute", broken)
        with pytest.raises(Away):
            await link.call("ECHO", "lost")

    await journal.seen("redis_back")
    assert await link.call("ECHO", "found") == b"found"


async def test_an_outage_is_logged_though_nobody_asks_anything(
    monkeypatch: pytest.MonkeyPatch, server: RedisServer, journal: Journal, outages: Outages
) -> None:
    monkeypatch.setattr(module, "PROBE_SECONDS", 0.01)
    link = Link(server.url, journal, outages)
    link.start()
    server.kill()

    await journal.seen("redis_away")

    assert outages.seen == [True, False]
    await link.close()


@pytest.mark.parametrize(
    ("url", "place"),
    [
        ("redis://:open-sesame@127.0.0.1:1/3", "127.0.0.1:1"),
        ("unix://:open-sesame@/nowhere/redis.sock", "/nowhere/redis.sock"),
    ],
)
async def test_a_redis_that_is_not_there_is_named_without_its_password(
    url: str, place: str, journal: Journal, outages: Outages
) -> None:
    link = Link(url, journal, outages)
    with pytest.raises(Away):
        await link.call("PING")
    await link.close()

    (line,) = [fields for event, fields in journal.lines if event == "redis_away"]
    assert line["at"] == place
    assert "open-sesame" not in str(line)


async def test_an_outage_is_logged_once_and_ends_by_itself(
    own: Link, server: RedisServer, journal: Journal, outages: Outages
) -> None:
    await own.call("SET", "a", "b")
    server.kill()
    for _ in range(20):
        with pytest.raises(Away):
            await own.call("GET", "a")
    assert [event for event in journal.events if event.startswith("redis")] == ["redis_away"]
    assert outages.seen == [True, False]

    await asyncio.to_thread(server.restart)
    await journal.seen("redis_back")

    assert await own.call("GET", "a") is None
    assert outages.seen == [True, False, True]


async def test_a_redis_that_hangs_costs_a_moment_once_and_its_late_replies_are_nobodys(
    own: Link, server: RedisServer, journal: Journal
) -> None:
    await own.call("SET", "a", "late")
    os.kill(server.pid, signal.SIGSTOP)
    try:
        started = time.monotonic()
        outcomes = await asyncio.gather(*(own.call("GET", "a") for _ in range(50)), return_exceptions=True)
        assert [type(each) for each in outcomes] == [Away] * 50
        assert 0.25 <= time.monotonic() - started < 5

        started = time.monotonic()
        for _ in range(1000):
            with pytest.raises(Away):
                await own.call("GET", "a")
        # Each would wait a quarter of a second.
        assert time.monotonic() - started < 5
    finally:
        os.kill(server.pid, signal.SIGCONT)
    await journal.seen("redis_back")

    assert await own.call("ECHO", "now") == b"now"


async def test_a_busy_process_takes_no_prompt_reply_for_an_outage(link: Link, redis_url: str, journal: Journal) -> None:
    asked = asyncio.ensure_future(link.call("ECHO", "prompt"))
    await asyncio.wait({asked}, timeout=0)

    # The whole process stands still, as under a burst, for longer than Redis is waited for.
    threading.Event().wait(0.6)
    with redis.Redis.from_url(redis_url) as client:
        # Redis answers in turn: however busy the machine is, the reply has come.
        client.ping()

    assert await asked == b"prompt"
    assert "redis_away" not in journal.events


async def test_a_redis_that_takes_no_writes_is_away_until_it_does(
    own: Link, server: RedisServer, journal: Journal
) -> None:
    await own.call("CONFIG", "SET", "maxmemory", "1")
    with pytest.raises(Away):
        await own.call("SET", "a", "b")
    # It answers, and would be taken for good at the first look.
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(journal.seen("redis_back"), 0.3)

    with redis.Redis.from_url(server.url) as client:
        client.config_set("maxmemory", "0")
    await journal.seen("redis_back")

    await own.call("SET", "a", "b")
    assert journal.events.count("redis_away") == 1


async def test_a_redis_that_is_not_there_is_logged_at_the_start_without_its_password(outages: Outages) -> None:
    with private(RedisServer) as gone:
        url = gone.url.replace("redis://", "redis://:hush@")
    journal = Journal()
    link = Link(url, journal, outages)
    link.start()
    await journal.seen("redis_away")
    await link.close()

    assert "hush" not in str(journal.lines)
    assert outages.seen == [True, False]
