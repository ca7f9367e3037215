"""How much of a connection is read before others have their turn."""

import asyncio
from typing import Any, ClassVar

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from answerback.http.flow import Flow
from answerback.kernel.allowance import Allowance

TURN_BYTES = 32 * 1024
"""What a connection may bring in one turn of the event loop: thousands of chunks may be in it."""
CHUNKS_A_SECOND, CHUNKS_AT_ONCE = 10_000, 4_000
"""How many chunks of next to nothing are taken of a connection. Then it rests."""
CONTENT_OF_A_CHUNK = 16
"""So many bytes make up for a chunk."""


class TurnTaking(HttpToolsProtocol, asyncio.BufferedProtocol):
    """uvicorn's protocol, which would read a quarter of a megabyte at once, and again. What comes passes through
    `into`, where nothing stays: all connections of an event loop share it."""

    flow: Flow
    into: ClassVar[memoryview]

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._chunks = 0
        self._allowance = Allowance(CHUNKS_A_SECOND, CHUNKS_AT_ONCE)

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002 (a turn's bytes)
        return self.into

    def buffer_updated(self, nbytes: int) -> None:
        self._chunks = 0
        self.data_received(bytes(self.into[:nbytes]))
        rest, small = 0.0, self._chunks - nbytes // CONTENT_OF_A_CHUNK
        if small > 0:
            rest = self._allowance.rest_after(small, self.loop.time())
        if (rest or nbytes == len(self.into)) and not self.transport.is_closing():
            self.flow.rest(rest, self.loop)

    def on_body(self, body: bytes) -> None:
        self._chunks += 1
        super().on_body(body)
