"""A broker that dies, forgets or falls silent costs latency only, and is found again without a restart."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator

import pytest
from amqp.exceptions import InternalError
from kombu import Connection
from processes import HINTED, Fleet, fleet, settings
from redis import Redis

from answerback.queue.notifiers.celery_broker import QUEUE, CeleryBroker
from answerback.queue.notifiers.local import Kind
from answerback.testing import FakeLLM, Receiver
from answerback.testing.backends import RabbitServer, RedisServer
from answerback.testing.backends.backend import Backend
from link import Link
from servers import private

HINTED_SECONDS = 5.0
"""For ten messages, each found by a hint, on a busy machine; polling takes ten."""
PROMISED = 60.0
"""Seconds until a silent connection is noticed, or notifications flow again."""
LOST = "broker lost"
"""What Celery's consumer says of a connection that it gives up."""


@pytest.fixture(params=[RedisServer, RabbitServer], ids=["redis", "rabbitmq"])
def broker(request: pytest.FixtureRequest) -> Iterator[Backend]:
    """A broker of one's own."""
    kind: type[Backend] = request.param
    with private(kind) as server:
        yield server


@pytest.fixture
async def link(broker: Backend) -> AsyncIterator[Link]:
    async with Link(broker.url) as link:
        yield link


async def test_a_broker_that_was_killed_is_found_again(broker: Backend, llm: FakeLLM, receiver: Receiver) -> None:
    async with fleet(settings(llm, broker.url), receiver) as shop:
        await shop.one_after_the_other(2)
        for life in (2, 3):
            await asyncio.to_thread(broker.kill)
            # Nobody tells the worker, which finds them all the same.
            await shop.one_after_the_other(2)

            await asyncio.to_thread(broker.restart)
            await shop.worker.until_logged(HINTED, life, timeout=PROMISED)
            while shop.service.logs.count("broker_reached") < life - 1:
                await shop.one_after_the_other(1)

            assert await shop.one_after_the_other(10) < HINTED_SECONDS
        assert llm.total == len(receiver.callbacks)
        assert "Traceback" not in shop.worker.logs


async def test_a_queue_that_came_back_broken_is_made_anew(llm: FakeLLM, receiver: Receiver) -> None:
    with private(RabbitServer) as server:
        if not await asyncio.to_thread(broke_its_queue, server):
            pytest.skip("this RabbitMQ kept its queue through five kills")

        async with fleet(settings(llm, server.url), receiver) as shop:
            await shop.worker.until_logged(HINTED, timeout=PROMISED)

            assert "queue_replaced" in shop.worker.logs
            assert await shop.one_after_the_other(10) < HINTED_SECONDS


def broke_its_queue(server: RabbitServer) -> bool:
    """Kills RabbitMQ as soon as it has made the queue, until it comes back with one that nobody can consume from."""
    for _ in range(5):
        broker = CeleryBroker(server.url)
        broker.send(Kind.JOBS, 1)
        server.kill()
        broker.close()
        server.restart()
        try:
            consume(server.url)
        except (TimeoutError, InternalError):
            return True
    return False


def consume(url: str) -> None:
    with Connection(url, heartbeat=0, transport_options={"read_timeout": 5}) as connection:
        connection.default_channel.basic_consume(QUEUE, consumer_tag="test", callback=print, no_ack=False)


async def test_redis_may_forget_everything(llm: FakeLLM, receiver: Receiver) -> None:
    with private(RedisServer) as server:
        async with fleet(settings(llm, server.url), receiver) as shop:
            await shop.one_after_the_other(2)

            with Redis.from_url(server.url) as connection:
                await asyncio.to_thread(connection.flushall)

            assert await shop.one_after_the_other(10) < HINTED_SECONDS


async def test_connections_that_fall_silent_are_noticed_and_replaced(
    link: Link, llm: FakeLLM, receiver: Receiver
) -> None:
    async with fleet(settings(llm, link.url), receiver) as shop:
        await shop.one_after_the_other(2)

        link.freeze()
        link.thaw()
        began = time.monotonic()
        assert await prompt(shop) < 1.0
        await shop.worker.until_logged(LOST, timeout=PROMISED)
        await shop.worker.until_logged(HINTED, 2, timeout=PROMISED - (time.monotonic() - began))

        assert "broker_unavailable" in shop.service.logs
        assert await shop.one_after_the_other(10) < HINTED_SECONDS


async def test_a_silent_broker_holds_up_neither_requests_nor_jobs_nor_the_end(
    link: Link, llm: FakeLLM, receiver: Receiver
) -> None:
    async with fleet(settings(llm, link.url), receiver) as shop:
        await shop.one_after_the_other(2)

        link.freeze()
        assert await prompt(shop) < 1.0
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
