"""How much of a connection is read before others have their turn."""

import asyncio
from typing import Any, ClassVar

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from answerback.http.chunk_rate import ChunkRate
from answerback.http.server.flow import Flow

TURN_BYTES = 32 * 1024
"""What a connection may bring in one turn of the event loop: thousands of chunks may be in it."""


class TurnTaking(HttpToolsProtocol):
    """uvicorn's protocol, which would read a quarter of a megabyte at once, and again. What comes passes through
    `into`, where nothing stays: all connections of an event loop share it."""

    flow: Flow
    into: ClassVar[memoryview]

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._chunks = 0
        self._rate = ChunkRate(self.loop.time)

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's
        super().connection_made(transport)
        transport.set_protocol(_Reader(self))

    def read(self, nbytes: int) -> None:
        """Takes what came `into` the buffer."""
        self._chunks = 0
        self.data_received(bytes(self.into[:nbytes]))
        rest = self._rate.rest_after(self._chunks, nbytes)
        if (rest or nbytes == len(self.into)) and not self.transport.is_closing():
            self.flow.rest(rest, self.loop)

    def on_body(self, body: bytes) -> None:
        self._chunks += 1
        super().on_body(body)


class _Reader(asyncio.BufferedProtocol):
    """What the transport calls for a connection: uvloop gives its own buffers to whatever is an `asyncio.Protocol`."""

    def __init__(self, connection: TurnTaking) -> None:
        self._connection = connection

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002 (a turn's bytes)
        return self._connection.into

    def buffer_updated(self, nbytes: int) -> None:
        self._connection.read(nbytes)

    def eof_received(self) -> None:
        self._connection.eof_received()

    def pause_writing(self) -> None:
        self._connection.pause_writing()

    def resume_writing(self) -> None:
        self._connection.resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        self._connection.connection_lost(exc)
