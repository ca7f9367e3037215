"""The wait for a client that sends or reads nothing is bounded."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import uvicorn

from answerback.http.error_handlers import ErrorRenderers
from answerback.http.protocol import BoundedHttp
from answerback.http.request_log import RequestLog
from answerback.kernel.telemetry import UNMEASURED
from answerback.testing.service import HOST
from builders import Journal


class Impatient(BoundedHttp):
    requests = RequestLog(Journal(), UNMEASURED)
    renderers = ErrorRenderers((), {})
    patience = 0.2
    whole_request = 0.6
    stalled = 0.2


PATIENCE = 10.0
HEAD = b"POST / HTTP/1.1\r\nhost: h\r\ncontent-length: 100\r\n\r\n"


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


@asynccontextmanager
async def serving(app: App, keep_alive: int = 75) -> AsyncIterator[int]:
    """The port of a server with short timeouts."""
    config = uvicorn.Config(app, http=Impatient, lifespan="off", log_config=None, timeout_keep_alive=keep_alive)
    server = uvicorn.Server(config)
    with socket.create_server((HOST, 0)) as listening:
        running = asyncio.ensure_future(server.serve([listening]))
        yield listening.getsockname()[1]
        server.should_exit = True
        await running


async def test_a_head_that_stays_incomplete_is_answered_with_408_and_closed() -> None:
    async with serving(App()) as port:
        reader, writer = await asyncio.open_connection(HOST, port)
        writer.write(b"GET / HTTP/1.1\r\nhost: h\r\n")

        answer = await _rest(reader)

        assert answer.startswith(b"HTTP/1.1 408 Request Timeout\r\n")
        assert b'"code":"request_timeout"' in answer
        writer.close()


async def test_a_body_that_stays_incomplete_is_answered_with_408_and_closed() -> None:
    app = App()
    async with serving(app) as port:
        reader, writer = await asyncio.open_connection(HOST, port)
        writer.write(HEAD + b"half")

        assert (await _rest(reader)).startswith(b"HTTP/1.1 408 ")
        await asyncio.wait_for(app.gone.wait(), PATIENCE)
        writer.close()


async def test_a_request_that_trickles_in_is_bounded_as_a_whole() -> None:
    async with serving(App()) as port:
        reader, writer = await asyncio.open_connection(HOST, port)
        writer.write(b"GET / HTTP/1.1\r\nx: ")
        answer, trickled = b"", 0
        while not answer:
            writer.write(b"a")
            trickled += 1
            try:
                answer = await asyncio.wait_for(reader.read(1000), 0.05)
            except TimeoutError:
                continue

        assert answer.startswith(b"HTTP/1.1 408 ")
        assert trickled > 5
        writer.close()


async def test_a_long_stream_is_not_cut_by_the_incomplete_request_behind_it() -> None:
    async with serving(App(streams=0.9)) as port:
        reader, writer = await asyncio.open_connection(HOST, port)
        writer.write(b"GET / HTTP/1.1\r\nhost: h\r\n\r\n" + b"GET /next HTTP/1.1\r\nho")

        whole = await asyncio.wait_for(reader.readuntil(b"the end\r\n0\r\n\r\n"), PATIENCE)

        assert b" 408 " not in whole
        assert (await _rest(reader)).startswith(b"HTTP/1.1 408 ")
        writer.close()


async def test_a_connection_without_a_request_is_closed_as_an_idle_one() -> None:
    async with serving(App(), keep_alive=0) as port:
        reader, writer = await asyncio.open_connection(HOST, port)

        assert await _rest(reader) == b""
        writer.close()


async def test_a_client_that_does_not_read_its_stream_is_disconnected() -> None:
    app = App(streams=60.0, size=256 * 1024)
    async with serving(app) as port:
        _, writer = await asyncio.open_connection(HOST, port, limit=1)
        writer.write(b"GET / HTTP/1.1\r\nhost: h\r\n\r\n")

        await asyncio.wait_for(app.gone.wait(), PATIENCE)

        writer.close()


async def _rest(reader: asyncio.StreamReader) -> bytes:
    try:
        return await asyncio.wait_for(reader.read(), 10)
    except ConnectionError:
        return b""
