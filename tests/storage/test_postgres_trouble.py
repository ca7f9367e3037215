"""A PostgreSQL that is killed, silent, full or read-only refuses cleanly, keeps what it has, and is used again."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any

import asyncpg
import pytest

from answerback.database.postgres import connections, open_postgres, runner
from answerback.jobs.callbacks import render
from answerback.jobs.model import JobState
from answerback.jobs.store import SqlStore
from answerback.kernel.errors import OutcomeUnknown, StorageUnavailable
from answerback.testing.backends import PostgresServer
from answerback.testing.clock import FakeClock
from answerback.webhooks.model import OriginRoom
from builders import LEASE, TENANT, accept, claim_delivery, claim_job, claim_jobs, finish, state_of
from databases import PostgresDatabase
from link import Link
from servers import private


@pytest.fixture
async def store(postgres: PostgresDatabase) -> AsyncIterator[SqlStore]:
    opened = await postgres.open(None)
    yield opened
    await opened.close()


@pytest.fixture(scope="module")
def mortal() -> Iterator[PostgresServer]:
    with private(PostgresServer) as server:
        yield server


class LostCommits:
    """Commits that happen, and whose answer is lost with the connection."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.left = 0
        execute = asyncpg.Connection.execute

        async def lossy(connection: Any, query: str, *arguments: Any, **options: Any) -> str:
            said = await execute(connection, query, *arguments, **options)
            if query == "COMMIT" and self.left:
                self.left -= 1
                connection.terminate()
                raise asyncpg.ConnectionDoesNotExistError("connection was closed in the middle of operation")
            return str(said)

        monkeypatch.setattr(asyncpg.Connection, "execute", lossy)


@pytest.fixture
def lost_commits(monkeypatch: pytest.MonkeyPatch) -> LostCommits:
    return LostCommits(monkeypatch)


async def test_a_server_that_was_killed_is_used_again_and_has_everything(mortal: PostgresServer) -> None:
    store = await open_postgres(mortal.url, render)
    try:
        jobs = [(await accept(store)).job_id for _ in range(3)]
        for _ in range(3):
            mortal.kill()
            with pytest.raises(StorageUnavailable):
                await accept(store)
            with pytest.raises(StorageUnavailable):
                await store.ping()
            mortal.restart()
            jobs.append((await accept(store)).job_id)
            await store.ping()

        assert [job.job.id for job in reversed(await store.list_jobs(TENANT, None, None, None, 10))] == jobs
    finally:
        await store.close()


async def test_a_server_that_is_killed_amid_a_crowd_loses_nothing_it_confirmed(mortal: PostgresServer) -> None:
    store = await open_postgres(mortal.url, render)
    try:
        crowd = [asyncio.create_task(accept(store, session=None)) for _ in range(2_000)]
        await asyncio.wait(crowd, return_when=asyncio.FIRST_COMPLETED)
        await asyncio.to_thread(mortal.kill)
        results = await asyncio.gather(*crowd, return_exceptions=True)
        await asyncio.to_thread(mortal.restart)

        confirmed = [each.job_id for each in results if not isinstance(each, BaseException)]
        assert confirmed
        assert all(isinstance(each, StorageUnavailable) for each in results if isinstance(each, BaseException))
        for job_id in confirmed:
            assert await state_of(store, job_id) == JobState.QUEUED
    finally:
        await store.close()


async def test_a_server_that_is_not_there_is_said_to_be(mortal: PostgresServer) -> None:
    mortal.kill()
    url = mortal.url.replace("postgres@", "postgres:open-sesame@")
    with pytest.raises(StorageUnavailable) as refused:
        await open_postgres(url, render)
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
async def test_a_server_that_is_not_reached_is_named_without_its_password(url: str, place: str) -> None:
    with pytest.raises(StorageUnavailable) as unreached:
        await open_postgres(url, render)

    said = str(unreached.value)
    assert said.startswith(f"PostgreSQL at {place}: ")
    assert "sesame" not in said


async def test_a_database_that_is_not_there_is_said_to_be(postgres_server: str) -> None:
    with pytest.raises(StorageUnavailable, match='database "nobodys" does not exist'):
        await open_postgres(postgres_server.rpartition("/")[0] + "/nobodys", render)


async def test_connections_that_an_operator_ends_are_replaced(store: SqlStore, postgres: PostgresDatabase) -> None:
    await asyncio.gather(accept(store), store.count_open(), store.depth())

    await postgres.execute(
        "SELECT pg_terminate_backend(pid, 20000) FROM pg_stat_activity "
        "WHERE datname = current_database() AND pid != pg_backend_pid()"
    )

    # One that has not heard of it yet may fail once.
    await asyncio.gather(store.ping(), return_exceptions=True)
    assert (await accept(store)).seq == 2


async def test_a_silent_server_is_given_up_and_left_behind(
    postgres: PostgresDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "TRANSACTION_SECONDS", 0.2)
    async with Link(postgres.url) as link:
        store = await open_postgres(link.url, render)
        await asyncio.gather(accept(store), store.depth(), store.count_open())
        link.freeze()

        with pytest.raises(StorageUnavailable):
            await accept(store)
        link.thaw()

        # The other connections are as silent, and nobody tries them first.
        await asyncio.gather(accept(store), store.depth(), store.count_open())
        await store.close()


async def test_closing_does_not_wait_for_a_silent_server(
    postgres: PostgresDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "CLOSE_SECONDS", 0.1)
    async with Link(postgres.url) as link:
        store = await open_postgres(link.url, render)
        await accept(store)
        link.freeze()

        await asyncio.wait_for(store.close(), 20)


async def test_closing_gives_up_what_a_silent_server_does_not_answer(postgres: PostgresDatabase) -> None:
    async with Link(postgres.url) as link:
        store = await open_postgres(link.url, render)
        await accept(store)
        link.freeze()
        crowd = [asyncio.create_task(accept(store)) for _ in range(300)]
        alone = [asyncio.create_task(act()) for act in (store.ping, store.depth, store.count_open) for _ in range(10)]
        await asyncio.wait([*crowd, *alone], timeout=0)

        async with asyncio.timeout(2 * connections.CLOSE_SECONDS + 1):
            await store.close()
            results = await asyncio.gather(*crowd, *alone, return_exceptions=True)

        assert all(isinstance(each, StorageUnavailable) for each in results)


async def test_closing_waits_for_a_server_that_is_slow(
    postgres: PostgresDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    execute = asyncpg.Connection.execute

    async def slow(connection: Any, query: str, *arguments: Any, **options: Any) -> str:
        await asyncio.sleep(0.1 if query == "COMMIT" else 0)
        return str(await execute(connection, query, *arguments, **options))

    store = await postgres.open(None)
    monkeypatch.setattr(asyncpg.Connection, "execute", slow)
    monkeypatch.setattr(runner, "MAX_GROUP", 1)
    monkeypatch.setattr(runner, "CLOSE_SECONDS", 0.8)
    crowd = [asyncio.create_task(accept(store)) for _ in range(15)]
    await asyncio.wait(crowd, return_when=asyncio.FIRST_COMPLETED)

    await store.close()

    assert {each.result().created for each in crowd} == {True}


async def test_a_connection_that_fell_silent_while_idle_costs_nobody_a_refusal(
    postgres: PostgresDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "ALIVE_SECONDS", 0.2)
    async with Link(postgres.url) as link:
        store = await open_postgres(link.url, render)
        await asyncio.gather(accept(store), store.depth(), store.count_open())
        link.freeze()
        link.thaw()

        # What is there no longer answers; new connections do.
        accepted = await asyncio.gather(*(accept(store) for _ in range(3)), accept(store, session=None))

        assert [each.seq for each in accepted] == [2, 3, 4, None]
        await store.close()


async def test_a_server_that_was_restarted_costs_nobody_a_refusal(mortal: PostgresServer) -> None:
    store = await open_postgres(mortal.url, render)
    await asyncio.gather(accept(store), store.depth(), store.count_open())

    await asyncio.to_thread(mortal.kill)
    await asyncio.to_thread(mortal.restart)

    assert (await accept(store)).created
    await store.close()


async def test_a_conversation_that_somebody_holds_does_not_hold_up_the_others(
    store: SqlStore, postgres: PostgresDatabase
) -> None:
    await accept(store, session="stuck")
    somebody = await asyncpg.connect(postgres.url)
    async with somebody.transaction():
        await somebody.execute("SELECT FROM conversations WHERE key = 'stuck' FOR UPDATE")
        stuck = [asyncio.create_task(accept(store, session="stuck")) for _ in range(20)]

        async with asyncio.timeout(4):
            others = await asyncio.gather(*(accept(store, session=f"s{n}") for n in range(100)))

        assert {each.seq for each in others} == {1}
        assert not any(each.done() for each in stuck)
    accepted = await asyncio.gather(*stuck)
    assert sorted(each.seq or 0 for each in accepted) == list(range(2, 22))
    await somebody.close()


async def test_whoever_waits_in_vain_for_a_conversation_is_told(
    store: SqlStore, postgres: PostgresDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner, "PATIENT", runner.HASTY + " ")
    await accept(store, session="stuck")
    somebody = await asyncpg.connect(postgres.url)
    async with somebody.transaction():
        await somebody.execute("SELECT FROM conversations WHERE key = 'stuck' FOR UPDATE")

        with pytest.raises(StorageUnavailable, match="holds a lock"):
            await accept(store, session="stuck")
    await somebody.close()


async def test_while_a_table_is_locked_nobody_waits_for_ever(
    store: SqlStore, postgres: PostgresDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner, "APART_SECONDS", 0.2)
    monkeypatch.setattr(runner, "PATIENT", runner.HASTY + " ")
    somebody = await asyncpg.connect(postgres.url)
    async with somebody.transaction():
        await somebody.execute("LOCK TABLE jobs IN ACCESS EXCLUSIVE MODE")

        async with asyncio.timeout(5):
            results = await asyncio.gather(
                *(accept(store, session=f"s{n}") for n in range(100)), return_exceptions=True
            )
    await somebody.close()

    assert {type(each) for each in results} == {connections.Locked}


async def test_a_server_that_has_become_a_standby_is_left_for_another(
    store: SqlStore, postgres: PostgresDatabase
) -> None:
    await asyncio.gather(accept(store), store.depth(), store.count_open())
    # As on a standby: what these connections lead to takes no writes any more.
    for connection, _ in store._database.write._connections._idle:
        await connection.execute("SET default_transaction_read_only = on")

    with pytest.raises(StorageUnavailable, match="read-only"):
        await accept(store)

    assert (await accept(store)).seq == 2


async def test_a_read_only_database_refuses_writes_and_serves_reads(
    store: SqlStore, postgres: PostgresDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id = (await accept(store)).job_id
    monkeypatch.setattr(store._database.write, "_begin", "BEGIN READ ONLY")

    for attempt in (accept(store), store.ping()):
        with pytest.raises(StorageUnavailable, match="read-only"):
            await attempt
    assert await state_of(store, job_id) == JobState.QUEUED


async def test_jobs_that_a_lost_commit_claimed_are_claimed_again(store: SqlStore, lost_commits: LostCommits) -> None:
    job_id = (await accept(store)).job_id
    lost_commits.left = 1
    with pytest.raises(OutcomeUnknown):
        await store.claim_jobs("worker", 10, LEASE)
    assert await state_of(store, job_id) == JobState.RUNNING

    claim = await claim_job(store)

    assert (claim.id, claim.attempt) == (job_id, 1)
    record = await store.get_job(TENANT, job_id)
    assert (record.lease_losses, [each.status for each in record.attempts]) == (0, ["released", "started"])


async def test_callbacks_that_a_lost_commit_claimed_are_claimed_again(
    store: SqlStore, lost_commits: LostCommits
) -> None:
    await accept(store)
    await finish(store, await claim_job(store))
    lost_commits.left = 1
    with pytest.raises(OutcomeUnknown):
        await store.claim_deliveries("worker", 10, LEASE, lambda *_: OriginRoom(10))

    assert (await claim_delivery(store)).attempt == 1


async def test_an_ending_that_a_lost_commit_stored_is_not_stored_twice(
    store: SqlStore, lost_commits: LostCommits, postgres: PostgresDatabase
) -> None:
    await accept(store)
    claim = await claim_job(store)
    lost_commits.left = 1
    with pytest.raises(OutcomeUnknown):
        await finish(store, claim)
    before = await postgres.dump()

    assert not await finish(store, claim)
    assert await postgres.dump() == before


async def test_a_crowd_whose_commit_was_lost_hears_so(store: SqlStore, lost_commits: LostCommits) -> None:
    lost_commits.left = 1

    results = await asyncio.gather(*(accept(store, session=None) for _ in range(20)), return_exceptions=True)

    assert {type(each) for each in results} == {OutcomeUnknown}
    assert len(await claim_jobs(store)) == 20


async def test_time_is_the_servers(store: SqlStore, postgres: PostgresDatabase) -> None:
    """Whatever this machine's clock says."""
    before = await now(postgres)
    await accept(store)
    claim = await claim_job(store)
    after = await now(postgres)

    assert before <= claim.job.created_at <= claim.claimed_at <= after


async def now(postgres: PostgresDatabase) -> int:
    (row,) = await postgres.rows("SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint")
    return int(row[0])


async def test_a_statement_that_hangs_gives_up_by_itself(store: SqlStore, postgres: PostgresDatabase) -> None:
    """Also when its client is gone and nobody could tell the server."""
    async with asyncio.timeout(60):
        shown = await store._database.write.run(lambda _: settings())

    assert shown == ["10s", "20s", "on", "10", "5", "20000"]


def settings() -> Any:
    from sqlalchemy import text

    from answerback.database.operation import Statement

    found = []
    asked = ["statement_timeout", "idle_in_transaction_session_timeout", "synchronous_commit"]
    # Of these the server tells what its socket has.
    asked += ["tcp_keepalives_idle", "tcp_keepalives_interval", "tcp_user_timeout"]
    for name in asked:
        found.append((yield Statement(text(f"SHOW {name}"))())[0][0])
    return found


async def test_a_closed_store_says_so(postgres: PostgresDatabase, clock: FakeClock) -> None:
    store = await postgres.open(clock)
    await store.close()
    await store.close()

    with pytest.raises(StorageUnavailable, match="closed"):
        await accept(store)
