"""The windows that Redis serves: they prove themselves, and whatever they cannot prove comes from the database."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import redis
from answerback.conversations.memory import Conversations, DatabaseWindows
from answerback.jobs.callbacks import render

from answerback.bootstrap.database import open_sqlite
from answerback.conversations.model import Recalled
from answerback.conversations.shared_windows import SharedWindows
from answerback.jobs.model import ClaimedJob, Ending
from answerback.jobs.store import SqlStore
from answerback.kernel.errors import EraseUnfinished, StorageUnavailable
from answerback.kernel.telemetry import UNMEASURED
from answerback.llm.model import Memory, Turn
from answerback.redis.link import Link
from answerback.redis.names import Names
from answerback.testing.clock import FakeClock
from builders import MEMORY, TENANT, Journal, accept, claim_job, completed, failed, finish

DAY = 86_400
PORT_OF_NOBODY = "redis://127.0.0.1:1/0"


class Counting:
    """A store that counts how often windows are read from it."""

    def __init__(self, store: SqlStore) -> None:
        self.reads = 0
        self._store = store

    def __getattr__(self, name: str) -> object:
        return getattr(self._store, name)

    async def recall(self, conversation_id: int, limit: int) -> Recalled:
        self.reads += 1
        return await self._store.recall(conversation_id, limit)

    async def recent_turns(self, conversation_id: int, limit: int) -> Sequence[Turn]:
        self.reads += 1
        return await self._store.recent_turns(conversation_id, limit)


class Process:
    """One process of a deployment: it answers what it is told to, as an executor does."""

    def __init__(self, store: SqlStore, link: Link, memory: Memory = MEMORY, retention: float = 30 * DAY) -> None:
        self.store = Counting(store)
        database = DatabaseWindows(self.store, memory)  # type: ignore[arg-type]
        self.windows = SharedWindows(link, Names(store), self.store, memory, retention, database)  # type: ignore[arg-type]
        self.conversations = Conversations(store, self.windows)

    async def begin(self, text: str, session: str = "s") -> tuple[ClaimedJob, list[str]]:
        """Accepts and claims a message; what it remembers, oldest first."""
        await accept(self.store, text, session)  # type: ignore[arg-type]
        return await self.take()

    async def take(self) -> tuple[ClaimedJob, list[str]]:
        claim = await claim_job(self.store)  # type: ignore[arg-type]
        return claim, [] if claim.job.seq == 1 else await self.recall(claim)

    async def recall(self, claim: ClaimedJob) -> list[str]:
        return [turn.user for turn in reversed(await self.windows.recent(claim))]

    async def end(self, claim: ClaimedJob, ending: Ending | None = None) -> None:
        ending = ending or completed(f"answer to {claim.job.seq}")
        assert await finish(self.store, claim, ending)  # type: ignore[arg-type]
        await self.windows.ended(claim, ending, claim.claimed_at + 10)

    async def say(self, text: str, ending: Ending | None = None, session: str = "s") -> list[str]:
        """A whole message; what it remembered."""
        claim, remembered = await self.begin(text, session)
        await self.end(claim, ending)
        return remembered


@dataclass
class Room:
    """What Redis holds."""

    client: "redis.Redis[bytes]"

    @property
    def keys(self) -> list[bytes]:
        return list(self.client.keys("answerback:window:*"))

    @property
    def turns(self) -> int:
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
def here(store: SqlStore, link: Link) -> Process:
    return Process(store, link)


@pytest.fixture
async def elsewhere(store: SqlStore, redis_url: str, journal: Journal) -> AsyncIterator[Process]:
    link = Link(redis_url, journal, UNMEASURED)
    yield Process(store, link)
    await link.close()


@asynccontextmanager
async def cut_off(store: SqlStore) -> AsyncIterator[Process]:
    """A process that does not reach Redis."""
    link = Link(PORT_OF_NOBODY, Journal(), UNMEASURED)
    yield Process(store, link)
    await link.close()


async def test_after_the_first_rebuild_a_conversation_is_served_from_redis(here: Process, elsewhere: Process) -> None:
    remembered = [await process.say(f"m{n}") for n, process in enumerate([here, elsewhere] * 3, start=1)]

    assert remembered[-1] == ["m1", "m2", "m3", "m4", "m5"]
    # The first has nothing to remember, the second builds the window.
    assert (here.store.reads, elsewhere.store.reads) == (0, 1)


async def test_redis_tells_the_same_as_the_database(here: Process, store: SqlStore) -> None:
    for text in ("one", "zwei, ünïcode 🎈", '"three"\n\\'):
        await here.say(text)
    claim, _ = await here.begin("four")
    assert here.store.reads == 1

    told = await here.windows.recent(claim)

    assert here.store.reads == 1
    recorded = await store.recent_turns(claim.job.conversation_id or 0, 10)
    assert [replace(turn, at=0) for turn in told] == [replace(turn, at=0) for turn in recorded]
    assert all(abs(mine.at - theirs.at) < 1000 for mine, theirs in zip(told, recorded, strict=True))


async def test_the_list_is_capped_and_expires(store: SqlStore, link: Link, room: Room) -> None:
    small = Process(store, link, Memory(max_messages=6, max_tokens=8000, ttl_seconds=600))
    for n in range(1, 9):
        remembered = await small.say(f"m{n}")

    assert remembered == ["m5", "m6", "m7"]
    assert room.turns == 3
    assert 590 < room.seconds_left <= 600.001
    assert small.store.reads == 1


async def test_a_conversation_that_fell_silent_is_gone_from_redis(store: SqlStore, link: Link, room: Room) -> None:
    brief = Process(store, link, Memory(20, 8000, ttl_seconds=0.05))
    await brief.say("one")
    await brief.say("two")

    # Redis's own clock: nothing else tells that the time has come.
    room.client.blpop(["nothing comes here"], timeout=0.1)

    assert room.keys == []


async def test_a_failed_message_leaves_no_turn_and_the_window_stays_good(here: Process) -> None:
    await here.say("one")
    await here.say("two")
    await here.say("failing", failed())

    assert await here.say("four") == ["one", "two"]
    assert here.store.reads == 1


async def test_failures_alone_expire_too(here: Process, room: Room) -> None:
    for text in ("one", "two", "three"):
        await here.say(text, failed())

    assert room.turns == 0
    assert 0 < room.seconds_left <= DAY + 1
    assert await here.say("four") == []
    assert here.store.reads == 1


async def test_a_rebuild_that_broke_off_is_not_gone_on_with(here: Process, store: SqlStore, journal: Journal) -> None:
    class Failing(Counting):
        async def recall(self, conversation_id: int, limit: int) -> Recalled:
            raise StorageUnavailable("for a moment")

    await here.say("one")
    await accept(store, "two", "s")
    claim = await claim_job(store)
    good, here.windows._store = here.windows._store, Failing(store)  # type: ignore[assignment]
    with pytest.raises(StorageUnavailable):
        await here.recall(claim)
    here.windows._store = good
    await here.end(claim)

    assert await here.say("three") == ["one", "two"]
    assert journal.events == []


async def test_a_flush_in_the_middle_costs_a_read(here: Process, room: Room) -> None:
    await here.say("one")
    await here.say("two")
    claim, _ = await here.begin("three")
    room.client.flushdb()
    await here.end(claim)
    assert room.keys == []

    assert await here.say("four") == ["one", "two", "three"]
    assert await here.say("five") == ["one", "two", "three", "four"]
    assert here.store.reads == 2


async def test_an_ending_that_redis_did_not_hear_of_costs_a_read(here: Process, store: SqlStore) -> None:
    await here.say("one")
    await here.say("two")
    async with cut_off(store) as lonely:
        assert await lonely.say("three") == ["one", "two"]

    assert await here.say("four") == ["one", "two", "three"]
    assert here.store.reads == 2


async def test_a_cancelled_message_costs_a_read(here: Process, store: SqlStore) -> None:
    await here.say("one")
    await here.say("two")
    cancelled = await accept(store, "three", "s")
    await store.cancel_job(TENANT, cancelled.job_id)

    assert await here.say("four") == ["one", "two"]
    assert here.store.reads == 2


async def test_two_messages_at_once_are_remembered_in_order(here: Process, elsewhere: Process, store: SqlStore) -> None:
    await here.say("one")
    claim, _ = await here.begin("two")
    await accept(store, "three", "s")
    ending = completed("answer to 2")
    assert await finish(store, claim, ending)

    # The next is taken before Redis hears how this one ended.
    third, remembered = await elsewhere.take()
    await here.windows.ended(claim, ending, claim.claimed_at)
    assert remembered == ["one", "two"]
    await elsewhere.end(third)

    assert await here.say("four") == ["one", "two", "three"]
    assert await here.say("five") == ["one", "two", "three", "four"]


async def test_who_lost_the_lease_writes_nothing(
    here: Process, elsewhere: Process, store: SqlStore, room: Room
) -> None:
    await here.say("one")
    await here.say("two")
    zombie, _ = await here.begin("three")
    await store.release_jobs([(zombie.id, zombie.epoch, 0.0)])
    claim, remembered = await elsewhere.take()
    assert claim.id == zombie.id
    assert remembered == ["one", "two"]

    await here.windows.ended(zombie, completed("a stale answer"), zombie.claimed_at)
    assert "a stale answer" not in room.everything
    await elsewhere.end(claim)

    assert await here.say("four") == ["one", "two", "three"]
    assert here.store.reads + elsewhere.store.reads == 1


async def test_a_window_made_for_a_shorter_memory_is_made_anew(store: SqlStore, link: Link) -> None:
    short = Process(store, link, Memory(4, 8000, DAY))
    for n in range(1, 6):
        await short.say(f"m{n}")
    long = Process(store, link)

    assert await long.say("m6") == ["m1", "m2", "m3", "m4", "m5"]
    assert await short.say("m7") == ["m5", "m6"]
    assert (short.store.reads, long.store.reads) == (1, 1)


async def test_erased_means_erased(here: Process, room: Room) -> None:
    await here.say("a secret")
    await here.say("another secret")

    await here.conversations.erase(TENANT, "s")

    assert room.keys == []
    assert await here.say("three") == []
    assert await here.say("four") == ["three"]


async def test_a_redis_that_went_back_to_before_an_erasure_is_not_believed(here: Process, room: Room) -> None:
    await here.say("a secret")
    await here.say("another secret")
    (key,) = room.keys
    snapshot = room.client.dump(key)

    await here.conversations.erase(TENANT, "s")
    room.client.restore(key, 0, snapshot)

    assert await here.say("three") == []
    assert "secret" not in room.everything


async def test_an_erasure_is_not_undone_by_who_read_before_it(
    here: Process, elsewhere: Process, store: SqlStore, room: Room
) -> None:
    await here.say("a secret")
    claim, _ = await here.begin("two")
    room.client.flushdb()

    class Slow(Counting):
        async def recall(self, conversation_id: int, limit: int) -> Recalled:
            recalled = await super().recall(conversation_id, limit)
            await elsewhere.conversations.erase(TENANT, "s")
            return recalled

    here.windows._store = Slow(store)  # type: ignore[assignment]
    await here.recall(claim)
    await here.end(claim)

    assert room.keys == []
    assert await elsewhere.say("three") == []
    assert "secret" not in room.everything


async def test_messages_that_waited_through_an_erasure_are_not_remembered(
    here: Process, store: SqlStore, room: Room
) -> None:
    await here.say("one")
    running, _ = await here.begin("a secret")
    await accept(store, "another secret", "s")
    await here.conversations.erase(TENANT, "s")
    await here.end(running)
    waited, remembered = await here.take()
    assert remembered == []
    await here.end(waited)

    assert await here.say("four") == []
    assert await here.say("five") == ["four"]
    assert "secret" not in room.everything


async def test_an_erasure_that_does_not_reach_redis_says_so_and_may_be_repeated(
    here: Process, store: SqlStore, room: Room
) -> None:
    await here.say("a secret")
    await here.say("two")
    async with cut_off(store) as lonely:
        with pytest.raises(EraseUnfinished, match="send this again"):
            await lonely.conversations.erase(TENANT, "s")
    assert (await store.get_conversation(TENANT, "s")).turns == ()
    assert "secret" in room.everything

    await here.conversations.erase(TENANT, "s")

    assert room.keys == []


async def test_what_the_retention_erased_is_not_kept_in_redis(
    store: SqlStore, link: Link, room: Room, clock: FakeClock
) -> None:
    process = Process(store, link, Memory(20, 8000, ttl_seconds=30 * DAY), retention=DAY)
    await process.say("a secret")
    await process.say("another secret")
    assert room.seconds_left <= DAY
    clock.advance(DAY + 60)

    assert await process.say("three") == []
    assert room.turns == 1
    assert "secret" not in room.everything


async def test_two_databases_on_one_redis_do_not_mix(
    here: Process, link: Link, store: SqlStore, tmp_path: Path, room: Room
) -> None:
    other_store = await open_sqlite(tmp_path / "other.db", FakeClock(), render)
    other = Process(other_store, link)
    for n in range(1, 4):
        await here.say(f"mine {n}")
        await other.say(f"yours {n}")

    assert await other.say("yours 4") == ["yours 1", "yours 2", "yours 3"]
    assert len(room.keys) == 2
    assert not any(b"yours" in key or b"tenant" in key for key in room.keys)
    await other_store.close()


async def test_while_redis_is_away_windows_come_from_the_database(store: SqlStore) -> None:
    async with cut_off(store) as lonely:
        remembered = [await lonely.say(f"m{n}") for n in range(1, 4)]

    assert remembered == [[], ["m1"], ["m1", "m2"]]
