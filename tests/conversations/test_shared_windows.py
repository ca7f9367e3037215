"""The windows that Redis serves: they prove themselves, and whatever they cannot prove comes from the database."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import redis
from conversation_record import TENANT, Record
from conversation_stories import NOW, answered, asked, called, output

from answerback.conversations.erase import erase
from answerback.conversations.model import Entry, Item, Place, Recalled
from answerback.conversations.shared_windows import SharedWindows
from answerback.conversations.store import ConversationStore
from answerback.conversations.windows import DatabaseWindows
from answerback.database.operation import Database
from answerback.database.service_secrets import ServiceSecrets
from answerback.kernel.errors import EraseUnfinished, StorageUnavailable
from answerback.kernel.telemetry import UNMEASURED
from answerback.redis.link import Link
from answerback.redis.names import Names
from answerback.testing.clock import FakeClock
from builders import Journal
from databases import SqliteDatabase
from stores import Stores

DAY = 86_400
PORT_OF_NOBODY = "redis://127.0.0.1:1/0"
NOTHING: Sequence[Item] = ()


class Counting(ConversationStore):
    """Counts how often windows are read from it."""

    reads = 0

    async def recall(self, tenant_id: str, conversation_id: int, first: int) -> Recalled:
        self.reads += 1
        return await super().recall(tenant_id, conversation_id, first)


class Process:
    """One process of a deployment: it runs jobs, as an engine does."""

    def __init__(
        self, database: Database, link: Link, *, ttl: float = DAY, retention: float = 30 * DAY, now: int = NOW
    ) -> None:
        self.record = Record(database)
        self.store = Counting(database)
        self.now = now
        names, plain = Names(ServiceSecrets(database)), DatabaseWindows(self.store)  # type: ignore[arg-type]
        self.windows = SharedWindows(
            *(link, names, self.store, plain, lambda: self.now), ttl_seconds=ttl, retention_seconds=retention
        )

    async def begin(self, session: str = "s") -> tuple[Place, list[str]]:
        """A job, accepted and claimed, and what it remembers, oldest first."""
        return await self.take(await self.record.join(session), session)

    async def take(self, position: int, session: str = "s") -> tuple[Place, list[str]]:
        place = await self.record.claim(position, session)
        return place, await self.recall(place)

    async def recall(self, place: Place) -> list[str]:
        return [entry.items[0]["content"] for entry in await self.windows.recent(place)]

    async def end(
        self, place: Place, text: str | None, window_from: int | None = None, session: str = "s"
    ) -> Entry | None:
        """Ends a job that said this; one without a text failed."""
        items = NOTHING if text is None else [asked(text), answered(f"answer to {text}")]
        entry = await self.record.finish(place, items, self.now, window_from, session)
        await self.windows.ended(place, entry, window_from)
        return entry

    async def say(self, text: str | None, window_from: int | None = None, session: str = "s") -> list[str]:
        """A whole job; what it remembered."""
        place, remembered = await self.begin(session)
        await self.end(place, text, window_from, session)
        return remembered

    async def erase(self) -> None:
        await erase(self.store, self.windows, self.record.erase_jobs, TENANT, "s")


@dataclass
class Room:
    """What Redis holds."""

    client: "redis.Redis[bytes]"

    @property
    def keys(self) -> list[bytes]:
        return list(self.client.keys("answerback:window:*"))

    @property
    def entries(self) -> int:
        """In the only window: its list without the head."""
        (key,) = self.keys
        return int(self.client.llen(key)) - 1

    @property
    def seconds_left(self) -> float:
        (key,) = self.keys
        return float(self.client.pttl(key)) / 1000

    @property
    def everything(self) -> str:
        return str([self.client.lrange(key, 0, -1) for key in self.keys])


@pytest.fixture
async def room(redis_url: str) -> AsyncIterator[Room]:
    with redis.Redis.from_url(redis_url) as client:
        yield Room(client)


@pytest.fixture
def here(stores: Stores, link: Link) -> Process:
    return Process(stores.database, link)


@pytest.fixture
async def elsewhere(stores: Stores, redis_url: str, journal: Journal) -> AsyncIterator[Process]:
    link = Link(redis_url, journal, UNMEASURED)
    yield Process(stores.database, link)
    await link.close()


@asynccontextmanager
async def cut_off(stores: Stores) -> AsyncIterator[Process]:
    """A process that does not reach Redis."""
    link = Link(PORT_OF_NOBODY, Journal(), UNMEASURED)
    yield Process(stores.database, link)
    await link.close()


def before_it_returns(process: Process, act: Callable[[], object]) -> None:
    """Lets this happen between a read of the database and its use."""
    recall = process.store.recall

    async def slow(tenant_id: str, conversation_id: int, first: int) -> Recalled:
        recalled = await recall(tenant_id, conversation_id, first)
        await act()  # type: ignore[misc]
        return recalled

    process.store.recall = slow  # type: ignore[method-assign]


async def test_after_the_first_rebuild_a_conversation_is_served_from_redis(here: Process, elsewhere: Process) -> None:
    remembered = [await process.say(f"m{n}") for n, process in enumerate([here, elsewhere] * 3, start=1)]

    assert remembered[-1] == ["m1", "m2", "m3", "m4", "m5"]
    # The first has nothing to remember, the second builds the window.
    assert (here.store.reads, elsewhere.store.reads) == (0, 1)


async def test_redis_has_the_same_entries_as_the_database(here: Process) -> None:
    parts = [{"type": "text", "text": 'zwei, ünïcode 🎈 "three"\n\\'}]
    added: list[Sequence[Item]] = [
        [asked(parts), called("c1", "look", '{"at": [1.5, null]}')],
        [output("c1", "a\0b"), answered("done")],
        [asked("three"), answered("3")],
    ]
    for items in added:
        place, _ = await here.record.claim(await here.record.join()), None
        await here.windows.recent(place)
        await here.windows.ended(place, await here.record.finish(place, items, NOW), None)
    assert here.store.reads == 1

    place = await here.record.claim(await here.record.join())
    shared = await here.windows.recent(place)

    assert here.store.reads == 1
    assert list(shared) == list((await here.store.recall(place.tenant_id, place.conversation_id, 0)).entries)


async def test_the_list_begins_where_the_window_does_and_expires(stores: Stores, link: Link, room: Room) -> None:
    small = Process(stores.database, link, ttl=600)
    for n in range(1, 6):
        await small.say(f"m{n}")

    assert await small.say("m6", window_from=4) == ["m1", "m2", "m3", "m4", "m5"]

    assert room.entries == 3
    assert 590 < room.seconds_left <= 600.001
    assert await small.say("m7") == ["m4", "m5", "m6"]
    assert small.store.reads == 1


async def test_a_rebuilt_window_is_the_same_window(here: Process, room: Room) -> None:
    for n in range(1, 5):
        await here.say(f"m{n}")
    await here.say("m5", window_from=3)
    room.client.flushdb()

    assert await here.say("m6") == ["m3", "m4", "m5"]


async def test_a_window_that_begins_elsewhere_by_the_record_is_made_anew(here: Process, stores: Stores) -> None:
    for n in range(1, 4):
        await here.say(f"m{n}")
    async with cut_off(stores) as lonely:
        await lonely.say("m4", window_from=3)

    assert await here.say("m5") == ["m3", "m4"]
    assert here.store.reads == 2


async def test_a_conversation_that_fell_silent_is_gone_from_redis(stores: Stores, link: Link, room: Room) -> None:
    brief = Process(stores.database, link, ttl=0.05)
    await brief.say("one")
    await brief.say("two")

    # Redis's own clock: nothing else knows that the time has come.
    room.client.blpop(["nothing comes here"], timeout=0.1)

    assert room.keys == []


async def test_a_failed_job_leaves_no_entry_and_the_window_stays_good(here: Process) -> None:
    await here.say("one")
    await here.say("two")
    await here.say(None)

    assert await here.say("four") == ["one", "two"]
    assert here.store.reads == 1


async def test_failures_alone_expire_too(here: Process, room: Room) -> None:
    for _ in range(3):
        await here.say(None)

    assert room.entries == 0
    assert 0 < room.seconds_left <= DAY + 1
    assert await here.say("four") == []
    assert here.store.reads == 1


async def test_a_rebuild_that_broke_off_is_not_gone_on_with(here: Process, journal: Journal) -> None:
    async def unavailable() -> None:
        raise StorageUnavailable("for a moment")

    await here.say("one")
    place = await here.record.claim(await here.record.join())
    before_it_returns(here, unavailable)
    with pytest.raises(StorageUnavailable):
        await here.recall(place)
    del here.store.recall  # type: ignore[method-assign]
    await here.end(place, "two")

    assert await here.say("three") == ["one", "two"]
    assert journal.events == []


async def test_a_flush_in_the_middle_costs_a_read(here: Process, room: Room) -> None:
    await here.say("one")
    await here.say("two")
    place, _ = await here.begin()
    room.client.flushdb()
    await here.end(place, "three")
    assert room.keys == []

    assert await here.say("four") == ["one", "two", "three"]
    assert await here.say("five") == ["one", "two", "three", "four"]
    assert here.store.reads == 2


async def test_an_end_that_redis_did_not_hear_of_costs_a_read(here: Process, stores: Stores) -> None:
    await here.say("one")
    await here.say("two")
    async with cut_off(stores) as lonely:
        assert await lonely.say("three") == ["one", "two"]

    assert await here.say("four") == ["one", "two", "three"]
    assert here.store.reads == 2


async def test_a_cancelled_job_costs_a_read(here: Process) -> None:
    await here.say("one")
    await here.say("two")
    cancelled = await here.record.claim(await here.record.join())
    await here.record.finish(cancelled, NOTHING, NOW)

    assert await here.say("four") == ["one", "two"]
    assert here.store.reads == 2


async def test_two_jobs_at_once_are_remembered_in_order(here: Process, elsewhere: Process) -> None:
    await here.say("one")
    place, _ = await here.begin()
    next_position = await here.record.join()
    entry = await here.record.finish(place, [asked("two"), answered("2")], NOW)

    # The next is claimed before Redis hears how this one ended.
    third, remembered = await elsewhere.take(next_position)
    await here.windows.ended(place, entry, None)
    assert remembered == ["one", "two"]
    await elsewhere.end(third, "three")

    assert await here.say("four") == ["one", "two", "three"]
    assert await here.say("five") == ["one", "two", "three", "four"]


async def test_a_worker_whose_lease_expired_writes_nothing(here: Process, elsewhere: Process, room: Room) -> None:
    await here.say("one")
    await here.say("two")
    lost, _ = await here.begin()
    place, remembered = await elsewhere.take(lost.position)
    assert remembered == ["one", "two"]

    await here.windows.ended(lost, Entry(lost.position, "job_3", [asked("a stale answer")], NOW), None)
    assert "a stale answer" not in room.everything
    await elsewhere.end(place, "three")

    assert await here.say("four") == ["one", "two", "three"]
    assert here.store.reads + elsewhere.store.reads == 1


async def test_erased_means_erased(here: Process, room: Room) -> None:
    await here.say("a secret")
    await here.say("another secret")

    await here.erase()

    assert room.keys == []
    assert await here.say("three") == []
    assert await here.say("four") == ["three"]


async def test_a_redis_that_went_back_to_before_an_erasure_is_not_believed(here: Process, room: Room) -> None:
    for text in ("a secret", "another secret", "a third"):
        await here.say(text)
    (key,) = room.keys
    snapshot = room.client.dump(key)

    await here.erase()
    room.client.restore(key, 0, snapshot)

    await here.say("four")
    assert await here.say("five") == ["four"]
    assert "secret" not in room.everything


async def test_an_erasure_is_not_undone_by_a_read_from_before_it(here: Process, elsewhere: Process, room: Room) -> None:
    await here.say("a secret")
    place = await here.record.claim(await here.record.join())
    before_it_returns(here, elsewhere.erase)

    await here.recall(place)
    await here.end(place, "another secret")

    assert room.keys == []
    assert await elsewhere.say("three") == []
    assert "secret" not in room.everything


async def test_jobs_that_waited_through_an_erasure_are_not_remembered(here: Process, room: Room) -> None:
    await here.say("one")
    running, _ = await here.begin()
    waiting = await here.record.join()
    await here.erase()
    await here.end(running, "a secret")
    waited, remembered = await here.take(waiting)
    assert remembered == []
    await here.end(waited, "another secret")

    assert await here.say("four") == []
    assert await here.say("five") == ["four"]
    assert "secret" not in room.everything


async def test_an_erasure_that_does_not_reach_redis_says_so_and_may_be_repeated(
    here: Process, stores: Stores, room: Room
) -> None:
    await here.say("a secret")
    await here.say("two")
    async with cut_off(stores) as lonely:
        with pytest.raises(EraseUnfinished, match="send this again"):
            await lonely.erase()
    assert (await here.store.show(TENANT, "s")).entries == []
    assert "secret" in room.everything

    await here.erase()

    assert room.keys == []


async def test_what_the_retention_erased_is_not_kept_in_redis(stores: Stores, link: Link, room: Room) -> None:
    process = Process(stores.database, link, ttl=30 * DAY, retention=DAY)
    await process.say("a secret")
    await process.say("another secret")
    assert room.seconds_left <= DAY
    process.now += (DAY + 60) * 1000

    assert await process.say("three") == []
    assert room.entries == 1
    assert "secret" not in room.everything


async def test_two_databases_on_one_redis_do_not_mix(here: Process, link: Link, tmp_path: Path, room: Room) -> None:
    other_stores = await SqliteDatabase(tmp_path / "other.db").open(FakeClock())
    other = Process(other_stores.database, link)
    for n in range(1, 4):
        await here.say(f"mine {n}")
        await other.say(f"yours {n}")

    assert await other.say("yours 4") == ["yours 1", "yours 2", "yours 3"]
    assert len(room.keys) == 2
    assert not any(b"yours" in key or b"tenant" in key for key in room.keys)
    await other_stores.close()


async def test_while_redis_is_away_windows_come_from_the_database(stores: Stores) -> None:
    async with cut_off(stores) as lonely:
        remembered = [await lonely.say(f"m{n}") for n in range(1, 4)]

    assert remembered == [[], ["m1"], ["m1", "m2"]]
