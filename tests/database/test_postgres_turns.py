"""Tenants take turns for PostgreSQL's connections and for places in groups: none's operations wait for another's."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest

from answerback.database.operation import MAX_GROUP, SERVICE, BatchPlan, Database, Operation
from answerback.database.postgres import open_database, runner
from answerback.database.postgres.connections import POOL_SIZE, TENANT_PLACES
from answerback.database.postgres.runner import GROUPS_AT_ONCE
from answerback.database.postgres.session import NO_LOCK_TIMEOUT
from answerback.database.statement import Statement
from answerback.kernel.instruments import Instruments
from builders import Journal
from databases import PostgresDatabase

LOCKED, FREE = 1, 2
WAIT = Statement("SELECT CAST(pg_advisory_xact_lock_shared(:key) AS text) AS got")
PLAN = BatchPlan((WAIT,), "wait")
BLOCKED = """SELECT count(*) FROM pg_locks JOIN pg_database ON pg_database.oid = database
WHERE locktype = 'advisory' AND NOT granted AND datname = current_database()"""


class Reads:
    """Reads that wait while a lock is held, and the tenants of those that ended, in order."""

    def __init__(self, database: Database, holder: Any) -> None:
        self._database = database
        self._holder = holder
        self._tasks: list[asyncio.Task[None]] = []
        self.ended: list[str] = []

    def begin(self, tenant_id: str, key: int = FREE, plan: BatchPlan | None = None) -> asyncio.Task[None]:
        async def read() -> None:
            await self._database.read.run(lambda _: self._operation(key), plan, tenant_id=tenant_id)
            self.ended.append(tenant_id)

        task = asyncio.ensure_future(read())
        self._tasks.append(task)
        return task

    async def until_blocked(self, count: int) -> None:
        """Waits until so many wait for the lock."""
        async with asyncio.timeout(10):
            while await self._holder.fetchval(BLOCKED) < count:
                """The server has no event for this; each question is a round trip."""

    async def release(self) -> None:
        await self._holder.execute("SELECT pg_advisory_unlock_all()")
        await asyncio.gather(*self._tasks)

    def _operation(self, key: int) -> Operation[None]:
        yield WAIT(key=key)


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A group waits for its lock, in place of leaving the wait to its operations."""
    monkeypatch.setattr(runner, "SHORT_LOCK_TIMEOUT", NO_LOCK_TIMEOUT)


@pytest.fixture
async def reads(postgres: PostgresDatabase) -> AsyncIterator[Reads]:
    database = await open_database(postgres.url, Instruments(Journal()))
    holder = await asyncpg.connect(postgres.url)
    await holder.execute(f"SELECT pg_advisory_lock({LOCKED})")
    made = Reads(database, holder)
    yield made
    await made.release()
    await holder.close()
    await database.close()


async def test_one_tenants_slow_reads_delay_neither_another_tenants_nor_the_services_own(reads: Reads) -> None:
    for _ in range(2 * POOL_SIZE):
        reads.begin("many", LOCKED)
    await reads.until_blocked(TENANT_PLACES - 1)

    await asyncio.wait_for(reads.begin("few"), 5)
    await asyncio.wait_for(reads.begin(SERVICE), 5)
    await asyncio.wait_for(reads.begin("few", plan=PLAN), 5)

    assert reads.ended == ["few", SERVICE, "few"]


@pytest.mark.usefixtures("patient")
async def test_while_one_group_waits_for_the_server_another_of_its_plan_runs(reads: Reads) -> None:
    reads.begin("held", LOCKED, PLAN)
    await reads.until_blocked(1)

    await asyncio.wait_for(reads.begin("free", plan=PLAN), 5)

    assert reads.ended == ["free"]


@pytest.mark.usefixtures("patient")
async def test_a_group_takes_from_tenants_in_turn(reads: Reads) -> None:
    for group in range(1, GROUPS_AT_ONCE + 1):
        reads.begin("many", LOCKED, PLAN)
        await reads.until_blocked(group)
    for _ in range(MAX_GROUP + 1):
        reads.begin("many", plan=PLAN)
    reads.begin("few", plan=PLAN)

    await reads.release()

    assert reads.ended.index("few") < MAX_GROUP
    assert len(reads.ended) == MAX_GROUP + GROUPS_AT_ONCE + 2
