"""PostgreSQL's scheduling clock: what its server's clock says, less what it was set by."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any

import pytest

from answerback.database.operation import Database, Operation, Transaction
from answerback.database.postgres import open_database
from answerback.database.postgres.clock import ClockStepped, PostgresClock
from answerback.database.postgres.connections import Connections
from answerback.kernel.errors import StorageUnavailable
from answerback.kernel.instruments import Instruments
from answerback.testing.clock import FakeClock
from builders import DAY, Journal
from databases import PostgresDatabase

HOUR = 3600.0
NOW = FakeClock().now()

Open = Callable[..., Awaitable[Database]]


@pytest.fixture
def server() -> FakeClock:
    """The clock of the server."""
    return FakeClock()


@pytest.fixture
async def process(postgres: PostgresDatabase, server: FakeClock, journal: Journal) -> AsyncIterator[Open]:
    """A process, whose machine has this clock; by default one that is never set, and by which time passes alike."""
    async with AsyncExitStack() as opened:

        async def open_one(machine: FakeClock = server) -> Database:
            database = await open_database(postgres.url, Instruments(journal, machine), None, server)
            opened.push_async_callback(database.close)
            await now(database)
            return database

        yield open_one


def times(tx: Transaction) -> Operation[tuple[int, int]]:
    yield from ()
    return tx.now, tx.wall


async def now(database: Database) -> int:
    """Milliseconds since the start of the test, as this process schedules."""
    return (await database.read.run(times))[0] - NOW


async def passing(clock: FakeClock, seconds: int, *processes: Database) -> None:
    """Each process looks at the database once a second."""
    for _ in range(seconds):
        clock.advance(1)
        for each in processes:
            await each.write.run(times)


STEPS = pytest.mark.parametrize("step", [6.0, -6.0, HOUR, -HOUR, DAY, -DAY])


@STEPS
async def test_a_step_moves_the_shown_time_only_in_every_process(
    process: Open, server: FakeClock, journal: Journal, step: float
) -> None:
    database, other = await process(), await process()

    server.step(step)
    server.advance(1)

    for side in (database.write, other.read, other.write, database.read):
        assert await side.run(times) == (NOW + 1000, NOW + 1000 + round(step * 1000))
    assert journal.lines == [("database_clock_stepped", {"seconds": step})]


@pytest.mark.parametrize("step", [4.0, -4.0])
async def test_a_clock_that_is_a_little_off_is_followed(
    process: Open, server: FakeClock, journal: Journal, step: float
) -> None:
    database = await process()

    server.step(step)

    assert await now(database) == step * 1000
    assert journal.lines == []


@STEPS
async def test_a_process_that_starts_later_agrees(process: Open, server: FakeClock, step: float) -> None:
    database = await process()
    server.step(step)
    await passing(server, 10, database)

    assert await now(await process()) == await now(database) == 10_000


@pytest.mark.parametrize("step", [-HOUR, -DAY])
async def test_a_step_back_while_no_process_runs_sets_nothing_back(
    process: Open, server: FakeClock, step: float
) -> None:
    database = await process()
    await passing(server, 10, database)
    await database.close()

    server.step(step)

    assert 8_000 <= await now(await process()) <= 10_000


async def test_time_passes_while_no_process_runs(process: Open, server: FakeClock) -> None:
    database = await process()
    await passing(server, 10, database)
    await database.close()

    server.advance(DAY)

    assert await now(await process()) == DAY * 1000 + 10_000


async def test_a_machine_that_stood_still_alone_catches_up(process: Open, server: FakeClock, journal: Journal) -> None:
    """And sets no other process back."""
    database, stopped = await process(), await process(FakeClock())
    await passing(server, 60, database)

    assert await now(stopped) == await now(database) == 60_000
    assert journal.lines == []


async def test_machines_that_all_stood_still_go_on_where_they_were(process: Open, server: FakeClock) -> None:
    machine = FakeClock()
    database, other = await process(machine), await process(machine)
    server.advance(HOUR)

    assert await now(database) == await now(other) == 0
    server.advance(1)
    machine.advance(1)
    assert await now(other) == 1000


async def test_a_process_that_starts_right_after_a_step_agrees_once_others_have_noticed(
    process: Open, server: FakeClock
) -> None:
    database = await process()
    server.step(HOUR)
    fresh = await process()

    await passing(server, 4, database, fresh)

    assert await now(fresh) == await now(database) == 4_000


async def test_a_process_that_started_right_after_a_step_stores_what_time_it_is_as_any_other(
    process: Open, server: FakeClock
) -> None:
    """Given that it runs alone afterwards, and that the clock is set back once it is gone."""
    database = await process()
    server.step(HOUR)
    fresh = await process()
    await passing(server, 4, database, fresh)
    await database.close()
    await passing(server, 60, fresh)
    await fresh.close()

    server.step(-HOUR)

    assert 62_000 <= await now(await process()) <= 64_000


class Lost(Connections):
    """Connections that break before anything is committed."""

    async def transaction(self, begin: str, work: Callable[[Any], Awaitable[Any]]) -> Any:
        async def lost(connection: Any) -> None:
            await work(connection)
            raise StorageUnavailable("lost")

        await super().transaction(begin, lost)


async def test_an_offset_that_was_not_committed_counts_for_nothing(
    postgres: PostgresDatabase, server: FakeClock, journal: Journal
) -> None:
    connections, lost = Connections(postgres.url, pooled=False), Lost(postgres.url, pooled=False)
    clock = PostgresClock(Instruments(journal, server), server)
    await clock.follow(connections)
    server.step(HOUR)

    with pytest.raises(StorageUnavailable):
        await clock.follow(lost)

    with pytest.raises(ClockStepped):
        clock.transaction(clock.began(), server.now())
    await clock.follow(connections)
    assert clock.transaction(clock.began(), server.now()).now == NOW
    await lost.close()
    await connections.close()


class TwoServers(FakeClock):
    """The clocks of two servers that answer in turn, an hour apart."""

    def now(self) -> int:
        self.step(HOUR if self.answers_first else -HOUR)
        self.answers_first = not self.answers_first
        return super().now()

    answers_first = True


async def test_servers_that_disagree_by_an_hour_are_an_unavailable_database(
    postgres: PostgresDatabase, journal: Journal
) -> None:
    servers = TwoServers()
    database = await open_database(postgres.url, Instruments(journal, servers), None, servers)

    with pytest.raises(StorageUnavailable, match="several servers"):
        await database.read.run(times)

    await database.close()
