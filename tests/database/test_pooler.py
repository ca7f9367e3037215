"""PgBouncer in transaction mode: a session's state is lost between two transactions, or shared with other clients."""

import asyncio
from collections.abc import Iterator

import asyncpg
import pytest

from answerback.database.postgres.connections import behind_a_pooler, connected
from answerback.kernel.errors import StorageUnavailable
from answerback.testing.backends import BackendUnavailable
from answerback.testing.backends.pgbouncer import POOL_SIZE, PgBouncer
from answerback.testing.clock import FakeClock
from builders import REPORT, accept, claim_deliveries, claim_jobs, finish
from databases import PostgresDatabase
from servers import missing


@pytest.fixture(scope="module")
def pooler(postgres_server: str) -> Iterator[PgBouncer]:
    try:
        server = PgBouncer.in_front_of(postgres_server)
    except BackendUnavailable as error:
        missing(error)
    with server:
        yield server


@pytest.fixture
def database(pooler: PgBouncer, postgres_url: str) -> PostgresDatabase:
    """Empty, without its schema."""
    return PostgresDatabase(pooler.through(postgres_url))


async def test_processes_on_a_fresh_database_serve_groups_through_it(
    database: PostgresDatabase, clock: FakeClock
) -> None:
    processes = await asyncio.gather(*(database.open(clock) for _ in range(POOL_SIZE)))
    try:
        jobs = await asyncio.gather(*(accept(processes[n % POOL_SIZE], session=f"s{n % 40}") for n in range(400)))
        delivered: list[str] = []
        while len(delivered) < len(jobs):
            claims = await asyncio.gather(*(claim_jobs(stores) for stores in processes))
            await asyncio.gather(
                *(finish(stores, claim) for stores, found in zip(processes, claims, strict=True) for claim in found)
            )
            owed = await asyncio.gather(*(claim_deliveries(stores) for stores in processes))
            sent = [(stores, claim) for stores, found in zip(processes, owed, strict=True) for claim in found]
            assert all(await asyncio.gather(*(stores.deliveries.delivered(claim, REPORT) for stores, claim in sent)))
            delivered += [claim.job_id for _, claim in sent]
    finally:
        for stores in processes:
            await stores.close()

    assert sorted(delivered) == sorted(job.job_id for job in jobs)


async def test_a_pooler_is_distinguished_from_the_server_itself(database: PostgresDatabase, postgres_url: str) -> None:
    async with connected(database.url) as through, connected(postgres_url) as direct:
        assert await behind_a_pooler(through)
        assert not await behind_a_pooler(direct)


async def test_no_setting_of_the_service_stays_with_a_session(database: PostgresDatabase, clock: FakeClock) -> None:
    stores = await database.open(clock)
    try:
        await asyncio.gather(*(accept(stores, session=f"s{n}") for n in range(20)))
    finally:
        await stores.close()

    connection = await asyncpg.connect(database.url, statement_cache_size=0)
    try:
        for name, value in (("enable_seqscan", "on"), ("statement_timeout", "0"), ("jit", "on")):
            assert await connection.fetchval(f"SHOW {name}") == value
        assert await connection.fetchval("SELECT count(*) FROM pg_prepared_statements WHERE name != ''") == 0
    finally:
        await connection.close()


async def test_a_pooler_that_is_gone_and_back_serves_again(
    pooler: PgBouncer, database: PostgresDatabase, clock: FakeClock
) -> None:
    stores = await database.open(clock)
    try:
        await accept(stores)
        pooler.kill()
        with pytest.raises(StorageUnavailable):
            await accept(stores)
        pooler.restart()
        assert (await accept(stores)).position == 2
    finally:
        await stores.close()
