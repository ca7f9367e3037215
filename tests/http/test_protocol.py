"""The head of a request is bounded, and so is the wait for a client that sends or reads nothing."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import uvicorn

from answerback.http.error_handlers import ErrorRenderers
from answerback.http.protocol import BoundedHttp
from answerback.http.request_log import RequestLog
from answerback.kernel.telemetry import UNMEASURED
from answerback.testing.service import HOST, Service
from builders import Journal


async def test_an_endless_header_is_refused_while_other_clients_are_served() -> None:
    async with Service({"MOCK_MODE": "true"}) as service:
        reader, writer = await asyncio.open_connection(HOST, service.port)
        writer.write(b"GET /healthz HTTP/1.1\r\nhost: h\r\nx: ")
        try:
            for _ in range(1_000):
                writer.write(b"a" * 65_536)
                await writer.drain()
        except ConnectionError:
            pass
        answer = await _rest(reader)
        writer.close()

        assert not answer or answer.startswith(b"HTTP/1.1 431 ")
        assert await _get(service.port, b"x" * 1_000) == b"HTTP/1.1 200 OK"


async def test_headers_below_the_limit_pass_on_every_request_of_a_connection() -> None:
    async with Service({"MOCK_MODE": "true"}) as service:
        reader, writer = await asyncio.open_connection(HOST, service.port)
        for _ in range(20):
            writer.write(b"GET /healthz HTTP/1.1\r\nhost: h\r\nx: " + b"a" * 30_000 + b"\r\n\r\n")
            head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 10)
            length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
            await reader.readexactly(length)
            assert head.startswith(b"HTTP/1.1 200 OK")
        writer.close()


REFUSED = [
    (b"nonsense\r\n\r\n", 400, "invalid_http", "- -"),
    (b"GET /v1/jobs HTTP/1.1\r\nbad header\r\n\r\n", 400, "invalid_http", "GET /v1/jobs"),
    (b"GET /v1/sessions/secret HTTP/1.1\r\nbad header\r\n\r\n", 400, "invalid_http", "GET /v1/sessions/…"),
    (b"POST /webhook?x HTTP/1.1\r\nx: " + b"a" * 200_000, 431, "headers_too_large", "POST /webhook"),
]


async def test_a_request_refused_before_routing_has_an_id_and_a_log_line() -> None:
    async with Service({"MOCK_MODE": "true", "LOG_FORMAT": "text"}) as service:
        for data, status, code, asked in REFUSED:
            head, _, body = (await _exchange(service.port, data)).partition(b"\r\n\r\n")
            headers = dict(line.lower().split(": ", 1) for line in head.decode().splitlines()[1:])

            assert head.startswith(b"HTTP/1.1 %d " % status)
            assert headers["x-request-id"].startswith("req_")
            assert (headers["content-type"], headers["connection"]) == ("application/json", "close")
            problem = json.loads(body)
            assert problem == {"detail": problem["error"]["message"], "error": problem["error"]}
            assert problem["error"]["code"] == code
            line = service.logs.splitlines()[-1]
            assert f"ERROR | {asked} | handler=- | time=" in line
            assert line.endswith(f"status_code={status}")

        named = b"GET /v1/models HTTP/1.1\r\nx-request-id: mine\r\nhost: h\r\nbad header\r\n\r\n"
        head, _, body = (await _exchange(service.port, named)).partition(b"\r\n\r\n")
        assert b"x-request-id: mine" in head
        assert json.loads(body)["error"].keys() == {"message", "type", "param", "code"}
        assert "Invalid HTTP" not in service.logs


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


async def _exchange(port: int, data: bytes) -> bytes:
    """The response. A long request is sent only until it is answered: unread bytes would reset the connection."""
    reader, writer = await asyncio.open_connection(HOST, port)
    answer = b""
    for begin in range(0, len(data), 16_384):
        writer.write(data[begin : begin + 16_384])
        try:
            answer = await asyncio.wait_for(reader.read(10_000), 0.05)
            break
        except TimeoutError:
            continue
    answer += await _rest(reader)
    writer.close()
    return answer


async def _get(port: int, value: bytes) -> bytes:
    reader, writer = await asyncio.open_connection(HOST, port)
    writer.write(b"GET /healthz HTTP/1.1\r\nhost: h\r\nconnection: close\r\nx: " + value + b"\r\n\r\n")
    answer = await asyncio.wait_for(reader.read(), 10)
    writer.close()
    return answer.partition(b"\r\n")[0]
