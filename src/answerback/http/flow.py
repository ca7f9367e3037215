"""How a connection is read, and how it is closed, so that no client loses a response."""

import asyncio
from collections.abc import Callable

from uvicorn.protocols.http.flow_control import FlowControl


class Flow(FlowControl):
    """Reads no more while a request waits for the response to the one before. A response that streams resumes reading,
    to notice a client that hangs up."""

    pipelined = False

    def resume_reading(self) -> None:
        if not self.pipelined:
            super().resume_reading()


class JoinedWrites:
    """What a connection's responses are written to: a head leaves with what follows it in the same turn of the loop.
    uvicorn writes each for itself, and a packet more costs a tenth of a small response."""

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self.is_closing = transport.is_closing
        self._transport = transport
        self._loop = loop
        self._head_comes = False
        self._held = b""

    def head_comes(self) -> None:
        """The next that is written is the head of a response."""
        self._head_comes = True

    def write(self, data: bytes) -> None:
        if self._head_comes:
            self._head_comes = False
            self.flush()
            self._held = data
            self._loop.call_soon(self.flush)
        elif self._held:
            head, self._held = self._held, b""
            self._transport.writelines((head, data))
        else:
            self._transport.write(data)

    def flush(self) -> None:
        """Writes a head that nothing has followed yet."""
        head, self._held = self._held, b""
        if head and not self.is_closing():
            self._transport.write(head)

    def close(self) -> None:
        self.flush()
        self._transport.close()


class LingeringTransport:
    """What a request that closes its connection writes its response to. A socket that is closed while more of the
    request comes resets the connection, and a client that still sends loses the response."""

    def __init__(self, transport: JoinedWrites, close: Callable[[], None]) -> None:
        self.write = transport.write
        self.is_closing = transport.is_closing
        self.close = close
