"""A stop answers what came in the moment in which it ended listening."""

import asyncio
import os
import socket
from contextlib import AsyncExitStack, ExitStack
from typing import Any, Self

import pytest
import uvicorn

from answerback.bootstrap.http_server import QUIET_SECONDS, Server
from answerback.testing.service import HOST
from bounded_http import PATIENCE, Headers, Patient, connected, rest, serving
from builders import Journal
from loop_clock import LoopClock

REQUEST = b"GET / HTTP/1.1\r\nhost: h\r\n\r\n"


async def nothing() -> None: ...


class Started:
    """A server that stops when it is asked to, without a turn of the event loop before."""

    def __init__(self, app: Any) -> None:
        config = uvicorn.Config(app, http=Patient, lifespan="off", log_config=None, timeout_keep_alive=75)  # type: ignore[arg-type]
        config.load()
        self._server = Server(config, nothing, {}, Journal())
        self._server.lifespan = config.lifespan_class(config)
        self._listening = socket.create_server((HOST, 0))
        self.port: int = self._listening.getsockname()[1]

    async def __aenter__(self) -> Self:
        await self._server.startup([self._listening])
        return self

    async def __aexit__(self, *_: object) -> None:
        self._listening.close()

    def stop(self) -> "asyncio.Task[None]":
        """It begins before anything that the event loop has yet to see."""
        return asyncio.create_task(self._server.shutdown([self._listening]))


@pytest.fixture
async def clock(monkeypatch: pytest.MonkeyPatch) -> LoopClock:
    return LoopClock(asyncio.get_running_loop(), monkeypatch)


async def test_connections_that_only_the_kernel_knows_are_answered(clock: LoopClock) -> None:
    async with Started(Headers()) as server:
        with ExitStack() as stack:
            # Given requests that came since the event loop last looked
            address = (HOST, server.port)
            clients = [stack.enter_context(socket.create_connection(address, PATIENCE)) for _ in range(3)]
            for client in clients:
                client.sendall(REQUEST)

            # When the server stops
            stopping = server.stop()
            await clock.moves(2 * QUIET_SECONDS)

            # Then each is answered
            assert stopping.done()
            assert [client.recv(12) for client in clients] == [b"HTTP/1.1 200"] * 3


@pytest.mark.parametrize("turns", range(4))
async def test_a_connection_that_is_just_being_accepted_is_answered_and_then_closed(
    turns: int, clock: LoopClock
) -> None:
    async with Started(Headers()) as server:
        # Given a connection that is accepted, but perhaps not yet made
        with socket.create_connection((HOST, server.port), PATIENCE) as client:
            for _ in range(turns):
                await asyncio.sleep(0)

            # When the server stops, and the client asks
            stopping = server.stop()
            await asyncio.sleep(0)
            client.sendall(REQUEST)

            # Then it is answered, and the stop waits for no other request
            await clock.moves(2 * QUIET_SECONDS)
            assert stopping.done()
            assert client.recv(4096).startswith(b"HTTP/1.1 200")
            assert client.recv(4096) == b""


class Slow:
    """Begins to answer, and goes on when it may."""

    def __init__(self) -> None:
        self.goes_on = asyncio.Event()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"begun", "more_body": True})
        await self.goes_on.wait()
        await send({"type": "http.response.body", "body": b"", "more_body": False})


class Known(Patient):
    """Remembers its connections."""

    seen: list["Known"]

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self.seen.append(self)


@pytest.fixture
def known() -> type[Known]:
    return type("Connections", (Known,), {"seen": []})


async def test_idle_connections_stay_while_clients_still_ask(clock: LoopClock) -> None:
    async with Started(Headers()) as server, AsyncExitStack() as stack:
        # Given a client with several connections
        pool = [await stack.enter_async_context(connected(server.port)) for _ in range(5)]
        for reader, writer in pool:
            writer.write(REQUEST)
            await reader.readuntil(b"\r\n\r\nhost")

        # When the server stops while it asks on one after the other for longer than an idle one would stay
        stopping = server.stop()
        answered = []
        for reader, writer in pool:
            await clock.moves(QUIET_SECONDS / 2)
            writer.write(REQUEST)
            answered.append(await rest(reader))

        # Then each is answered, and the stop waits for no other
        assert [each[:12] for each in answered] == [b"HTTP/1.1 200"] * len(pool)
        await clock.moves(QUIET_SECONDS / 2)
        await stopping


async def test_an_idle_connection_on_which_a_request_has_just_come_is_not_closed(known: type[Known]) -> None:
    async with serving(Headers(), http=known) as port, connected(port) as (reader, writer):
        # Given a request that the kernel has, and the event loop not yet
        writer.write(REQUEST)
        await reader.readuntil(b"host")
        [connection] = known.seen
        connection.shutdown()
        os.write(writer.get_extra_info("socket").fileno(), REQUEST)

        # When idle connections are closed
        connection.leave()

        # Then it is answered, as the last one
        said = await rest(reader)
        assert said.startswith(b"HTTP/1.1 200")
        assert b"connection: close" in said


async def test_a_client_whose_response_had_begun_may_ask_once_more(known: type[Known]) -> None:
    app = Slow()
    async with serving(app, http=known) as port, connected(port) as (reader, writer):
        # Given a response whose head says nothing of an end
        writer.write(REQUEST)
        head = await reader.readuntil(b"\r\n\r\n")
        assert b"connection: close" not in head
        [connection] = known.seen

        # When the server stops, the response ends, and the client asks again
        connection.shutdown()
        app.goes_on.set()
        await reader.readuntil(b"0\r\n\r\n")
        writer.write(REQUEST)

        # Then it is answered, as the last one
        said = await rest(reader)
        assert said.startswith(b"HTTP/1.1 200")
        assert b"connection: close" in said
