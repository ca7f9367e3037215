"""A server of our protocol class with short timeouts, in the test's own process, and clients that misbehave."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, NoReturn

import uvicorn

from answerback.bootstrap.http_server import Server
from answerback.http.error_handlers import ErrorRenderers
from answerback.http.request_log import RequestLog
from answerback.http.server.early_responses import EarlyResponses
from answerback.http.server.protocol import BoundedHttp
from answerback.http.server.turns import READS_A_TURN, TURN_BYTES
from answerback.http.server.unread import UnreadResponses
from answerback.http.slices import Slices
from answerback.kernel.telemetry import UNMEASURED
from answerback.testing.service import HOST
from builders import Journal

PATIENCE = 10.0


class Impatient(BoundedHttp):
    early = EarlyResponses(RequestLog(Journal(), UNMEASURED), ErrorRenderers((), {}))
    unread = UnreadResponses()
    into = memoryview(bytearray(TURN_BYTES))
    slices = Slices(READS_A_TURN)
    patience = 0.2
    whole_request = 0.6
    stalled = 0.2


class Patient(Impatient):
    patience = whole_request = stalled = 30.0


class Counting(Patient):
    """Counts what all connections have sent."""

    received = 0
    most_at_once = 0
    most_fields = 0
    most_pipelined = 0

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        kind = type(self)
        kind.received += len(data)
        kind.most_at_once = max(kind.most_at_once, len(data))
        kind.most_fields = max(kind.most_fields, len(self.headers or ()))
        kind.most_pipelined = max(kind.most_pipelined, len(self.pipeline))


class App:
    """Reads a request's body to its end, then answers; `gone` is set when the client is. `streams` seconds long."""

    def __init__(self, streams: float = 0.0, size: int = 1) -> None:
        self.streams = streams
        self.chunk = b"x" * size
        self.gone = asyncio.Event()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        while (message := await receive()).get("more_body"):
            continue
        if message["type"] == "http.disconnect":
            self.gone.set()
            return
        watch = asyncio.ensure_future(receive())
        await send({"type": "http.response.start", "status": 200, "headers": []})
        until = asyncio.get_running_loop().time() + self.streams
        while not watch.done() and asyncio.get_running_loop().time() < until:
            await send({"type": "http.response.body", "body": self.chunk, "more_body": True})
            await asyncio.wait([watch], timeout=0.05 if len(self.chunk) == 1 else 0.0)
        if watch.done():
            self.gone.set()
        watch.cancel()
        await send({"type": "http.response.body", "body": b"the end", "more_body": False})


async def _nothing() -> None: ...


@asynccontextmanager
async def serving(app: Any, keep_alive: float = 75, http: type[BoundedHttp] = Impatient) -> AsyncIterator[int]:
    """The port of a server with short timeouts."""
    http.slices = Slices(READS_A_TURN)
    config = uvicorn.Config(app, http=http, lifespan="off", log_config=None, timeout_keep_alive=keep_alive)  # type: ignore[arg-type]
    server = Server(config, _nothing, {}, Journal())
    with socket.create_server((HOST, 0)) as listening:
        running = asyncio.ensure_future(server.serve([listening]))
        yield listening.getsockname()[1]
        server.should_exit = True
        await running


class Headers:
    """Reads the body, and answers with the names of the headers that it then finds; `early` before it reads."""

    def __init__(self, *, early: bool = False) -> None:
        self.early = early
        self.bodies: list[bytes] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        body = b""
        more = not self.early
        while more:
            message = await receive()
            body += message.get("body", b"")
            more = message.get("more_body", False)
        self.bodies.append(body)
        names = b",".join(name for name, _ in scope["headers"])
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(names))]})
        await send({"type": "http.response.body", "body": names, "more_body": False})


async def exchange(port: int, data: bytes) -> bytes:
    """All that comes back until the server closes."""
    async with connected(port) as (reader, writer):
        writer.write(data)
        return await rest(reader)


async def flood(writer: asyncio.StreamWriter, data: bytes) -> NoReturn:
    """Sends it until the connection is closed."""
    async with asyncio.timeout(PATIENCE):
        while True:
            writer.write(data)
            await writer.drain()


@asynccontextmanager
async def connected(port: int) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    reader, writer = await asyncio.open_connection(HOST, port)
    try:
        yield reader, writer
    finally:
        writer.transport.abort()


async def rest(reader: asyncio.StreamReader) -> bytes:
    try:
        return await asyncio.wait_for(reader.read(), 10)
    except ConnectionError:
        return b""
