"""A PostgreSQL that is killed, silent, full or read-only refuses cleanly, keeps what it has, and is used again."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from functools import partial
from typing import Any

import asyncpg
import pytest

from answerback.database.operation import Operation, Transaction
from answerback.database.postgres import connections, open_database, runner
from answerback.database.probe import LOOK, probe
from answerback.jobs.kind import JobState
from answerback.jobs.model import JobFilter
from answerback.kernel.errors import StorageUnavailable
from answerback.kernel.instruments import Instruments
from answerback.testing.backends import PostgresServer
from answerback.testing.clock import FakeClock
from builders import TENANT, Journal, accept, state_of
from databases import PostgresDatabase
from eventually import eventually
from link import Link
from servers import private
from stores import Stores

pytestmark = pytest.mark.starts_processes


@pytest.fixture
async def stores(postgres: PostgresDatabase) -> AsyncIterator[Stores]:
    opened = await postgres.open(None)
    yield opened
    await opened.close()


@pytest.fixture
async def link(postgres: PostgresDatabase) -> AsyncIterator[Link]:
    async with Link(postgres.url) as link:
        yield link


@pytest.fixture
async def linked(link: Link) -> AsyncIterator[Stores]:
    """Stores that reach their database by way of the link."""
    opened = await PostgresDatabase(link.url).open(None)
    yield opened
    await opened.close()


@pytest.fixture(scope="module")
def mortal() -> Iterator[PostgresServer]:
    with private(PostgresServer) as server:
        yield server


async def test_a_server_that_was_killed_is_used_again_and_has_everything(mortal: PostgresServer) -> None:
    stores = await PostgresDatabase(mortal.url).open(None)
    try:
        jobs = [(await accept(stores)).job_id for _ in range(3)]
        for _ in range(3):
            mortal.kill()
            with pytest.raises(StorageUnavailable):
                await accept(stores)
            with pytest.raises(StorageUnavailable):
                await stores.database.write.run(probe)
            mortal.restart()
            jobs.append((await accept(stores)).job_id)
            await stores.database.write.run(probe)

        assert [job.job.id for job in reversed((await stores.jobs.list(JobFilter(TENANT), None, 10)).records)] == jobs
    finally:
        await stores.close()


async def test_a_server_that_is_killed_among_many_commits_loses_nothing_it_confirmed(mortal: PostgresServer) -> None:
    stores = await PostgresDatabase(mortal.url).open(None)
    try:
        many = [asyncio.create_task(accept(stores, session=None)) for _ in range(2_000)]
        await asyncio.wait(many, return_when=asyncio.FIRST_COMPLETED)
        await asyncio.to_thread(mortal.kill)
        results = await asyncio.gather(*many, return_exceptions=True)
        await asyncio.to_thread(mortal.restart)

        confirmed = [each.job_id for each in results if not isinstance(each, BaseException)]
        assert confirmed
        assert all(isinstance(each, StorageUnavailable) for each in results if isinstance(each, BaseException))
        for job_id in confirmed:
            assert await state_of(stores, job_id) == JobState.QUEUED
    finally:
        await stores.close()


async def test_a_server_that_is_not_there_is_named(mortal: PostgresServer) -> None:
    mortal.kill()
    url = mortal.url.replace("postgres@", "postgres:open-sesame@")
    with pytest.raises(StorageUnavailable) as refused:
        await open_database(url, Instruments(Journal()))
    mortal.restart()

    assert str(refused.value) == f"PostgreSQL at 127.0.0.1:{mortal.port}: Connection refused"


@pytest.mark.parametrize(
    ("url", "place"),
    [
        ("postgresql://me:open-sesame@nobody.invalid/name", "nobody.invalid:5432"),
        ("postgresql:///name?host=/nowhere&password=open-sesame", "/nowhere"),
        ("postgresql://me:open%40sesame@[::1]:1/name", "[::1]:1"),
    ],
)
async def test_a_server_that_cannot_be_reached_is_named_without_its_password(url: str, place: str) -> None:
    with pytest.raises(StorageUnavailable) as unreached:
        await open_database(url, Instruments(Journal()))

    message = str(unreached.value)
    assert message.startswith(f"PostgreSQL at {place}: ")
    assert "sesame" not in message


async def test_a_database_that_does_not_exist_is_named(postgres_server: str) -> None:
    with pytest.raises(StorageUnavailable, match='database "missing" does not exist'):
        await open_database(postgres_server.rpartition("/")[0] + "/missing", Instruments(Journal()))


async def test_connections_that_an_operator_ends_are_replaced(stores: Stores, postgres: PostgresDatabase) -> None:
    await asyncio.gather(accept(stores), stores.jobs.count_open(), stores.jobs.depth())

    await postgres.execute(
        "SELECT pg_terminate_backend(pid, 20000) FROM pg_stat_activity "
        "WHERE datname = current_database() AND pid != pg_backend_pid()"
    )

    # A connection that has not heard of it yet may fail one time.
    await asyncio.gather(stores.database.write.run(probe), return_exceptions=True)
    assert (await accept(stores)).position == 2


async def test_a_silent_server_is_given_up_with_its_connections(
    monkeypatch: pytest.MonkeyPatch, link: Link, linked: Stores
) -> None:
    await asyncio.gather(accept(linked), linked.jobs.depth(), linked.jobs.count_open())
    link.freeze()

    with monkeypatch.context() as impatient:
        impatient.setattr(connections, "TRANSACTION_SECONDS", 0.2)
        with pytest.raises(StorageUnavailable):
            await accept(linked)
    link.thaw()
    await eventually_answered(linked)

    # The other connections are as silent, and are not tried first.
    await asyncio.gather(accept(linked), linked.jobs.depth(), linked.jobs.count_open())


async def eventually_answered(stores: Stores) -> None:
    """The server is not asked before the trial that is under way has ended."""

    async def answered() -> bool:
        with contextlib.suppress(StorageUnavailable):
            await stores.jobs.depth()
            return True
        return False

    await eventually(answered, "the server answers")


async def test_while_a_server_is_silent_operations_are_refused_at_once(
    monkeypatch: pytest.MonkeyPatch, link: Link, linked: Stores
) -> None:
    monkeypatch.setattr(connections, "ALIVE_SECONDS", 0.1)
    monkeypatch.setattr(connections, "CONNECT_SECONDS", 1.0)
    monkeypatch.setattr(connections, "TRIAL_SECONDS", 0.0)
    await accept(linked)
    link.freeze()
    with pytest.raises(StorageUnavailable, match="did not answer within 1 s"):
        await accept(linked)

    async with asyncio.timeout(1):
        for act in (partial(accept, linked), linked.jobs.depth, partial(linked.database.write.run, probe)) * 10:
            with pytest.raises(StorageUnavailable, match="did not answer within 1 s"):
                await act()

    link.thaw()
    await eventually_answered(linked)
    accepted = await asyncio.gather(accept(linked), *(accept(linked, session=None) for _ in range(20)))
    assert accepted[0].position == 2


async def test_a_transaction_is_given_up_once_its_server_is_known_to_be_silent(
    monkeypatch: pytest.MonkeyPatch, link: Link, linked: Stores
) -> None:
    monkeypatch.setattr(connections, "CONNECT_SECONDS", 0.3)
    frozen = asyncio.Event()

    def caught(_: Transaction) -> Operation[None]:
        yield LOOK()
        link.freeze()
        frozen.set()
        yield LOOK()

    under_way = asyncio.create_task(linked.database.write.run(caught))
    await frozen.wait()
    with pytest.raises(StorageUnavailable, match="did not answer"):
        await accept(linked)

    # Its own time would be 15 s.
    async with asyncio.timeout(5):
        with pytest.raises(StorageUnavailable):
            await under_way


async def test_a_connection_that_cannot_be_made_while_others_are_answered_is_no_silence(
    stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "CONNECT_SECONDS", 0.3)
    asked, begun = asyncio.Event(), asyncio.Event()

    async def lost(*_: Any, **__: Any) -> None:
        asked.set()
        await asyncio.Event().wait()

    async def waits(connection: Any) -> None:
        begun.set()
        await asked.wait()

    pool = stores.database.write.runner._connections
    await stores.jobs.depth()
    monkeypatch.setattr(asyncpg, "connect", lost)
    async with asyncio.TaskGroup() as group:
        group.create_task(pool.transaction("BEGIN", waits))
        await begun.wait()
        with pytest.raises(StorageUnavailable, match=r"did not answer within 0\.3 s"):
            await accept(stores)

    assert pool._silence is None


async def test_closing_does_not_wait_for_a_silent_server(
    monkeypatch: pytest.MonkeyPatch, link: Link, linked: Stores
) -> None:
    monkeypatch.setattr(connections, "CLOSE_SECONDS", 0.1)
    await accept(linked)
    link.freeze()

    await asyncio.wait_for(linked.close(), 20)


async def test_closing_gives_up_what_a_silent_server_does_not_answer(link: Link, linked: Stores) -> None:
    await accept(linked)
    link.freeze()
    many = [asyncio.create_task(accept(linked)) for _ in range(300)]
    alone = [
        asyncio.create_task(act())
        for act in (partial(linked.database.write.run, probe), linked.jobs.depth, linked.jobs.count_open)
        for _ in range(10)
    ]
    await asyncio.wait([*many, *alone], timeout=0)

    async with asyncio.timeout(2 * connections.CLOSE_SECONDS + 1):
        await linked.close()
        results = await asyncio.gather(*many, *alone, return_exceptions=True)

    assert all(isinstance(each, StorageUnavailable) for each in results)


async def test_closing_waits_for_a_server_that_is_slow(
    postgres: PostgresDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    execute = asyncpg.Connection.execute

    async def slow(connection: Any, query: str, *arguments: Any, **options: Any) -> str:
        await asyncio.sleep(0.1 if query == "COMMIT" else 0)
        return str(await execute(connection, query, *arguments, **options))

    stores = await postgres.open(None)
    monkeypatch.setattr(asyncpg.Connection, "execute", slow)
    monkeypatch.setattr(runner, "MAX_GROUP", 1)
    monkeypatch.setattr(runner, "CLOSE_SECONDS", 0.8)
    many = [asyncio.create_task(accept(stores)) for _ in range(15)]
    await asyncio.wait(many, return_when=asyncio.FIRST_COMPLETED)

    await stores.close()

    assert {each.result().created for each in many} == {True}


async def test_a_connection_that_fell_silent_while_idle_refuses_no_operation(
    monkeypatch: pytest.MonkeyPatch, link: Link, linked: Stores
) -> None:
    monkeypatch.setattr(connections, "ALIVE_SECONDS", 0.2)
    await asyncio.gather(accept(linked), linked.jobs.depth(), linked.jobs.count_open())
    link.freeze()
    link.thaw()

    # The connections that exist no longer answer; new ones do.
    accepted = await asyncio.gather(*(accept(linked) for _ in range(3)), accept(linked, session=None))

    assert [each.position for each in accepted] == [2, 3, 4, None]


async def test_a_server_that_was_restarted_refuses_no_operation(mortal: PostgresServer) -> None:
    stores = await PostgresDatabase(mortal.url).open(None)
    await asyncio.gather(accept(stores), stores.jobs.depth(), stores.jobs.count_open())

    await asyncio.to_thread(mortal.kill)
    await asyncio.to_thread(mortal.restart)

    assert (await accept(stores)).created
    await stores.close()


async def test_a_server_that_has_become_a_standby_is_left_for_another(
    stores: Stores, postgres: PostgresDatabase
) -> None:
    await asyncio.gather(accept(stores), stores.jobs.depth(), stores.jobs.count_open())
    # As on a standby: the server that these connections lead to takes no writes any more.
    for connection, _ in stores.database.write.runner._connections._idle:
        await connection.execute("SET default_transaction_read_only = on")

    with pytest.raises(StorageUnavailable, match="read-only"):
        await accept(stores)

    assert (await accept(stores)).position == 2


async def test_a_read_only_database_refuses_writes_and_serves_reads(
    stores: Stores, postgres: PostgresDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id = (await accept(stores)).job_id
    monkeypatch.setattr(stores.database.write.runner, "_begin", "BEGIN READ ONLY")

    for attempt in (accept(stores), stores.database.write.run(probe)):
        with pytest.raises(StorageUnavailable, match="read-only"):
            await attempt
    assert await state_of(stores, job_id) == JobState.QUEUED


async def test_a_closed_store_says_so(postgres: PostgresDatabase, clock: FakeClock) -> None:
    stores = await postgres.open(clock)
    await stores.close()
    await stores.close()

    with pytest.raises(StorageUnavailable, match="closed"):
        await accept(stores)
