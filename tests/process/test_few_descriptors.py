"""A service with far fewer descriptors than messages answers new clients and charges nobody an attempt."""

import asyncio
import json
import socket
from contextlib import AsyncExitStack
from pathlib import Path

import aiohttp
import pytest

import few_descriptors
from answerback.testing import replies
from answerback.testing.llm import FakeLLM
from answerback.testing.receiver import Receiver
from answerback.testing.service import HOST, Service
from eventually import eventually
from troubles import upstream

pytestmark = pytest.mark.asyncio(loop_scope="function")

MESSAGES = few_descriptors.HARD + 32


async def test_a_shortage_of_descriptors_delays_and_charges_nobody() -> None:
    settings = {"PYTHONPATH": str(Path(few_descriptors.__file__).parent), "WORKER_CONCURRENCY": str(MESSAGES)}
    async with FakeLLM() as llm, Receiver() as receiver:
        together = asyncio.Event()
        llm.on(lambda _: True, replies.hang(until=together))
        service = Service(upstream(llm.base_url) | settings, module=("few_descriptors", "serve"))
        async with service, aiohttp.ClientSession(service.url, connector=aiohttp.TCPConnector(limit=8)) as http:
            # Given more calls that hang than there are descriptors
            messages = [
                {"message": f"{n}", "callback_url": receiver.url("/cb"), "stateless": True} for n in range(MESSAGES)
            ]
            accepted = await asyncio.gather(*(http.post("/webhook", json=each) for each in messages))
            assert {response.status for response in accepted} == {202}
            await service.until_logged("waits_for_its_turn")
            calls = llm.total
            assert few_descriptors.SOFT < calls < few_descriptors.HARD
            # Then new clients are answered
            for _ in range(5):
                async with aiohttp.ClientSession(service.url) as newcomer, newcomer.get("/readyz") as response:
                    assert response.status == 200
            # And everything is answered and delivered in the end, at the first attempt
            together.set()
            await receiver.wait_for(MESSAGES, timeout=20)
            async with http.get("/v1/jobs?limit=100") as response:
                jobs = json.loads(await response.read())["items"]
        assert {(job["status"], job["attempt"]) for job in jobs} == {("completed", 1)}
        assert llm.total == MESSAGES
        assert len(receiver.callbacks) == MESSAGES


async def test_silent_clients_that_take_all_descriptors_twice_keep_nobody_out() -> None:
    settings = {"MOCK_MODE": "true", "PYTHONPATH": str(Path(few_descriptors.__file__).parent)}
    async with Service(settings, module=("few_descriptors", "serve")) as service, AsyncExitStack() as stack:

        async def is_served() -> bool:
            try:
                async with aiohttp.ClientSession(service.url) as newcomer, newcomer.get("/readyz") as response:
                    return response.status == 200
            except aiohttp.ClientConnectionError:
                return False

        for _ in range(2):
            for _ in range(few_descriptors.HARD):
                silent = stack.enter_context(socket.socket())
                silent.connect((HOST, service.port))
            await eventually(is_served, "a new client is answered")
