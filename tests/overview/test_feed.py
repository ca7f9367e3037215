"""A feed: its events are made once for all who follow, only while somebody does and only after something was written,
in a fixed share of the time; and nothing waits for who reads slowly."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AsyncExitStack, aclosing

import pytest

from answerback.http.errors import RateLimited
from answerback.kernel.errors import StorageUnavailable, Unauthorized
from answerback.overview import feed
from answerback.overview.feed import (
    EVERY_SECONDS,
    MOST_APART_SECONDS,
    OLD_SECONDS,
    SETTLED_SECONDS,
    SHARE,
    Events,
    Feeds,
)
from builders import TENANT, Journal

OTHER = "tenant-b"


class World:
    """What is shown, and the time: `tick` lets it be looked at again, and returns once that was done. Something is
    written between two looks unless the database `rests`. Making events takes `making` seconds, and all else none."""

    def __init__(self, journal: Journal) -> None:
        self.feeds = Feeds(self._version, journal, lambda: self.now, self._pause)
        self.shown: dict[str, bytes] = {"overview": b"1", "jobs": b"a"}
        self.error: Exception | None = None
        self.refusal: Exception | None = None
        self.rests = False
        self.now = 0.0
        self.making = 0.0
        self.looks = 0
        self._writes = 0
        self._paused: asyncio.Queue[asyncio.Event] = asyncio.Queue()

    async def make(self) -> Events:
        self.looks += 1
        self.now += self.making
        if self.error is not None:
            raise self.error
        return dict(self.shown)

    async def _version(self) -> str:
        self._writes += not self.rests
        return str(self._writes)

    async def check(self) -> None:
        if self.refusal is not None:
            raise self.refusal

    def open(self, tenant_id: str = TENANT, shown: object = "ours") -> AsyncGenerator[bytes, None]:
        return self.feeds.open(tenant_id, shown, self.make, self.check)

    async def looked(self) -> None:
        """Returns once the look under way is done."""
        self._last = await self._paused.get()

    async def tick(self) -> None:
        self.now += EVERY_SECONDS
        self._last.set()
        await self.looked()

    async def seconds(self, seconds: float) -> int:
        """Lets so many pass; returns how often events were made."""
        looks, ends_at = self.looks, self.now + seconds
        while self.now < ends_at:
            await self.tick()
        return self.looks - looks

    async def _pause(self, seconds: float) -> None:
        assert seconds == EVERY_SECONDS
        may_go_on = asyncio.Event()
        self._paused.put_nowait(may_go_on)
        await may_go_on.wait()


@pytest.fixture
async def world(journal: Journal) -> AsyncIterator[World]:
    made = World(journal)
    yield made
    await made.feeds.close()


async def following(events: AsyncGenerator[bytes, None]) -> asyncio.Task[bytes]:
    """The next event, being waited for."""
    task = asyncio.create_task(anext(events))
    await asyncio.sleep(0)
    return task


async def test_what_is_there_comes_first_and_then_only_what_changes(world: World) -> None:
    async with aclosing(world.open()) as events:
        assert await anext(events) == b"1a"
        await world.looked()
        coming = await following(events)
        await world.tick()
        assert not coming.done()

        world.shown["jobs"] = b"b"
        await world.tick()

        assert await coming == b"b"


async def test_all_who_follow_share_what_is_made_and_who_joins_gets_it_at_once(world: World) -> None:
    async with aclosing(world.open()) as one, aclosing(world.open()) as other:
        first = await anext(one)
        assert await anext(other) == first
        await world.looked()

        assert world.looks == 1


async def test_twenty_who_follow_cost_what_one_costs(world: World) -> None:
    async with AsyncExitStack() as stack:
        for _ in range(20):
            await anext(await stack.enter_async_context(aclosing(world.open())))
        await world.looked()

        assert await world.seconds(10) == 10


async def test_nothing_is_made_while_nothing_is_written_but_what_is_old(world: World) -> None:
    async with aclosing(world.open()) as events:
        await anext(events)
        await world.looked()
        world.rests = True
        await world.seconds(SETTLED_SECONDS)

        assert await world.seconds(OLD_SECONDS - SETTLED_SECONDS) == 0
        assert await world.seconds(10 * OLD_SECONDS) == 10

        world.rests = False
        assert await world.seconds(EVERY_SECONDS) == 1


async def test_what_was_made_of_something_shared_before_the_write_is_made_once_more(world: World) -> None:
    async with aclosing(world.open()) as events:
        assert await anext(events) == b"1a"
        await world.looked()
        world.rests = True
        await world.seconds(OLD_SECONDS)

        world.rests = False
        await world.tick()
        world.rests, world.shown["overview"] = True, b"2"
        await world.tick()

        assert await anext(events) == b"2"


async def test_making_takes_its_share_of_the_time_and_no_more(world: World) -> None:
    world.making = 2 * EVERY_SECONDS * SHARE
    async with aclosing(world.open()) as events:
        await anext(events)
        await world.looked()

        assert await world.seconds(30) in (14, 15)


async def test_a_database_that_was_slow_once_holds_up_no_feed_for_long(world: World) -> None:
    world.making = 100.0
    async with aclosing(world.open()) as events:
        await anext(events)
        await world.looked()
        world.making = 0.0

        assert await world.seconds(MOST_APART_SECONDS) >= 1


async def test_the_more_tenants_have_feeds_the_more_seldom_each_is_made(world: World) -> None:
    async with AsyncExitStack() as stack:
        for tenant in ("a", "b", "c"):
            await anext(await stack.enter_async_context(aclosing(world.open(tenant, shown=tenant))))

        assert world.feeds.apart(EVERY_SECONDS * SHARE) == pytest.approx(3 * EVERY_SECONDS)


async def test_what_is_shown_to_others_is_made_for_them(world: World) -> None:
    async with aclosing(world.open()) as ours, aclosing(world.open(OTHER, "theirs")) as theirs:
        await anext(ours)
        await anext(theirs)

        assert world.looks == 2


async def test_a_reader_that_was_slow_gets_the_newest(world: World) -> None:
    async with aclosing(world.open()) as events:
        await anext(events)
        await world.looked()
        for text in (b"2", b"3", b"4"):
            world.shown["overview"] = text
            await world.tick()

        assert await anext(events) == b"4"


async def test_without_a_follower_nothing_is_made(world: World) -> None:
    async with aclosing(world.open()) as events:
        await anext(events)
        await world.looked()
    looks = world.looks
    world._last.set()
    await asyncio.sleep(0)

    assert world.looks == looks
    async with aclosing(world.open()) as events:
        world.shown["overview"] = b"anew"
        assert await anext(events) == b"anewa"


@pytest.mark.parametrize("error", [StorageUnavailable("away"), ValueError("a fault")])
async def test_what_cannot_be_made_now_comes_later(world: World, journal: Journal, error: Exception) -> None:
    world.error = error
    async with aclosing(world.open()) as events:
        coming = await following(events)
        await world.looked()
        world.error = None
        await world.tick()

        assert await coming == b"1a"
    assert ("feed_broke" in journal.events) is isinstance(error, ValueError)


@pytest.mark.parametrize("refusal", [Unauthorized("revoked"), StorageUnavailable("away")])
async def test_it_ends_when_its_key_is_revoked(world: World, refusal: Exception) -> None:
    async with aclosing(world.open()) as events:
        await anext(events)
        await world.looked()
        rest = asyncio.create_task(_all(events))
        await asyncio.sleep(0)
        world.refusal, world.shown["jobs"] = refusal, b"b"

        await world.tick()

        assert await rest == []


async def test_it_ends_when_its_key_is_revoked_though_nothing_changes(world: World) -> None:
    async with aclosing(world.open()) as events:
        assert await anext(events) == b"1a"
        await world.looked()
        rest = asyncio.create_task(_all(events))
        await asyncio.sleep(0)
        world.refusal = StorageUnavailable("away")
        await world.tick()
        assert not rest.done()

        world.refusal = Unauthorized("revoked")
        await world.tick()

        assert await rest == []


async def test_the_end_of_the_service_ends_it(world: World) -> None:
    events = world.open()
    await anext(events)
    rest = asyncio.create_task(_all(events))
    await asyncio.sleep(0)

    await world.feeds.close()

    assert await rest == []


async def test_a_tenant_has_so_many_and_all_have_so_many(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feed, "MAX_FEEDS_OF_TENANT", 1)
    monkeypatch.setattr(feed, "MAX_FEEDS", 2)
    late = world.open()
    async with aclosing(world.open()) as ours, aclosing(world.open(OTHER)) as theirs:
        await anext(ours)
        with pytest.raises(RateLimited):
            world.open()
        await anext(theirs)
        with pytest.raises(RateLimited):
            world.open("tenant-c")
        assert await _all(late) == []

    async with aclosing(world.open()) as again:
        assert await anext(again) == b"1a"


async def _all(events: AsyncGenerator[bytes, None]) -> list[bytes]:
    return [event async for event in events]
