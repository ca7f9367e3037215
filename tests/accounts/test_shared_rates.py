"""One count for all processes: exact, by Redis's clock, and by each process's own count while Redis is away."""

import asyncio
import time
from pathlib import Path

import pytest
import redis

from answerback.accounts.ratelimit import MovingWindows
from answerback.accounts.shared_rates import SharedRates
from answerback.kernel.rate import Rate
from answerback.kernel.telemetry import UNMEASURED
from answerback.redis import link as redis_link
from answerback.redis.link import Link
from answerback.redis.names import Names
from answerback.testing.clock import FakeClock
from builders import Journal
from databases import SqliteDatabase
from stores import Stores

MINUTE = Rate(100, 60)


def rates(link: Link, stores: Stores) -> SharedRates:
    return SharedRates(link, Names(stores.service_secrets), MovingWindows(time.monotonic))


async def test_two_processes_of_one_database_admit_exactly_as_many_as_one(
    monkeypatch: pytest.MonkeyPatch, link: Link, redis_url: str, journal: Journal, stores: Stores
) -> None:
    # A thousand at once take long on a busy machine, which is no outage.
    monkeypatch.setattr(redis_link, "REPLY_SECONDS", 60.0)
    other = Link(redis_url, journal, UNMEASURED)
    processes = rates(link, stores), rates(other, stores)

    began = time.monotonic()
    standings = await asyncio.gather(*(processes[n % 2].hit("caller", MINUTE) for n in range(1000)))
    took = time.monotonic() - began
    await other.close()

    assert sum(standing.admitted for standing in standings) == 100
    assert sorted(standing.remaining for standing in standings if standing.admitted) == list(range(100))
    assert {standing.remaining for standing in standings if not standing.admitted} == {0}
    assert {standing.seconds for standing in standings if not 59 - took <= standing.seconds <= 60} == set()


async def test_many_calls_are_admitted_all_or_none(link: Link, stores: Stores) -> None:
    counted = rates(link, stores)

    standings = [await counted.hit("caller", MINUTE, calls) for calls in (60, 41, 40, 1, 101)]

    assert [(each.admitted, each.remaining) for each in standings] == [
        (True, 40),
        (False, 40),
        (True, 0),
        (False, 0),
        (False, 0),
    ]
    assert all(50 < each.seconds <= 60 for each in standings)


async def test_a_request_is_admitted_again_when_the_refusal_said(link: Link, stores: Stores) -> None:
    counted = rates(link, stores)
    second = Rate(2, 1)
    started = time.monotonic()
    await counted.hit("caller", second)
    await counted.hit("caller", second)
    refused = await counted.hit("caller", second)
    assert not refused.admitted

    async with asyncio.timeout(20):
        while not (await counted.hit("caller", second)).admitted:
            pass

    assert time.monotonic() - started >= 1
    assert refused.seconds <= 1


async def test_after_rediss_clock_was_set_back_requests_are_counted_anew(
    link: Link, stores: Stores, redis_url: str
) -> None:
    counted = rates(link, stores)
    await counted.hit("caller", MINUTE, 100)
    with redis.Redis.from_url(redis_url) as server:
        (key,) = server.keys("*rate*")
        ahead = [int(at) + 3600 * 1_000_000 for at in server.lrange(key, 0, -1)]
        server.delete(key)
        server.rpush(key, *ahead)

    standing = await counted.hit("caller", MINUTE)

    assert (standing.admitted, standing.remaining) == (True, 99)


async def test_callers_and_rates_count_each_for_themselves_and_leave_nothing_behind(
    link: Link, redis_url: str, stores: Stores
) -> None:
    counted = rates(link, stores)
    for caller, rate in (("a", Rate(1, 60)), ("b", Rate(1, 60)), ("a", Rate(2, 60))):
        assert (await counted.hit(caller, rate)).admitted

    with redis.Redis.from_url(redis_url) as client:
        keys = client.keys("answerback:rate:*")
        assert len(keys) == 3
        assert all(0 < client.pttl(key) <= 60_000 for key in keys)


async def test_another_database_on_the_same_redis_counts_for_itself(link: Link, stores: Stores, tmp_path: Path) -> None:
    another = await SqliteDatabase(tmp_path / "another.db").open(FakeClock())
    once = Rate(1, 60)

    assert (await rates(link, stores).hit("caller", once)).admitted
    assert (await rates(link, another).hit("caller", once)).admitted
    assert not (await rates(link, stores).hit("caller", once)).admitted
    await another.close()


async def test_while_redis_is_away_each_process_counts(stores: Stores, journal: Journal) -> None:
    link = Link("redis://127.0.0.1:1/0", journal, UNMEASURED)
    counted = rates(link, stores)

    admitted = [(await counted.hit("caller", Rate(3, 60))).admitted for _ in range(5)]
    await link.close()

    assert admitted == [True] * 3 + [False] * 2
    assert journal.events == ["redis_away"]
