"""Asked to stop, the service ends what it can, gives back the rest, and says so with exit code 0."""

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from world import Client, at_rest, attempt_to_serve, attempts_of, by_id, logged, select, settings, sound

from answerback.testing import behaviours, replies
from answerback.testing.llm import FakeLLM
from answerback.testing.receiver import Receiver
from answerback.testing.service import HOST, Service
from eventually import eventually

GRACE = 5.0
LEASE = 60.0
SUPERVISORS_PATIENCE = 10.0
AT_ONCE = 10.0
"""Seconds: far less than a lease."""

SIGNALS = pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "SIGINT"])


@contextlib.asynccontextmanager
async def until_it_stops(service: Service) -> AsyncIterator[None]:
    """Waits at the end until the service takes no more connections: it closes those without a request then."""
    reader, writer = await asyncio.open_connection(HOST, service.port)
    with contextlib.closing(writer):
        yield
        async with asyncio.timeout(10):
            with contextlib.suppress(ConnectionError):
                assert await reader.read() == b""


@SIGNALS
async def test_what_hangs_is_given_back_and_taken_up_at_once_by_the_next_start(
    number: signal.Signals, llm: FakeLLM, receiver: Receiver
) -> None:
    llm.on(lambda text: text != "quick", replies.hang(), replies.hang(), replies.say("at last"))
    receiver.on("/quick", behaviours.delayed(asyncio.Event()), behaviours.status(200))
    service = Service(settings(llm, lease_seconds=LEASE))
    async with service, Client(service, receiver) as client:
        await client.accepted("quick", session="quick")
        hung = [(await client.accepted(text, session=text))["job_id"] for text in ("one", "two")]
        await llm.wait_for_calls(3)
        (callback,) = await receiver.wait_for(1)

        began = time.monotonic()
        os.kill(service.pid, number)
        code = await asyncio.wait_for(service.exited(), GRACE + 10)
        took = time.monotonic() - began

        assert code == 0
        assert GRACE <= took < SUPERVISORS_PATIENCE
        await llm.wait_for_disconnects(2)
        for job_id in hung:
            (job,) = select(service.database, "SELECT state, attempt, lease_losses FROM jobs WHERE id = ?", job_id)
            assert job == {"state": "queued", "attempt": 0, "lease_losses": 0}
            assert attempts_of(service.database, job_id) == ["released"]
        (delivery,) = select(service.database, "SELECT state, attempt FROM deliveries WHERE id = ?", callback.id)
        assert delivery == {"state": "pending", "attempt": 0}
        assert attempts_of(service.database, str(callback.id)) == ["released"]

        await service.start()
        arrived = by_id(await receiver.wait_for(4, timeout=AT_ONCE))

        assert [len(same) for same in arrived.values()] == [2, 1, 1]
        assert len({each.body for each in arrived[callback.id]}) == 1
        assert (llm.count("quick"), llm.count("one"), llm.count("two")) == (1, 2, 2)
        await eventually(lambda: at_rest(service.database), "all delivered")
        sound(service.database)


@SIGNALS
async def test_an_answer_that_comes_within_the_grace_is_kept_and_called_back(
    number: signal.Signals, llm: FakeLLM, receiver: Receiver
) -> None:
    release = asyncio.Event()
    llm.on("hello", replies.hang(release, replies.say("just in time")))
    service = Service(settings(llm, lease_seconds=LEASE))
    async with service, Client(service, receiver) as client:
        job_id = (await client.accepted("hello"))["job_id"]
        await llm.wait_for_calls(1)

        began = time.monotonic()
        async with until_it_stops(service):
            os.kill(service.pid, number)
        release.set()
        code = await asyncio.wait_for(service.exited(), GRACE + 10)

        assert (code, time.monotonic() - began < GRACE) == (0, True)
        assert [callback.json["response"] for callback in receiver.callbacks] == ["just in time"]
        assert attempts_of(service.database, job_id) == ["answered"]
        assert llm.total == 1
        assert at_rest(service.database)


async def test_a_callback_that_is_answered_within_the_grace_is_not_made_again(llm: FakeLLM, receiver: Receiver) -> None:
    release = asyncio.Event()
    receiver.on("/s", behaviours.delayed(release))
    service = Service(settings(llm, lease_seconds=LEASE))
    async with service, Client(service, receiver) as client:
        await client.accepted("hello")
        await receiver.wait_for(1)

        async with until_it_stops(service):
            os.kill(service.pid, signal.SIGTERM)
        release.set()

        assert await asyncio.wait_for(service.exited(), GRACE + 10) == 0
        assert len(receiver.callbacks) == 1
        sound(service.database)


async def test_a_request_on_its_way_in_is_accepted_and_answered_after_the_next_start(
    llm: FakeLLM, receiver: Receiver
) -> None:
    service = Service(settings(llm, lease_seconds=LEASE))
    async with service:
        body = b'{"message": "hello", "callback_url": "%s"}' % receiver.url("/s").encode()
        head = "POST /webhook HTTP/1.1\r\nhost: localhost\r\nexpect: 100-continue\r\ncontent-length: "
        reader, writer = await asyncio.open_connection(HOST, service.port)
        writer.write(f"{head}{len(body)}\r\n\r\n".encode())
        assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"

        async with until_it_stops(service):
            os.kill(service.pid, signal.SIGTERM)
        writer.write(body)
        answer = await asyncio.wait_for(reader.read(), GRACE)
        writer.close()

        assert b" 202 " in answer.splitlines()[0]
        assert await asyncio.wait_for(service.exited(), GRACE + 10) == 0

        await service.start()
        (callback,) = await receiver.wait_for(1, timeout=AT_ONCE)
        assert callback.json["job_id"].encode() in answer
        assert llm.total == 1


async def test_a_client_that_never_finishes_its_request_prolongs_nothing(llm: FakeLLM, receiver: Receiver) -> None:
    llm.on("hello", replies.hang())
    service = Service(settings(llm, lease_seconds=LEASE))
    async with service, Client(service, receiver) as client:
        job_id = (await client.accepted("hello"))["job_id"]
        await llm.wait_for_calls(1)
        reader, writer = await asyncio.open_connection(HOST, service.port)
        writer.write(b"POST /webhook HTTP/1.1\r\nhost: localhost\r\nexpect: 100-continue\r\ncontent-length: 9\r\n\r\n")
        await reader.readuntil(b"\r\n\r\n")

        began = time.monotonic()
        os.kill(service.pid, signal.SIGTERM)
        code = await asyncio.wait_for(service.exited(), GRACE + 10)
        writer.close()

        assert (code, time.monotonic() - began < SUPERVISORS_PATIENCE) == (0, True)
        assert attempts_of(service.database, job_id) == ["released"]


async def test_a_second_start_on_the_same_port_says_so_and_touches_no_job(llm: FakeLLM, receiver: Receiver) -> None:
    llm.on("taken", replies.hang())
    service = Service(settings(llm, lease_seconds=LEASE, worker_concurrency=1))
    async with service, Client(service, receiver) as client:
        await client.accepted("taken", session="a")
        await llm.wait_for_calls(1)
        waiting = (await client.accepted("waiting", session="b"))["job_id"]

        again = settings(llm) | {"DATABASE_URL": f"sqlite:///{service.database}", "APP_PORT": str(service.port)}
        async with attempt_to_serve(service.folder, **again) as second:
            said, complained = await asyncio.wait_for(second.communicate(), 30)

        assert second.returncode == 2
        (line,) = complained.decode().splitlines()
        assert f"{HOST}:{service.port}" in line
        assert said == b""
        assert attempts_of(service.database, waiting) == []
        assert llm.total == 1
        assert service.running


async def test_without_a_key_it_refuses_to_serve_beyond_this_machine(tmp_path: Path) -> None:
    spare = Service(folder=tmp_path)

    async with attempt_to_serve(tmp_path, APP_HOST="0.0.0.0", APP_PORT=str(spare.port)) as process:
        said, complained = await asyncio.wait_for(process.communicate(), 30)

    assert process.returncode == 2
    (line,) = complained.decode().splitlines()
    assert "0.0.0.0" in line
    assert "AUTH_TOKEN" in line
    assert said == b""
    assert logged(spare, "listening") == []
