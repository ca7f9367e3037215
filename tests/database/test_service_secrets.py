"""Secrets of the service itself, made once by whichever process needs them first."""

from answerback.testing.clock import FakeClock
from databases import Database, PostgresDatabase
from racing import blocked, held


async def test_a_secret_is_made_once_and_kept(database: Database, clock: FakeClock) -> None:
    stores = await database.open(clock)
    code = await stores.service_secrets.code("one", b"message")
    assert await stores.service_secrets.code("one", b"message") == code
    assert await stores.service_secrets.code("one", b"another") != code
    assert await stores.service_secrets.code("two", b"message") != code
    await stores.close()

    again = await database.open(clock)
    try:
        assert await again.service_secrets.code("one", b"message") == code
    finally:
        await again.close()


async def test_processes_that_need_a_secret_at_once_make_one(postgres: PostgresDatabase, clock: FakeClock) -> None:
    stores, other = await postgres.open(clock), await postgres.open(clock)
    try:
        async with held(other, other.service_secrets.code("name", b"")) as making:
            asking = await blocked(postgres, stores.service_secrets.code("name", b""))
            assert await making.commit() == await asking
    finally:
        await stores.close()
        await other.close()
