"""A database that is away for longer than a lease takes nothing from who worked all along."""

import asyncio
from collections.abc import Iterator

import asyncpg
import pytest
from world import Client, logged, settings

from answerback.testing import replies
from answerback.testing.backends import PostgresServer
from answerback.testing.llm import FakeLLM
from answerback.testing.receiver import Receiver
from answerback.testing.service import Service
from servers import private

OUTAGES = 3
"""As many losses would poison a job."""
AWAY_SECONDS = 2.5
"""How long the database is away; a lease, of one second, is long over by then."""


@pytest.fixture
def mortal() -> Iterator[PostgresServer]:
    with private(PostgresServer) as server:
        yield server


async def an_outage(service: Service) -> None:
    """Returns when the database, which was killed, has been away for long enough."""
    clock = asyncio.get_running_loop().time
    over_at = clock() + AWAY_SECONDS
    resumed = len(logged(service, "heartbeat_resumed"))
    await service.until_logged("heartbeat_missed", resumed + 1)
    # A lease runs out by the time of another process, which sets no event.
    await asyncio.sleep(over_at - clock())


async def state_of_the_job(server: PostgresServer) -> tuple[object, ...]:
    connection = await asyncpg.connect(server.url)
    try:
        return tuple(await connection.fetchrow("SELECT state, attempt, lease_epoch, lease_losses FROM jobs"))
    finally:
        await connection.close()


async def test_a_call_outlasts_outages_that_are_longer_than_its_lease(
    llm: FakeLLM, receiver: Receiver, mortal: PostgresServer
) -> None:
    release = asyncio.Event()
    llm.on("hello", replies.hang(release, replies.say("worth waiting for")))
    service = Service(settings(llm, database_url=mortal.url))
    async with service, Client(service, receiver) as client:
        await client.accepted("hello")
        await llm.wait_for_calls(1)
        for _ in range(OUTAGES):
            mortal.kill()
            await an_outage(service)
            await asyncio.to_thread(mortal.restart)
            await eventually_extended(mortal)
        assert await state_of_the_job(mortal) == ("running", 1, 1, 0)

        release.set()

        (callback,) = await receiver.wait_for(1)
        assert callback.json["response"] == "worth waiting for"
        assert await state_of_the_job(mortal) == ("completed", 1, 1, 0)
        assert llm.total == 1


async def eventually_extended(server: PostgresServer) -> None:
    """Returns when nobody could take the job away any more."""
    query = "SELECT lease_expires_at > extract(epoch FROM clock_timestamp()) * 1000 FROM jobs"
    connection = await asyncpg.connect(server.url)
    try:
        async with asyncio.timeout(20):
            while not await connection.fetchval(query):
                pass
    finally:
        await connection.close()


async def test_a_paid_answer_that_waited_for_the_database_longer_than_its_lease_is_kept(
    llm: FakeLLM, receiver: Receiver, mortal: PostgresServer
) -> None:
    release = asyncio.Event()
    llm.on("hello", replies.hang(release, replies.say("paid for")))
    service = Service(settings(llm, database_url=mortal.url))
    async with service, Client(service, receiver) as client:
        await client.accepted("hello")
        await llm.wait_for_calls(1)
        mortal.kill()
        release.set()
        await an_outage(service)

        await asyncio.to_thread(mortal.restart)

        (callback,) = await receiver.wait_for(1)
        assert callback.json["response"] == "paid for"
        assert await state_of_the_job(mortal) == ("completed", 1, 1, 0)
        assert llm.total == 1
