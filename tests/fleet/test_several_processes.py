"""`serve --processes N`: one address, one count of requests, one page of metrics, and no process that is missed."""

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import aiohttp
import pytest
from processes import NOTIFIED_SECONDS, median_seconds

from answerback.testing import FakeLLM, Receiver, Service, ServiceError, replies
from metrics_page import Page
from surroundings import SECRET

SERVE_TWO = ("answerback", "serve", "--processes", "2")


def two_processes(llm: FakeLLM, **changes: str) -> Service:
    settings = {"OPENROUTER_BASE_URL": llm.base_url, "LLM_MODEL": "fake", "CALLBACK_HMAC_SECRET": SECRET, **changes}
    return Service(settings, module=SERVE_TWO)


@contextlib.asynccontextmanager
async def serving(service: Service) -> AsyncIterator[aiohttp.ClientSession]:
    """Both processes, and a client that opens a connection for each request."""
    async with service, aiohttp.ClientSession(service.url, connector=aiohttp.TCPConnector(force_close=True)) as http:
        await service.until_logged('"joined"')
        yield http


def children(service: Service) -> list[int]:
    return [int(pid) for pid in Path(f"/proc/{service.pid}/task/{service.pid}/children").read_text().split()]


async def post(http: aiohttp.ClientSession, receiver: Receiver, text: str) -> str:
    body = {"message": text, "stateless": True, "callback_url": receiver.url("/done")}
    async with http.post("/webhook", json=body) as response:
        assert response.status == 202
        return str((await response.json())["job_id"])


async def scrape(http: aiohttp.ClientSession) -> Page:
    async with http.get("/metrics") as response:
        return Page(await response.text())


def alive(pids: list[int]) -> list[int]:
    return [pid for pid in pids if Path(f"/proc/{pid}").exists()]


async def test_whichever_process_answers_shows_the_metrics_of_all(llm: FakeLLM, receiver: Receiver) -> None:
    async with serving(two_processes(llm)) as http:
        await asyncio.gather(*(post(http, receiver, f"m{n}") for n in range(20)))
        await receiver.wait_for(20)

        pages = [await scrape(http) for _ in range(10)]

    assert {page.value("jobs_accepted_total", kind="message") for page in pages} == {20}
    assert {page.value("processes") for page in pages} == {2}


async def test_an_sdks_retry_gets_its_background_response_from_whichever_process(llm: FakeLLM) -> None:
    async with serving(two_processes(llm)) as http:

        async def created(text: str, tries: int) -> str:
            body = {"model": "fake", "input": text, "background": True}
            headers = {"x-stainless-retry-count": str(tries)}
            async with http.post("/v1/responses", json=body, headers=headers) as response:
                return str((await response.json())["id"])

        for n in range(8):
            first = await created(f"try {n}", 0)
            assert [await created(f"try {n}", tries) for tries in (1, 2)] == [first] * 2


async def test_whichever_process_answers_shows_the_same_of_a_provider(llm: FakeLLM) -> None:
    llm.on("hello", replies.status(401))
    async with serving(two_processes(llm)) as http:
        async with http.post("/api/ask", json={"question": "hello"}) as response:
            assert response.status == 502

        async def seen() -> set[bool | None]:
            found = set()
            for _ in range(16):
                async with http.get("/v1/overview") as response:
                    found |= {each["reachable"] for each in (await response.json())["providers"]}
            return found

        async with asyncio.timeout(10):
            while await seen() != {False}:
                pass


async def test_a_process_that_is_killed_is_started_again_and_nothing_is_lost(llm: FakeLLM, receiver: Receiver) -> None:
    service = two_processes(llm, LEASE_SECONDS="2")
    async with serving(service) as http:
        before = (await scrape(http)).value("http_requests_total")
        accepted: set[str] = set()

        async def post_one(n: int) -> None:
            # A connection that the killed process had accepted breaks, and its request may be accepted or not.
            with contextlib.suppress(aiohttp.ClientError):
                accepted.add(await post(http, receiver, f"m{n}"))

        posting = [asyncio.create_task(post_one(n)) for n in range(100)]
        await receiver.wait_for(10)
        killed = children(service)[0]
        os.kill(killed, signal.SIGKILL)
        await asyncio.gather(*posting)
        await service.until_logged('"joined"', 2)

        async with asyncio.timeout(30):
            while not accepted <= {callback.json["job_id"] for callback in receiver.callbacks}:
                await receiver.wait_for(len(receiver.callbacks) + 1, timeout=30)
        assert killed not in children(service)
        assert len(children(service)) == 2
        page = await scrape(http)
        assert page.value("http_requests_total") >= before
        assert page.value("processes") == 2
        assert f'"pid":{killed}' in service.logs


async def test_a_process_that_ends_again_and_again_is_started_after_growing_pauses(llm: FakeLLM) -> None:
    service = two_processes(llm)
    async with serving(service):
        stable = children(service)[0]
        for joined in (2, 3):
            [unlucky] = [pid for pid in children(service) if pid != stable]
            os.kill(unlucky, signal.SIGKILL)
            await service.until_logged('"joined"', joined)

        assert '"starts_again_in_seconds":0.5' in service.logs
        assert '"starts_again_in_seconds":1.0' in service.logs


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_all_stop_together(llm: FakeLLM, receiver: Receiver, number: signal.Signals) -> None:
    llm.on("slow", replies.delayed(1.0))
    service = two_processes(llm)
    async with serving(service) as http:
        await asyncio.gather(*(post(http, receiver, "slow") for _ in range(10)))
        await llm.wait_for_calls(10)
        pids = children(service)

        os.kill(service.pid, number)

        assert await service.exited() == 0
        assert len(receiver.callbacks) == 10
        assert alive(pids) == []
        assert service.logs.count('"stopped"') == 2


async def test_without_their_supervisor_processes_stop(llm: FakeLLM) -> None:
    service = two_processes(llm)
    async with serving(service):
        # Returns when the last of them has closed what it prints to.
        await service.kill()

        assert service.logs.count('"supervisor_gone"') == service.logs.count('"stopped"') == 2


async def test_a_rate_is_counted_for_all_processes_together(llm: FakeLLM) -> None:
    async with serving(two_processes(llm, AUTH_TOKEN="key", RATE_LIMIT="10/hour")) as http:

        async def ask() -> int:
            headers = {"Authorization": "key"}
            async with http.post("/api/ask", json={"question": "hello"}, headers=headers) as response:
                return response.status

        statuses = await asyncio.gather(*(ask() for _ in range(40)))

    assert sorted(statuses) == [200] * 10 + [429] * 30


async def test_a_process_without_room_wakes_the_other(llm: FakeLLM, receiver: Receiver) -> None:
    llm.on("long", replies.hang())
    service = two_processes(llm, WORKER_CONCURRENCY="1")
    async with serving(service), aiohttp.ClientSession(service.url) as one_connection:
        await post(one_connection, receiver, "long")
        await llm.wait_for_calls(1)

        taken = await median_seconds(partial(post, one_connection, receiver), receiver, 10)

        assert taken < NOTIFIED_SECONDS


async def test_a_job_is_cancelled_at_once_whichever_process_runs_it(llm: FakeLLM, receiver: Receiver) -> None:
    llm.on("long", replies.hang())
    async with serving(two_processes(llm)) as http:
        job_ids = [await post(http, receiver, "long") for _ in range(8)]
        await llm.wait_for_calls(8)

        for job_id in job_ids:
            async with http.post(f"/v1/jobs/{job_id}/cancel") as response:
                assert response.status == 200

        # A heartbeat would find out within fifteen seconds.
        await llm.wait_for_disconnects(8, timeout=5)


async def test_what_keeps_the_service_from_starting_is_reported_once(llm: FakeLLM, tmp_path: Path) -> None:
    service = two_processes(llm, LLM_ROUTES_FILE=str(tmp_path / "missing.toml"))

    with pytest.raises(ServiceError, match="ended with code 2 before it was ready") as error:
        await service.__aenter__()

    assert str(error.value).count("missing.toml") == 1


async def test_a_taken_port_is_refused(llm: FakeLLM) -> None:
    async with two_processes(llm) as service, two_processes(llm) as second:
        await second.terminate()
        second.port = service.port

        # The first one answers for it.
        await second.start()

        assert await second.exited() == 2
        assert f"cannot listen on 127.0.0.1:{service.port}: Address already in use" in second.logs
