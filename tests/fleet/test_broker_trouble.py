"""A broker that dies, forgets or falls silent costs latency only, and is found again without a restart."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator

import pytest
from kombu import Connection
from processes import AWAITED, NOTIFIED_SECONDS, Fleet, fleet, settings
from redis import Redis

from answerback.queue.notifier import Topic
from answerback.queue.notifiers.celery_broker import BLOCK_SECONDS, CeleryBroker
from answerback.testing import FakeLLM, Receiver
from answerback.testing.backends import RabbitServer, RedisServer
from answerback.testing.backends.backend import Backend
from link import Link
from servers import private

PROMISED = 60.0
"""Seconds until a silent connection is noticed, or notifications flow again."""
HELD_UP = BLOCK_SECONDS / 2
"""Seconds: a request that waits for a call of a silent broker waits for twice as long."""
LOST = "broker lost"
"""What Celery's consumer says of a connection that it gives up."""


@pytest.fixture(params=[RedisServer, RabbitServer], ids=["redis", "rabbitmq"])
def broker(request: pytest.FixtureRequest) -> Iterator[Backend]:
    """A broker of one's own."""
    kind: type[Backend] = request.param
    with private(kind) as server:
        yield server


@pytest.fixture
async def link(broker_url: str) -> AsyncIterator[Link]:
    async with Link(broker_url) as link:
        yield link


async def test_a_broker_that_was_killed_is_found_again(broker: Backend, llm: FakeLLM, receiver: Receiver) -> None:
    # Given a broker that was killed as soon as it had made the queue
    early = CeleryBroker(broker.url)
    await asyncio.to_thread(early.send, Topic.JOBS, 1)
    await asyncio.to_thread(broker.kill)
    early.close()
    await asyncio.to_thread(broker.restart)
    async with fleet(settings(llm, broker.url), receiver) as shop:
        assert await shop.one_after_the_other(10) < NOTIFIED_SECONDS
        # When it is killed again, under its clients
        await asyncio.to_thread(broker.kill)
        # Then the worker finds jobs by polling
        await shop.one_after_the_other(2)
        # And hears of them at once when the broker is back
        await asyncio.to_thread(broker.restart)
        await shop.worker.until_logged(AWAITED, 2, timeout=PROMISED)
        while "notifier_available" not in shop.service.logs:
            await shop.one_after_the_other(1)
        assert await shop.one_after_the_other(10) < NOTIFIED_SECONDS
        assert llm.total == len(receiver.callbacks)
        assert "Traceback" not in shop.worker.logs


async def test_a_quorum_queue_of_an_older_version_does_not_stop_a_worker(
    rabbitmq_url: str, llm: FakeLLM, receiver: Receiver
) -> None:
    with Connection(rabbitmq_url) as connection:
        connection.default_channel.queue_declare(
            "answerback", durable=True, auto_delete=False, arguments={"x-queue-type": "quorum"}
        )

    async with fleet(settings(llm, rabbitmq_url), receiver) as shop:
        assert await shop.one_after_the_other(10) < NOTIFIED_SECONDS


async def test_redis_may_forget_everything(llm: FakeLLM, receiver: Receiver) -> None:
    with private(RedisServer) as server:
        async with fleet(settings(llm, server.url), receiver) as shop:
            await shop.one_after_the_other(2)

            with Redis.from_url(server.url) as connection:
                await asyncio.to_thread(connection.flushall)

            assert await shop.one_after_the_other(10) < NOTIFIED_SECONDS


async def test_connections_that_fall_silent_are_noticed_and_replaced(
    link: Link, llm: FakeLLM, receiver: Receiver
) -> None:
    async with fleet(settings(llm, link.url), receiver) as shop:
        await shop.one_after_the_other(2)

        link.freeze()
        link.thaw()
        began = time.monotonic()
        assert await prompt(shop) < HELD_UP
        await shop.worker.until_logged(LOST, timeout=PROMISED)
        await shop.worker.until_logged(AWAITED, 2, timeout=PROMISED - (time.monotonic() - began))

        assert "notifier_unavailable" in shop.service.logs
        assert await shop.one_after_the_other(10) < NOTIFIED_SECONDS


async def test_a_silent_broker_holds_up_neither_requests_nor_jobs_nor_the_end(
    link: Link, llm: FakeLLM, receiver: Receiver
) -> None:
    async with fleet(settings(llm, link.url), receiver) as shop:
        await shop.one_after_the_other(2)

        link.freeze()
        assert await prompt(shop) < HELD_UP
        await receiver.wait_for(22)

        began = time.monotonic()
        codes = await asyncio.gather(shop.worker.terminate(), shop.service.terminate())
        assert codes == [0, 0]
        assert time.monotonic() - began < 10.0


async def prompt(shop: Fleet) -> float:
    """The longest that one of twenty messages waited for its 202, in seconds."""
    waits = []
    for n in range(20):
        began = time.monotonic()
        await shop.post(f"prompt {n}")
        waits.append(time.monotonic() - began)
    return max(waits)
