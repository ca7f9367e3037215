"""What a claim and a request that is sent again cost does not depend on how much waits or has ended: SQLite's
instructions and PostgreSQL's rows are counted, since times depend on what else the machine does."""

from collections.abc import Generator

import pytest

from answerback.database.operation import Begin, Operation, Query, Rows, Statement, Transaction
from answerback.database.sqlite.driver import Driver
from answerback.jobs import claim as claiming
from answerback.jobs import repeat
from answerback.jobs.kind import Queue
from answerback.jobs.model import Reached, Tried
from answerback.kernel.shares import Shares
from answerback.testing.clock import FakeClock
from builders import LEASE, accept, raw, roomy
from databases import Database, PostgresDatabase, SqliteDatabase, columns_of
from stores import Stores

FEW, MANY = 1_000, 100_000
TENANTS = 50
LIMIT = 10
ROWS_READ = Statement(
    "SELECT sum(seq_tup_read + coalesce(idx_tup_fetch, 0))::bigint AS read FROM pg_stat_xact_user_tables"
)


async def add_jobs(database: Database, state: str, numbers: range, **others: str) -> None:
    """Copies of the job there is, each the next tenant's, with `others` of its columns."""
    first, last = numbers[0], numbers[-1]
    source = (
        f"WITH RECURSIVE n(n) AS (SELECT {first} UNION ALL SELECT n + 1 FROM n WHERE n < {last}) SELECT n FROM n"
        if isinstance(database, SqliteDatabase)
        else f"SELECT generate_series({first}, {last}) AS n"
    )
    copied = {name: f"jobs.{name}" for name in columns_of("jobs")}
    copied |= {"id": "'msg_copy_' || n", "tenant_id": f"'tenant-' || (n % {TENANTS})", "state": f"'{state}'"}
    copied |= {"rank": "n", **others}
    await database.execute(
        f"""INSERT INTO jobs ({", ".join(copied)}) SELECT {", ".join(copied.values())}
            FROM jobs, ({source}) AS numbers WHERE jobs.id NOT LIKE 'msg_copy_%'"""
    )


def claim(tx: Transaction, stores: Stores, shares: Shares) -> Operation[object]:
    return claiming.claim(tx, stores.kinds, Queue.INTERACTIVE, "worker", LIMIT, LEASE, (), shares.copy(), Reached())


async def cost(database: Database, stores: Stores, clock: FakeClock, begin: Begin[object]) -> int:
    if isinstance(database, SqliteDatabase):
        return instructions(database, clock, begin)

    def counted(tx: Transaction) -> Generator[Query, Rows, int]:
        (before,) = yield ROWS_READ()
        yield from begin(tx)
        (after,) = yield ROWS_READ()
        return int(after.read - before.read)

    return await stores.database.write.run(counted)


def instructions(database: SqliteDatabase, clock: FakeClock, begin: Begin[object]) -> int:
    """Of an operation that is undone."""
    count = 0

    def step() -> int:
        nonlocal count
        count += 1
        return 0

    with raw(database.path) as connection:
        connection.execute("BEGIN IMMEDIATE")
        connection.set_progress_handler(step, 1)
        Driver().run(connection, begin(Transaction(clock.now(), clock.now())))
        connection.set_progress_handler(None, 1)
        connection.execute("ROLLBACK")
    return count


def at_their_share() -> Shares:
    """Places of which the first tenant holds so many that claims must pass it."""
    shares = Shares(20, 4.0)
    shares.take("tenant-1", 15)
    return shares


async def forget_statistics(database: Database) -> None:
    """PostgreSQL then has those of an emptier hour."""
    if isinstance(database, PostgresDatabase):
        await database.execute("UPDATE pg_class SET reltuples = 1, relpages = 4000 WHERE relname ~ '^jobs'")


@pytest.mark.parametrize(
    ("state", "shares"),
    [("queued", roomy()), ("queued", at_their_share()), ("scheduled", roomy())],
    ids=["queued", "past a tenant at its share", "due again"],
)
async def test_a_claim_costs_as_much_whatever_waits(
    stores: Stores, database: Database, clock: FakeClock, state: str, shares: Shares
) -> None:
    def one_claim(tx: Transaction) -> Operation[object]:
        return claim(tx, stores, shares)

    await accept(stores, session=None)
    await add_jobs(database, state, range(FEW))
    beside_few = await cost(database, stores, clock, one_claim)
    await add_jobs(database, state, range(FEW, MANY))
    await forget_statistics(database)

    beside_many = await cost(database, stores, clock, one_claim)

    assert 0 < beside_many <= 1.2 * beside_few


async def test_a_request_sent_again_costs_as_much_however_many_equal_ones_have_ended(
    stores: Stores, database: Database, clock: FakeClock
) -> None:
    def sent_again(tx: Transaction) -> Operation[object]:
        return repeat.take_earlier(tx, "tenant-1", Tried("h", 1))

    await accept(stores, session=None, request_hash=repeat.stored_hash(Tried("h", 0)))
    await add_jobs(database, "completed", range(FEW), finished_at="1000 + n")
    beside_few = await cost(database, stores, clock, sent_again)
    await add_jobs(database, "completed", range(FEW, MANY), finished_at="1000 + n")
    await forget_statistics(database)

    assert await cost(database, stores, clock, sent_again) <= 1.2 * beside_few + 10
