"""What a job emits while it runs: in order, from its worker only, none behind its end."""

import asyncio
import json
from typing import Any

from erasing import erase_conversation

from answerback.jobs.emitter import emitting
from answerback.jobs.events import MOST_BYTES, MOST_GROUPS, Emitted, JobEvents
from answerback.jobs.kind import Claimed, JobState
from answerback.kernel.errors import StorageUnavailable
from answerback.testing.clock import FakeClock
from builders import DAY_MS, LEASE, TENANT, accept, claim_job, finish, recover
from databases import Database
from stores import Stores

STRANGER = "tenant-b"


async def running(stores: Stores, session: str | None = None) -> Claimed[Any]:
    await accept(stores, session=session)
    return await claim_job(stores)


async def read(stores: Stores, claim: Claimed[Any], after: int = -1, tenant_id: str = TENANT) -> Emitted | None:
    return await stores.job_events.read(tenant_id, "echo", claim.id, after)


async def data_of(stores: Stores, claim: Claimed[Any], after: int = -1) -> list[bytes]:
    found = await read(stores, claim, after)
    assert found is not None
    return [group.data for group in found.groups]


async def test_groups_are_read_in_their_order_from_behind_any_number(stores: Stores) -> None:
    claim = await running(stores)
    for last, data in ((2, b"a"), (11, b"b"), (100, b"c")):
        assert await stores.job_events.append(claim, last, data)

    assert await data_of(stores, claim) == [b"a", b"b", b"c"]
    assert await data_of(stores, claim, 2) == [b"b", b"c"]
    assert await data_of(stores, claim, 10) == [b"b", b"c"]
    assert await data_of(stores, claim, 100) == []
    assert [group.last for group in await stores.job_events.all(claim.id)] == [2, 11, 100]


async def test_a_group_that_is_stored_again_is_there_once(stores: Stores) -> None:
    claim = await running(stores)

    for _ in range(2):
        assert await stores.job_events.append(claim, 2, b"a")

    assert await data_of(stores, claim) == [b"a"]


async def test_who_lost_the_job_emits_nothing(stores: Stores, clock: FakeClock) -> None:
    lost = await running(stores)
    clock.advance(LEASE + 1)
    await recover(stores)

    assert not await stores.job_events.append(lost, 0, b"late")
    assert await data_of(stores, await claim_job(stores)) == []


async def test_nothing_is_emitted_behind_the_end(stores: Stores) -> None:
    claim = await running(stores)
    await stores.job_events.append(claim, 0, b"a")
    await finish(stores, claim)

    assert not await stores.job_events.append(claim, 1, b"late")

    found = await read(stores, claim)
    assert found is not None
    assert (found.state, found.claimed, found.last) == (JobState.COMPLETED, True, 0)


async def test_an_end_and_an_event_at_once_leave_no_event_behind_the_end(one: Stores, other: Stores) -> None:
    for _ in range(20):
        claim = await running(one)

        held, _ = await asyncio.gather(one.job_events.append(claim, 0, b"a"), other.jobs.cancel(TENANT, claim.id))

        found = await read(other, claim)
        assert found is not None
        assert (found.state, found.last) == (JobState.CANCELLED, 0 if held else None)


async def test_a_job_that_nobody_claimed_says_so(stores: Stores) -> None:
    accepted = await accept(stores, session=None)

    found = await stores.job_events.read(TENANT, "echo", accepted.job_id, -1)

    assert found is not None
    assert (found.state, found.claimed) == (JobState.QUEUED, False)


async def test_another_tenant_and_another_kind_find_nothing(stores: Stores) -> None:
    claim = await running(stores)
    await stores.job_events.append(claim, 0, b"a")

    assert await read(stores, claim, tenant_id=STRANGER) is None
    assert await stores.job_events.read(TENANT, "poem", claim.id, -1) is None


async def test_very_many_groups_are_read_in_several_steps(stores: Stores) -> None:
    claim = await running(stores)
    for last in range(MOST_GROUPS + 1):
        await stores.job_events.append(claim, last, b"a")

    first, second = await read(stores, claim), await read(stores, claim, MOST_GROUPS - 1)

    assert first is not None
    assert second is not None
    assert (len(first.groups), first.more, len(second.groups), second.more) == (MOST_GROUPS, True, 1, False)


async def test_large_groups_are_read_in_several_steps(stores: Stores) -> None:
    claim, half = await running(stores), b"a" * (MOST_BYTES // 2)
    for last, data in enumerate((half, half, b"a", 3 * half, b"a")):
        await stores.job_events.append(claim, last, data)

    read_after = {after: await read(stores, claim, after) for after in (-1, 1, 3)}

    lasts = {after: [group.last for group in found.groups] for after, found in read_after.items() if found is not None}
    assert lasts == {-1: [0, 1], 1: [2, 3], 3: [4]}
    assert [found is not None and found.more for found in read_after.values()] == [True, True, False]


async def test_a_job_that_gets_further_each_time_is_not_what_stops_its_workers(
    stores: Stores, clock: FakeClock
) -> None:
    await accept(stores, session=None)
    for n in range(5):
        claim = await claim_job(stores)
        assert await stores.job_events.append(claim, n, b"a")
        clock.advance(LEASE + 1)
        await recover(stores)

    record = await stores.jobs.get(TENANT, claim.id)
    assert (record.state, record.lease_losses) == (JobState.QUEUED, 1)


async def test_events_go_with_their_job(stores: Stores, database: Database, clock: FakeClock) -> None:
    claim = await running(stores)
    await stores.job_events.append(claim, 0, b"SECRET")
    await finish(stores, claim)
    await database.execute("DELETE FROM deliveries")
    clock.advance(2 * DAY_MS / 1000)

    await stores.jobs.prune(DAY_MS)

    assert await stores.job_events.all(claim.id) == []


async def test_events_go_with_their_conversation(stores: Stores) -> None:
    claim = await running(stores, "s")
    await stores.job_events.append(claim, 0, b"SECRET")
    await finish(stores, claim)

    await erase_conversation(stores)

    assert await stores.job_events.all(claim.id) == []


async def test_all_that_a_run_emits_is_stored_when_it_ends(stores: Stores) -> None:
    claim = await running(stores)

    async with emitting(stores.job_events, claim, 3) as emitter:
        for n in range(100):
            assert emitter.next == n + 3
            emitter.emit(json.dumps(n).encode() + b" ")

    stored = await stores.job_events.all(claim.id)
    assert b"".join(group.data for group in stored).split() == [b"%d" % n for n in range(100)]
    assert stored[-1].last == 102
    assert len(stored) <= 2


async def test_what_came_before_an_error_is_stored(stores: Stores) -> None:
    claim = await running(stores)

    try:
        async with emitting(stores.job_events, claim, 0) as emitter:
            emitter.emit(b"a")
            raise RuntimeError("the upstream broke")
    except RuntimeError:
        pass

    assert await data_of(stores, claim) == [b"a"]


async def test_a_database_that_is_away_loses_no_event(stores: Stores) -> None:
    claim = await running(stores)

    class Away(JobEvents):
        tries = 0

        async def append(self, claim: Claimed[Any], last: int, data: bytes) -> bool:
            self.tries += 1
            if self.tries < 3:
                raise StorageUnavailable("away")
            return await super().append(claim, last, data)

    async with emitting(Away(stores.database), claim, 0) as emitter:
        emitter.emit(b"a")
        emitter.emit(b"b")

    assert b"".join(await data_of(stores, claim)) == b"ab"


async def test_the_last_words_wake_readers_together_with_the_end_of_the_run(stores: Stores) -> None:
    claim = await running(stores)

    with stores.job_events.moves.watching(claim.id) as moved:
        async with emitting(stores.job_events, claim, 0) as emitter:
            emitter.emit(b"a")

        assert await data_of(stores, claim) == [b"a"]
        assert not moved.is_set()


async def test_a_reader_in_the_same_process_is_woken(stores: Stores) -> None:
    claim = await running(stores)

    moves = stores.job_events.moves
    with moves.watching(claim.id) as moved, moves.watching(claim.id) as too:
        async with emitting(stores.job_events, claim, 0) as emitter:
            emitter.emit(b"a")
            async with asyncio.timeout(10):
                await asyncio.gather(moved.wait(), too.wait())
            assert await data_of(stores, claim) == [b"a"]
