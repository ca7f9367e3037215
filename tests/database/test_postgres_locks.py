"""A lock that another transaction holds: the operations that need it wait a while, and no other operation does."""

import asyncio
from collections.abc import AsyncIterator

import asyncpg
import pytest

from answerback.database.postgres import connections, runner
from answerback.database.postgres.session import SHORT_LOCK_TIMEOUT
from answerback.kernel.errors import StorageUnavailable
from builders import accept
from databases import PostgresDatabase
from stores import Stores


@pytest.fixture
async def stores(postgres: PostgresDatabase) -> AsyncIterator[Stores]:
    opened = await postgres.open(None)
    yield opened
    await opened.close()


async def test_a_conversation_that_another_transaction_has_locked_holds_up_no_other(
    stores: Stores, postgres: PostgresDatabase
) -> None:
    await accept(stores, session="stuck")
    other = await asyncpg.connect(postgres.url)
    async with other.transaction():
        await other.execute("SELECT FROM conversations WHERE key = 'stuck' FOR UPDATE")
        stuck = [asyncio.create_task(accept(stores, session="stuck")) for _ in range(20)]

        async with asyncio.timeout(20):
            others = await asyncio.gather(*(accept(stores, session=f"s{n}") for n in range(100)))

        assert {each.position for each in others} == {1}
        assert not any(each.done() for each in stuck)
    accepted = await asyncio.gather(*stuck)
    assert sorted(each.position or 0 for each in accepted) == list(range(2, 22))
    await other.close()


async def test_an_operation_that_waits_in_vain_for_a_conversation_is_refused(
    stores: Stores, postgres: PostgresDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner, "LONG_LOCK_TIMEOUT", SHORT_LOCK_TIMEOUT + " ")
    await accept(stores, session="stuck")
    other = await asyncpg.connect(postgres.url)
    async with other.transaction():
        await other.execute("SELECT FROM conversations WHERE key = 'stuck' FOR UPDATE")

        with pytest.raises(StorageUnavailable, match="holds a lock"):
            await accept(stores, session="stuck")
    await other.close()


async def test_while_a_table_is_locked_no_operation_waits_for_ever(
    stores: Stores, postgres: PostgresDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner, "SEPARATE_SECONDS", 0.2)
    monkeypatch.setattr(runner, "LONG_LOCK_TIMEOUT", SHORT_LOCK_TIMEOUT + " ")
    other = await asyncpg.connect(postgres.url)
    async with other.transaction():
        await other.execute("LOCK TABLE jobs IN ACCESS EXCLUSIVE MODE")

        async with asyncio.timeout(5):
            results = await asyncio.gather(
                *(accept(stores, session=f"s{n}") for n in range(100)), return_exceptions=True
            )
    await other.close()

    assert {type(each) for each in results} == {connections.Locked}
