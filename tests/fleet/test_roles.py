"""Routes in one process, worker pools in another: what a broker adds, and what needs none."""

import asyncio
from pathlib import Path

import aiohttp
import pytest
from processes import AWAITED, CELERY, NOTIFIED_SECONDS, fleet, settings

from answerback.testing import FakeLLM, Receiver, Worker, replies
from answerback.testing.ports import reserve_port
from forks import Forks


@pytest.mark.usefixtures("started_afresh")
async def test_a_message_wakes_a_worker_at_once(broker_url: str, llm: FakeLLM, receiver: Receiver) -> None:
    async with fleet(settings(llm, broker_url), receiver) as shop:
        assert await shop.one_after_the_other(10) < NOTIFIED_SECONDS

        assert (await shop.worker.terminate(), await shop.service.terminate()) == (0, 0)
    assert {callback.json["status"] for callback in receiver.callbacks} == {"completed"}


@pytest.mark.usefixtures("started_afresh")
async def test_a_worker_started_by_celery_is_one(redis_url: str, llm: FakeLLM, receiver: Receiver) -> None:
    async with fleet(settings(llm, redis_url), receiver, module=CELERY) as shop:
        assert await shop.one_after_the_other(10) < NOTIFIED_SECONDS

        assert await shop.worker.terminate() == 0


async def test_without_a_broker_workers_poll(llm: FakeLLM, receiver: Receiver) -> None:
    async with fleet(settings(llm), receiver, workers=2) as shop:
        ids = [await shop.post(f"m{n}") for n in range(20)]

        callbacks = await receiver.wait_for(20)

        assert {callback.json["job_id"] for callback in callbacks} == set(ids)
        assert llm.total == 20
        assert all('"woken_by":"polling"' in worker.logs for worker in shop.workers)


async def test_a_process_that_only_serves_leaves_the_work_to_others(llm: FakeLLM, receiver: Receiver) -> None:
    async with fleet(settings(llm), receiver, workers=0) as shop:
        # Ready, as it can take messages; the first of them to be answered needs a worker.
        job_id = await shop.post("hello")
        assert '"role":"api"' in shop.service.logs
        assert (await shop.job(job_id))["status"] == "queued"

        async with Worker(shop.service.environment):
            (callback,) = await receiver.wait_for(1)

        assert callback.json["job_id"] == job_id


async def test_a_process_that_serves_and_works_wakes_workers_for_what_it_has_no_room_for(
    redis_url: str, llm: FakeLLM, receiver: Receiver
) -> None:
    llm.on("long", replies.hang())
    async with fleet(settings(llm, redis_url, worker_concurrency=1), receiver, role="all", workers=0) as shop:
        await shop.post("long")
        await llm.wait_for_calls(1)
        async with Worker({**shop.service.environment, "WORKER_CONCURRENCY": "10"}) as worker:
            await worker.until_logged(AWAITED)

            assert await shop.one_after_the_other(10) < NOTIFIED_SECONDS


async def test_a_pool_without_threads_is_refused(redis_url: str, llm: FakeLLM, forks: Forks, tmp_path: Path) -> None:
    ended = await forks.run([*CELERY[:-1], "solo"], tmp_path, settings(llm, redis_url))

    assert ended.code != 0
    assert "-P threads" in ended.stderr


async def test_celery_without_a_broker_says_what_to_do(llm: FakeLLM, forks: Forks, tmp_path: Path) -> None:
    ended = await forks.run(CELERY, tmp_path, settings(llm))

    assert ended.code != 0
    assert ended.stderr.splitlines() == [
        "answerback: CELERY_BROKER_URL is not set: name a broker, or run 'answerback worker', which needs none"
    ]


async def test_a_worker_without_its_database_says_so(llm: FakeLLM, forks: Forks, tmp_path: Path) -> None:
    nowhere = settings(llm, database_url="sqlite:////nowhere/at/all.db")

    ended = await forks.run(["answerback", "worker"], tmp_path, nowhere)

    assert ended.code == 2
    assert ended.stderr.startswith("answerback: ")


async def test_a_workers_metrics_are_on_a_port_of_their_own(llm: FakeLLM, receiver: Receiver) -> None:
    holder, port = reserve_port()
    if holder is not None:
        holder.close()
    async with fleet(settings(llm, worker_metrics_port=port), receiver) as shop, aiohttp.ClientSession() as http:
        await shop.post("hello")
        await receiver.wait_for(1)

        async with http.get(f"http://127.0.0.1:{port}/metrics") as response:
            page = await response.text()

    assert 'answerback_llm_calls_total{model="openai/gpt-oss-20b:free",outcome="ok"' in page


async def test_the_process_of_the_routes_shows_how_the_calls_of_workers_went(llm: FakeLLM, receiver: Receiver) -> None:
    async with fleet(settings(llm), receiver, workers=2) as shop:
        for n in range(6):
            await shop.post(f"m{n}")
        await receiver.wait_for(6)

        async with asyncio.timeout(20):
            while (await shop.providers())[0]["calls"] != 6:
                pass

        (shown,) = await shop.providers()
        assert shown["reachable"]
        assert shown["latency_ms_p50"] is not None
