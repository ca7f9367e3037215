"""Bad weather: a receiver that never answers, a locked database, thousands of calls at once."""

import asyncio
import time
from collections.abc import Callable

import pytest
from aiohttp import web
from world import Client, at_rest, attempts_of, opened, select, settings, sound

from answerback.testing import behaviours, replies
from answerback.testing.behaviours import Behaviour
from answerback.testing.llm import FakeLLM
from answerback.testing.receiver import Receiver
from answerback.testing.replies import Call
from answerback.testing.service import Service
from eventually import eventually
from memory import peak_memory
from surroundings import SECRET

HOSTILE = 200
FRIENDLY = 50
TOLERABLE_LAG = 3.0
"""Seconds from acceptance to callback, on any machine: a dead origin's attempts take 20."""

BUSY_SECONDS = 5.0
CALLS = 2_000
WAVE = 64
"""How many of the calls are answered and not yet called back: what one origin takes at once."""

CALL_KIBIBYTES = 40
"""The most memory that a call in flight may take; ten thousand then take less than half a gibibyte."""


@pytest.mark.parametrize("behaviour", [behaviours.delayed(asyncio.Event()), behaviours.drip()], ids=["hang", "drip"])
async def test_a_hostile_receiver_slows_nobody_elses_callbacks(
    behaviour: Behaviour, llm: FakeLLM, receiver: Receiver, figures: Callable[[str], None]
) -> None:
    service = Service(settings(llm, lease_seconds=10, worker_concurrency=100, conversation_max_pending=HOSTILE))
    async with Receiver(SECRET) as hostile, service, Client(service, receiver) as client:
        hostile.on("/", behaviour)
        calm = await lags(client, receiver, "calm")

        # Side by side: on a slow machine the storm would be over before the last of them is sent.
        await asyncio.gather(
            *(client.accepted(f"hostile {n}", session=None, url=hostile.url()) for n in range(HOSTILE))
        )
        await hostile.wait_for(50)
        stormy = await lags(client, receiver, "stormy")

        figures(
            f"{HOSTILE} callbacks owed to a hostile origin, {len(hostile.callbacks)} attempted: another origin's lag "
            f"is {median(stormy):.3f} s (before: {median(calm):.3f} s), at most {max(stormy):.3f} s ({max(calm):.3f} s)"
        )
        assert max(stormy) < TOLERABLE_LAG
        assert len(hostile.callbacks) < HOSTILE


async def lags(client: Client, receiver: Receiver, name: str) -> list[float]:
    """Seconds from each message's acceptance to its callback."""
    accepted: dict[str, float] = {}
    before = len(receiver.callbacks)
    for n in range(FRIENDLY):
        job_id = (await client.accepted(f"{name} {n}", session=None))["job_id"]
        accepted[job_id] = time.time()
    arrived = (await receiver.wait_for(before + FRIENDLY))[before:]
    assert all(callback.verified for callback in arrived)
    return [callback.at - accepted[callback.json["job_id"]] for callback in arrived]


def median(values: list[float]) -> float:
    return sorted(values)[len(values) // 2]


async def test_while_the_database_is_locked_messages_are_refused_and_none_accepted_is_harmed(
    llm: FakeLLM, receiver: Receiver
) -> None:
    release = asyncio.Event()
    llm.on("asked before", replies.hang(release))
    service = Service(settings(llm, lease_seconds=60))
    async with service, Client(service, receiver) as client:
        before = (await client.accepted("asked before", session="a"))["job_id"]
        await llm.wait_for_calls(1)

        with opened(service.database) as other:
            other.execute("BEGIN IMMEDIATE")
            began = time.monotonic()
            release.set()
            status, body, headers = await client.post("sent meanwhile", session="b", key="mine")
            took = time.monotonic() - began
            other.execute("ROLLBACK")

        assert (status, body["error"]["code"]) == (503, "storage_unavailable")
        assert body["detail"] == body["error"]["message"]
        assert int(headers["Retry-After"]) >= 1
        assert BUSY_SECONDS * 0.9 <= took < BUSY_SECONDS * 3
        assert len(select(service.database, "SELECT id FROM jobs")) == 1

        after = (await client.accepted("sent meanwhile", session="b", key="mine"))["job_id"]
        arrived = await receiver.wait_for(2)
        await eventually(lambda: at_rest(service.database), "both delivered")

        assert {callback.json["job_id"] for callback in arrived} == {before, after}
        assert attempts_of(service.database, before) == ["answered"]
        assert (llm.count("asked before"), llm.count("sent meanwhile")) == (1, 1)
        sound(service.database)


@pytest.mark.usefixtures("started_afresh")
async def test_thousands_of_calls_in_flight_take_little_memory_each(
    llm: FakeLLM, receiver: Receiver, figures: Callable[[str], None]
) -> None:
    release, answering = asyncio.Event(), asyncio.Semaphore(WAVE)

    async def hold(request: web.BaseRequest, call: Call) -> web.StreamResponse:
        await release.wait()
        await answering.acquire()
        return await replies.echo()(request, call)

    async def take(_: web.Request) -> web.StreamResponse:
        answering.release()
        return web.Response()

    llm.on(lambda _: True, hold)
    receiver.on("/stateless", take)
    # The log goes nowhere: at this rate it would be most of what the test does.
    service = Service(
        settings(llm, lease_seconds=60, worker_concurrency=CALLS, tenant_slot_factor=1_000_000, log_level="warning")
    )
    async with service, Client(service, receiver) as client:
        began, idle = time.monotonic(), peak_memory(service.pid)
        numbers = iter(range(CALLS))

        async def send() -> None:
            for n in numbers:
                await client.accepted(f"message {n}", session=None)

        await asyncio.gather(*(send() for _ in range(50)))
        await llm.wait_for_calls(CALLS, timeout=60)
        assert llm.active == CALLS
        in_flight = time.monotonic() - began

        release.set()
        arrived = await receiver.wait_for(CALLS, timeout=90)
        await eventually(lambda: at_rest(service.database), "all delivered", patience=60)

        peak = peak_memory(service.pid)
        figures(
            f"{CALLS} LLM calls in flight after {in_flight:.1f} s, all delivered after "
            f"{time.monotonic() - began:.1f} s; peak memory {peak} MiB, idle {idle} MiB"
        )
        assert (peak - idle) * 1024 < CALLS * CALL_KIBIBYTES
        assert llm.total == len(arrived) == len({callback.id for callback in arrived}) == CALLS
        sound(service.database)
