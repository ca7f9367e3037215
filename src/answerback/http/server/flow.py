"""How a connection is read, and how it is closed, so that no client loses a response."""

import asyncio
import socket
import struct
from collections.abc import Callable
from typing import TYPE_CHECKING, cast

from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

if TYPE_CHECKING:
    from uvicorn._types import ASGI3Application, ASGIReceiveCallable, ASGISendCallable, ASGISendEvent, Scope


HIGH_WATER_BYTES = 8 * 1024
"""How much waits in this process for a client before its response makes no more: the kernel holds enough."""


class Flow(FlowControl):
    """Reads no more while a request waits for the response to the one before. A response that streams resumes reading,
    to notice a client that hangs up."""

    pipelined = False
    resting = False

    def __init__(self, transport: asyncio.Transport) -> None:
        super().__init__(transport)
        transport.set_write_buffer_limits(HIGH_WATER_BYTES)

    def resume_reading(self) -> None:
        if self.pipelined:
            return
        if self.resting:
            self.read_paused = False
        else:
            super().resume_reading()

    def rest(self, seconds: float, loop: asyncio.AbstractEventLoop) -> None:
        """Reads nothing meanwhile; at least until the event loop has turned."""
        self.wait()
        loop.call_later(seconds, self.go_on)

    def wait(self) -> None:
        """Reads nothing until it may go on."""
        if not self.resting:
            self.resting = True
            self._transport.pause_reading()

    def go_on(self) -> None:
        self.resting = False
        if not self.read_paused and not self._transport.is_closing():
            self._transport.resume_reading()


class ResponseWriter:
    """What the responses of a connection are written to. What is written in one turn of the event loop leaves at its
    end: a head with its body, and responses one right after the other. A write wakes its reader, which costs more than
    the write; a reader that is awake takes the next response, too."""

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self.is_closing = transport.is_closing
        self._transport = transport
        self._loop = loop
        self._held: list[bytes] = []

    def write(self, data: bytes) -> None:
        if not self._held:
            self._loop.call_soon(self.flush)
        self._held.append(data)
        if len(data) > HIGH_WATER_BYTES:
            # Its sender is to know at once whether the client takes it.
            self.flush()

    def flush(self) -> None:
        """Writes what is held, unless the connection is being closed."""
        held, self._held = self._held, []
        if held and not self.is_closing():
            self._transport.writelines(held)

    def close(self) -> None:
        self.flush()
        self._transport.close()


def fitted(
    app: "ASGI3Application", cycle: RequestResponseCycle, close_after: Callable[[RequestResponseCycle], None]
) -> "ASGI3Application":
    """The application as this request wants its response. A client that waits for a 100 (Continue) and is answered
    without one may send its body or not: the response is the last of its connection (RFC 9110, section 10.1.1). A
    client of HTTP/1.0 knows no chunks (RFC 9112, section 6.1): a response without `Content-Length` ends with its
    connection."""
    knows_no_chunks = cycle.scope["http_version"] == "1.0"
    if not knows_no_chunks and not cycle.waiting_for_100_continue:
        return app

    async def answer(scope: "Scope", receive: "ASGIReceiveCallable", send: "ASGISendCallable") -> None:
        unmeasured = False

        async def send_fitted(message: "ASGISendEvent") -> None:
            nonlocal unmeasured
            if message["type"] == "http.response.start":
                if cycle.waiting_for_100_continue and cycle.more_body:
                    close_after(cycle)
                if knows_no_chunks and not any(name.lower() == b"content-length" for name, _ in message["headers"]):
                    unmeasured, cycle.chunked_encoding = True, False
            elif message["type"] == "http.response.body" and unmeasured:
                cycle.expected_content_length = len(message["body"])
            await send(message)

        await app(scope, receive, send_fitted)

    return answer


class LingeringTransport:
    """What a request that closes its connection writes its response to. A socket that is closed while more of the
    request comes resets the connection, and a client that still sends loses the response."""

    def __init__(self, transport: ResponseWriter, close: Callable[[], None]) -> None:
        self.write = transport.write
        self.is_closing = transport.is_closing
        self.close = close


def reset(transport: asyncio.BaseTransport) -> None:
    """Ends the connection without waiting for its reader. What the kernel holds goes, too: a quarter of a megabyte,
    which it would offer a client that never reads for minutes."""
    linger = struct.pack("ii", 1, 0)
    transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    cast(asyncio.WriteTransport, transport).abort()
