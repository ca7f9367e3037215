"""What each transaction at PostgreSQL sets for itself, and the time that it takes from the server."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from answerback.database.operation import Operation, Statement
from builders import accept, claim_job
from databases import PostgresDatabase
from stores import Stores


@pytest.fixture
async def stores(postgres: PostgresDatabase) -> AsyncIterator[Stores]:
    opened = await postgres.open(None)
    yield opened
    await opened.close()


async def test_time_is_the_servers(stores: Stores, postgres: PostgresDatabase) -> None:
    before = await now(postgres)
    await accept(stores)
    claim = await claim_job(stores)
    after = await now(postgres)

    assert before <= claim.job.created_at <= claim.claimed_at <= after


async def now(postgres: PostgresDatabase) -> int:
    (row,) = await postgres.rows("SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint")
    return int(row[0])


async def test_a_statement_that_hangs_gives_up_by_itself(stores: Stores) -> None:
    """Also when its client has vanished and can no longer cancel it."""
    async with asyncio.timeout(60):
        shown = await stores.database.write.run(lambda _: settings())

    assert shown == ["10s", "20s", "on", "10", "5", "20000"]


def settings() -> Operation[list[str]]:
    found = []
    names = ["statement_timeout", "idle_in_transaction_session_timeout", "synchronous_commit"]
    # Of these the server reports what its socket has.
    names += ["tcp_keepalives_idle", "tcp_keepalives_interval", "tcp_user_timeout"]
    for name in names:
        (row,) = yield Statement(f"SELECT current_setting('{name}') AS shown")()
        found.append(row.shown)
    return found
