"""Workers hold a thousand calls, give back what they cannot finish, and are replaced when they die."""

import asyncio
import os
import signal
import time
from pathlib import Path

import pytest
from processes import AWAITED, CELERY, Fleet, fleet, settings

from answerback.testing import FakeLLM, Receiver, Worker, behaviours, replies
from databases import PostgresDatabase
from link import Link

GRACE = 5.0
SUPERVISORS_PATIENCE = 10.0
BUSY = 3.0
"""Seconds that other tests on this machine may add to a stop of eight, which would wait for fifteen otherwise."""
CALLS = 1000
CALLS_MEMORY = 200
"""MiB for a worker with that many calls in flight, nearly twice what it takes."""


@pytest.fixture(params=[None, "redis_url", "rabbitmq_url"], ids=["polling", "redis", "rabbitmq"])
def any_broker_url(request: pytest.FixtureRequest) -> str | None:
    """None: no broker at all."""
    return None if request.param is None else request.getfixturevalue(request.param)


@pytest.mark.usefixtures("started_afresh")
async def test_one_worker_holds_a_thousand_calls_in_flight(redis_url: str, llm: FakeLLM, receiver: Receiver) -> None:
    answering = asyncio.Event()
    llm.on(lambda _: True, replies.hang(answering, replies.say("at last")))
    async with fleet(
        settings(llm, redis_url, worker_concurrency=CALLS, tenant_slot_factor=1_000_000), receiver
    ) as shop:
        await asyncio.gather(*(shop.post(f"m{n}") for n in range(CALLS)))

        await llm.wait_for_calls(CALLS, timeout=60)
        assert memory(shop.worker.pid) < CALLS_MEMORY
        answering.set()

        callbacks = await receiver.wait_for(CALLS, timeout=60)
        assert len({callback.id for callback in callbacks}) == CALLS
        assert llm.total == CALLS


async def test_a_worker_asked_to_stop_gives_back_what_hangs_and_another_takes_it_up_at_once(
    any_broker_url: str | None, llm: FakeLLM, receiver: Receiver
) -> None:
    llm.on("hangs", replies.hang(), replies.say("at last"))
    async with fleet(settings(llm, any_broker_url), receiver) as shop:
        job_id = await shop.post("hangs")
        await llm.wait_for_calls(1)

        began = time.monotonic()
        assert await shop.worker.terminate() == 0
        assert GRACE <= time.monotonic() - began < SUPERVISORS_PATIENCE
        assert [each["status"] for each in (await shop.job(job_id))["attempts"]] == ["released"]

        async with Worker(shop.service.environment):
            (callback,) = await receiver.wait_for(1)

        assert (callback.json["response"], (await shop.job(job_id))["attempt"]) == ("at last", 1)


async def test_a_worker_whose_database_falls_silent_stops_before_its_supervisor_kills(
    any_broker_url: str | None, postgres: PostgresDatabase, llm: FakeLLM, receiver: Receiver
) -> None:
    answering, receiving = asyncio.Event(), asyncio.Event()
    llm.on("answered too late", replies.hang(answering))
    llm.on("hangs", replies.hang())
    receiver.on("/callbacks", behaviours.delayed(receiving))
    environment = settings(llm, any_broker_url, database_url=postgres.url)
    async with (
        Link(postgres.url) as link,
        fleet(environment, receiver, workers=0) as shop,
        Worker({**shop.service.environment, "DATABASE_URL": link.url}) as worker,
    ):
        await shop.post("called back too late")
        await receiver.wait_for(1)
        await asyncio.gather(*(shop.post("answered too late") for _ in range(20)), shop.post("hangs"))
        await llm.wait_for_calls(22)

        link.freeze()
        answering.set()
        receiving.set()
        began = time.monotonic()
        assert await worker.terminate() == 0

        assert time.monotonic() - began < SUPERVISORS_PATIENCE + BUSY


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "SIGINT"])
@pytest.mark.parametrize("module", [None, CELERY], ids=["answerback", "celery"])
async def test_a_second_signal_is_no_reason_to_drop_what_is_in_flight(
    number: signal.Signals, module: tuple[str, ...] | None, redis_url: str, llm: FakeLLM, receiver: Receiver
) -> None:
    llm.on("hangs", replies.hang())
    async with fleet(settings(llm, redis_url, worker_concurrency=1), receiver, module=module) as shop:
        job_id = await shop.post("hangs")
        await llm.wait_for_calls(1)
        # Their messages hold all of Celery's threads, which wait for room.
        for n in range(10):
            await shop.post(f"waits {n}")

        os.kill(shop.worker.pid, number)
        await shop.worker.until_logged('"stopping"')
        os.kill(shop.worker.pid, number)

        assert await asyncio.wait_for(shop.worker.exited(), SUPERVISORS_PATIENCE) == 0
        assert [each["status"] for each in (await shop.job(job_id))["attempts"]] == ["released"]


async def test_what_a_killed_worker_held_is_finished_by_another(
    broker_url: str, llm: FakeLLM, receiver: Receiver
) -> None:
    llm.on(lambda _: True, replies.delayed(0.5))
    async with fleet(settings(llm, broker_url, lease_seconds=2), receiver, workers=2) as shop:
        ids = await asyncio.gather(*(shop.post(f"m{n}") for n in range(100)))
        await llm.wait_for_calls(20)

        await shop.worker.kill()
        callbacks = await receiver.wait_for(100, timeout=60)

        assert {callback.json["job_id"] for callback in callbacks} == set(ids)
        assert {callback.json["status"] for callback in callbacks} == {"completed"}


async def test_workers_may_be_replaced_under_load(broker_url: str, llm: FakeLLM, receiver: Receiver) -> None:
    llm.on(lambda _: True, replies.delayed(0.05))
    async with fleet(settings(llm, broker_url), receiver, workers=2) as shop:
        stream = Stream(shop)
        for worker in shop.workers:
            assert await worker.terminate() == 0
            await worker.start()
            await worker.until_logged(AWAITED, 2)
        ids = await stream.end()

        callbacks = await receiver.wait_for(len(ids), timeout=30)

        assert {callback.json["job_id"] for callback in callbacks} == set(ids)
        assert set(llm.counts.values()) == {1}


class Stream:
    """Messages one after the other, until its end."""

    def __init__(self, shop: Fleet) -> None:
        self._shop = shop
        self._ids: list[str] = []
        self._ending = False
        self._posting = asyncio.create_task(self._post())

    async def _post(self) -> None:
        while not self._ending:
            self._ids.append(await self._shop.post(f"m{len(self._ids)}"))

    async def end(self) -> list[str]:
        """The ids of all jobs that were accepted."""
        self._ending = True
        await self._posting
        return self._ids


def memory(pid: int) -> int:
    """What the process holds, in MiB."""
    (line,) = [line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmRSS:")]
    return int(line.split()[1]) // 1024
