"""A stop answers what came in the moment in which it ended listening."""

import asyncio
import os
import socket
from contextlib import ExitStack
from typing import Any

import pytest
import uvicorn

from answerback.bootstrap.server import Server
from answerback.testing.service import HOST
from bounded_http import PATIENCE, Headers, Patient, connected, rest, serving
from builders import Journal

REQUEST = b"GET / HTTP/1.1\r\nhost: h\r\n\r\n"


class Moment:
    """The moment between the acceptance of a connection and its protocol's `connection_made`."""

    def __init__(self) -> None:
        self.accepted = asyncio.Event()
        self.over = asyncio.Event()

    def protocol(self) -> type[Patient]:
        moment = self

        class Late(Patient):
            def connection_made(self, transport: Any) -> None:
                moment.make = lambda: super(Late, self).connection_made(transport)
                moment.accepted.set()

        return Late

    def make(self) -> None:
        raise AssertionError("nothing was accepted")

    def end(self) -> None:
        self.make()
        self.over.set()


class Listening:
    """A listening server; in the turn of the event loop after its end the moment is over."""

    def __init__(self, server: asyncio.Server, moment: Moment) -> None:
        self._server = server
        self._moment = moment

    def close(self) -> None:
        if self._server.is_serving():
            self._server.close()
            asyncio.get_running_loop().call_soon(self._moment.end)

    async def wait_closed(self) -> None:
        await self._server.wait_closed()


async def nothing() -> None: ...


@pytest.fixture
def moment() -> Moment:
    return Moment()


@pytest.fixture
def server(moment: Moment) -> Server:
    http: Any = moment.protocol()
    config = uvicorn.Config(Headers(), http=http, lifespan="off", log_config=None, timeout_keep_alive=75)
    return Server(config, nothing, {}, Journal())


async def test_a_connection_made_after_the_end_of_listening_is_closed_after_its_request(
    server: Server, moment: Moment
) -> None:
    # Given a connection that is accepted, but not yet made
    with socket.create_server((HOST, 0)) as listening:
        running = asyncio.ensure_future(server.serve([listening]))
        reader, writer = await asyncio.open_connection(*listening.getsockname())
        await asyncio.wait_for(moment.accepted.wait(), PATIENCE)
        server.servers = [Listening(each, moment) for each in server.servers]  # type: ignore[misc]
        # When the server stops, and the client asks
        server.should_exit = True
        await asyncio.wait_for(moment.over.wait(), PATIENCE)
        writer.write(REQUEST)

        # Then it is answered, and the stop waits for no other request
        assert (await asyncio.wait_for(rest(reader), PATIENCE)).startswith(b"HTTP/1.1 200")
        await asyncio.wait_for(running, PATIENCE)
        writer.close()


async def test_connections_that_only_the_kernel_knows_are_answered() -> None:
    # Given requests that came since the event loop last looked
    config = uvicorn.Config(Headers(), http=Patient, lifespan="off", log_config=None, timeout_keep_alive=75)  # type: ignore[arg-type]
    server = Server(config, nothing, {}, Journal())
    with ExitStack() as stack:
        listening = stack.enter_context(socket.create_server((HOST, 0)))
        address = listening.getsockname()
        config.load()
        server.lifespan = config.lifespan_class(config)
        await server.startup([listening])
        clients = [stack.enter_context(socket.create_connection(address, PATIENCE)) for _ in range(3)]
        for client in clients:
            client.sendall(REQUEST)

        # When the server stops
        await asyncio.wait_for(server.shutdown([listening]), PATIENCE)

        # Then each is answered
        assert [client.recv(12) for client in clients] == [b"HTTP/1.1 200"] * 3


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


async def test_an_idle_connection_on_which_a_request_has_just_come_is_not_closed(known: type[Known]) -> None:
    async with serving(Headers(), http=known) as port, connected(port) as (reader, writer):
        # Given a request that the kernel has, and the event loop not yet
        writer.write(REQUEST)
        await reader.readuntil(b"host")
        [connection] = known.seen
        connection.shutdown()
        os.write(writer.get_extra_info("socket").fileno(), REQUEST)

        # When the time of idle connections is over
        connection._leave()

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
