"""SQLite's scheduling clock: no step of the wall clock moves it, and no boot sets it back."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from answerback.database.operation import Database, Operation, Transaction
from answerback.database.probe import probe
from answerback.database.sqlite import open_database
from answerback.kernel import clock as clocks
from answerback.kernel.clock import SystemClock
from answerback.testing.clock import FakeClock
from builders import DAY, LEASE, accept, claim_jobs
from databases import SqliteDatabase

HOUR = 3600.0
NOW = FakeClock().now()

Open = Callable[[FakeClock], Awaitable[Database]]


@pytest.fixture
async def process(path: Path) -> AsyncIterator[Open]:
    """Opens the database as another process does."""
    async with AsyncExitStack() as opened:

        async def open_one(clock: FakeClock) -> Database:
            database = await open_database(path, clock)
            opened.push_async_callback(database.close)
            return database

        yield open_one


def times(tx: Transaction) -> Operation[tuple[int, int]]:
    yield from ()
    return tx.now, tx.wall


async def now(database: Database) -> int:
    return (await database.read.run(times))[0]


@pytest.mark.parametrize("step", [DAY, -DAY])
async def test_a_step_of_the_wall_clock_moves_the_shown_time_only(process: Open, step: float) -> None:
    clock = FakeClock()
    database = await process(clock)

    clock.step(step)
    clock.advance(1)

    for side in (database.write, database.read):
        assert await side.run(times) == (NOW + 1000, NOW + 1000 + round(step * 1000))


@pytest.mark.parametrize("step", [DAY, -DAY])
async def test_rows_that_wait_are_due_when_they_were_to_be_however_the_wall_clock_steps(
    path: Path, step: float
) -> None:
    clock = FakeClock()
    stores = await SqliteDatabase(path).open(clock)
    await accept(stores)
    await claim_jobs(stores)
    clock.step(step)

    clock.advance(LEASE - 1)
    assert (await stores.jobs.recover()).total() == 0
    clock.advance(1)
    assert (await stores.jobs.recover()).total() == 1

    await stores.close()


async def test_a_process_that_starts_after_the_wall_clock_was_set_agrees_with_the_others(process: Open) -> None:
    clock, later = FakeClock(boot_id="one"), FakeClock(boot_id="one")
    database = await process(clock)
    for each in (clock, later):
        each.advance(60)
    later.step(-DAY)

    another = await process(later)

    assert await now(another) == await now(database) == NOW + 60_000


async def test_processes_that_open_a_fresh_database_together_agree(process: Open) -> None:
    first, second = FakeClock(boot_id="one"), FakeClock(boot_id="one")
    second.step(HOUR)

    databases = [await process(first), await process(second)]

    assert await now(databases[0]) == await now(databases[1])


async def test_a_boot_with_a_wall_clock_in_the_past_goes_on_from_the_latest_commit(process: Open) -> None:
    clock = FakeClock()
    database = await process(clock)
    for _ in range(5):
        clock.advance(0.7)
        await database.write.run(probe)
    await database.close()

    rebooted = await process(FakeClock(now=NOW - round(DAY * 1000)))

    assert clock.now() <= await now(rebooted) <= clock.now() + 1000


async def test_a_machine_that_returned_to_a_snapshot_goes_on_from_the_latest_commit(process: Open) -> None:
    clock = FakeClock(boot_id="one")
    database = await process(clock)
    clock.advance(DAY)
    await database.write.run(probe)
    await database.close()

    returned = await process(FakeClock(boot_id="one"))

    assert DAY * 1000 <= await now(returned) - NOW <= DAY * 1000 + 1000


async def test_a_boot_with_a_wall_clock_ahead_takes_its_time(process: Open) -> None:
    await (await process(FakeClock())).close()

    rebooted = await process(FakeClock(now=NOW + round(DAY * 1000)))

    assert await now(rebooted) == NOW + DAY * 1000


async def test_the_latest_time_is_stored_by_commits_that_write_and_once_a_second(process: Open, path: Path) -> None:
    clock = FakeClock()
    database, stored = await process(clock), SqliteDatabase(path)

    async def latest_after(begin: Callable[[Transaction], Operation[object]]) -> int:
        await database.write.run(begin)
        ((seen_at,),) = await stored.rows("SELECT seen_at FROM clock")
        return int(seen_at) - NOW

    clock.advance(1)
    assert await latest_after(times) == 0
    assert await latest_after(probe) == 2000
    clock.advance(1)
    assert await latest_after(probe) == 2000
    clock.advance(0.001)
    assert await latest_after(probe) == 3001


async def test_what_was_rolled_back_reserves_no_time(process: Open, path: Path) -> None:
    clock = FakeClock()
    database = await process(clock)
    clock.advance(1)

    def breaks(tx: Transaction) -> Operation[None]:
        yield from probe(tx)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await database.write.run(breaks)

    assert await SqliteDatabase(path).rows("SELECT seen_at FROM clock") == [(NOW,)]


class TestSystemClock:
    def test_all_instances_agree_on_the_boot(self) -> None:
        assert SystemClock().boot_id == SystemClock().boot_id
        assert SystemClock().since_boot() <= SystemClock().since_boot()

    def test_without_named_boots_time_goes_on_from_the_wall_clock(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(clocks, "BOOT_ID", Path("/nowhere/boot_id"))
        clock = SystemClock()
        before, since_boot = clock.now(), clock.since_boot()
        monkeypatch.setattr(clocks.time, "time_ns", lambda: 0)

        assert clock.boot_id == "unnamed"
        assert before - 1 <= since_boot <= clock.since_boot() < since_boot + round(DAY * 1000)
