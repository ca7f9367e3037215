"""What a claim costs does not depend on how much waits: SQLite's instructions and PostgreSQL's rows are counted, since
times depend on what else the machine does."""

from collections.abc import Generator

import pytest
from sqlalchemy import column, text

from answerback.database.operation import Operation, Query, Rows, Statement, Transaction
from answerback.database.sqlite_driver import Driver
from answerback.database.tables import jobs
from answerback.jobs import claim as claiming
from answerback.jobs.kind import Queue
from answerback.kernel.shares import Shares
from answerback.testing.clock import FakeClock
from builders import LEASE, accept, raw, roomy
from databases import Database, PostgresDatabase, SqliteDatabase
from stores import Stores

FEW, MANY = 1_000, 100_000
TENANTS = 50
LIMIT = 10
ROWS_READ = Statement(
    text("SELECT sum(seq_tup_read + coalesce(idx_tup_fetch, 0))::bigint AS read FROM pg_stat_xact_user_tables").columns(
        column("read")
    )
)


async def add_jobs(database: Database, state: str, numbers: range) -> None:
    """Copies of the job there is, each the next tenant's."""
    first, last = numbers[0], numbers[-1]
    source = (
        f"WITH RECURSIVE n(n) AS (SELECT {first} UNION ALL SELECT n + 1 FROM n WHERE n < {last}) SELECT n FROM n"
        if isinstance(database, SqliteDatabase)
        else f"SELECT generate_series({first}, {last}) AS n"
    )
    copied = {each.name: f"jobs.{each.name}" for each in jobs.c}
    copied |= {"id": "'msg_copy_' || n", "tenant_id": f"'tenant-' || n % {TENANTS}", "state": f"'{state}'", "rank": "n"}
    await database.execute(
        f"""INSERT INTO jobs ({", ".join(copied)}) SELECT {", ".join(copied.values())}
            FROM jobs, ({source}) AS numbers WHERE jobs.id NOT LIKE 'msg_copy_%'"""
    )


def claim(tx: Transaction, stores: Stores, shares: Shares) -> Operation[object]:
    return claiming.claim(tx, stores.kinds, Queue.INTERACTIVE, "worker", LIMIT, LEASE, (), shares.copy(), None)


async def cost(database: Database, stores: Stores, clock: FakeClock, shares: Shares) -> int:
    if isinstance(database, SqliteDatabase):
        return instructions(database, stores, clock, shares)

    def counted(tx: Transaction) -> Generator[Query, Rows, int]:
        (before,) = yield ROWS_READ()
        yield from claim(tx, stores, shares)
        (after,) = yield ROWS_READ()
        return int(after.read - before.read)

    return await stores.database.write.run(counted)


def instructions(database: SqliteDatabase, stores: Stores, clock: FakeClock, shares: Shares) -> int:
    """Of a claim that is undone."""
    count = 0

    def step() -> int:
        nonlocal count
        count += 1
        return 0

    with raw(database.path) as connection:
        connection.execute("BEGIN IMMEDIATE")
        connection.set_progress_handler(step, 1)
        Driver().run(connection, claim(Transaction(clock.now(), clock.now()), stores, shares))
        connection.set_progress_handler(None, 1)
        connection.execute("ROLLBACK")
    return count


def at_their_share() -> Shares:
    """Places of which the first tenant holds so many that claims must pass it."""
    shares = Shares(20, 4.0)
    shares.take("tenant-1", 15)
    return shares


@pytest.mark.parametrize(
    ("state", "shares"),
    [("queued", roomy()), ("queued", at_their_share()), ("scheduled", roomy())],
    ids=["queued", "past a tenant at its share", "due again"],
)
async def test_a_claim_costs_as_much_whatever_waits(
    stores: Stores, database: Database, clock: FakeClock, state: str, shares: Shares
) -> None:
    await accept(stores, session=None)
    await add_jobs(database, state, range(FEW))
    beside_few = await cost(database, stores, clock, shares)
    await add_jobs(database, state, range(FEW, MANY))
    if isinstance(database, PostgresDatabase):
        # With the statistics of an emptier hour.
        await database.execute("UPDATE pg_class SET reltuples = 1, relpages = 4000 WHERE relname ~ '^jobs'")

    beside_many = await cost(database, stores, clock, shares)

    assert 0 < beside_many <= 1.2 * beside_few
