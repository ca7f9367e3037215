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


class LingeringTransport:
    """What a request that closes its connection writes its response to. A socket that is closed while more of the
    request comes resets the connection, and a client that still sends loses the response."""

    def __init__(self, transport: asyncio.Transport, close: Callable[[], None]) -> None:
        self.write = transport.write
        self.is_closing = transport.is_closing
        self.close = close
