"""Processes on PostgreSQL wake each other without a broker."""

import asyncio

from processes import AWAITED, NOTIFIED_SECONDS, fleet, settings

from answerback.testing import FakeLLM, Receiver, Worker, replies
from answerback.testing.backends import PostgresServer
from servers import private

PROMISED = 60.0
"""Seconds until notifications flow again after an outage."""


async def test_a_message_wakes_a_worker_at_once(postgres_url: str, llm: FakeLLM, receiver: Receiver) -> None:
    async with fleet(settings(llm, database_url=postgres_url), receiver) as shop:
        assert '"woken_by":"LISTEN and polling"' in shop.worker.logs
        await shop.worker.until_logged(AWAITED)

        assert await shop.one_after_the_other(10) < NOTIFIED_SECONDS

        assert (await shop.worker.terminate(), await shop.service.terminate()) == (0, 0)
        assert "Traceback" not in shop.worker.logs + shop.service.logs


async def test_a_process_that_serves_and_works_wakes_workers_for_what_it_has_no_room_for(
    postgres_url: str, llm: FakeLLM, receiver: Receiver
) -> None:
    llm.on("long", replies.hang())
    environment = settings(llm, database_url=postgres_url, worker_concurrency=1)
    async with fleet(environment, receiver, role="all", workers=0) as shop:
        await shop.post("long")
        await llm.wait_for_calls(1)
        async with Worker({**shop.service.environment, "WORKER_CONCURRENCY": "10"}) as worker:
            await worker.until_logged(AWAITED)

            assert await shop.one_after_the_other(10) < NOTIFIED_SECONDS


async def test_after_an_outage_of_the_database_workers_are_woken_again(llm: FakeLLM, receiver: Receiver) -> None:
    with private(PostgresServer) as server:
        async with fleet(settings(llm, database_url=server.url), receiver) as shop:
            await shop.worker.until_logged(AWAITED)
            await shop.one_after_the_other(2)

            await asyncio.to_thread(server.kill)
            await shop.worker.until_logged('"listen_unproven"')
            await asyncio.to_thread(server.restart)
            await shop.worker.until_logged(AWAITED, 2, timeout=PROMISED)

            await shop.one_after_the_other(2)
            assert await shop.one_after_the_other(10) < NOTIFIED_SECONDS
            assert shop.worker.logs.count('"listen_unproven"') == 1
