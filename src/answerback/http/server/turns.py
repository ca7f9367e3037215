"""How much of a connection, and of all together, is worked on before others have their turn."""

import asyncio
from functools import partial
from typing import Any, ClassVar

from uvicorn.protocols.http.flow_control import HIGH_WATER_LIMIT
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from answerback.http.chunk_rate import ChunkRate
from answerback.http.server.flow import Flow
from answerback.http.slices import Slices

TURN_BYTES = 32 * 1024
"""What a connection may bring in one turn of the event loop: thousands of chunks may be in it."""
FIRST_TURN_BYTES = 8 * 1024
"""The same of one that has not brought that much content yet."""
READS_A_TURN = 32
"""Of all connections together. A thousand that speak at once would make a turn of seconds."""
CHUNKS_OF_A_READ = 64
"""A read costs as much as so many chunks."""
PROBE = b"GET /healthz "
"""What asks whether the process lives waits behind nobody: a supervisor that waits in vain for a second ends it."""


class TurnTaking(HttpToolsProtocol):
    """uvicorn's protocol, which would read a quarter of a megabyte at once, and again. What comes passes through
    `into`, where nothing stays: all connections of an event loop share it, and `slices`."""

    flow: Flow
    into: ClassVar[memoryview]
    slices: ClassVar[Slices]

    @staticmethod
    def shared() -> dict[str, object]:
        """What the connections of an event loop share, as attributes of their class."""
        return {"into": memoryview(bytearray(TURN_BYTES)), "slices": Slices(READS_A_TURN)}

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.chunks = 0
        self.turn = self.into[:FIRST_TURN_BYTES]
        self._rate = ChunkRate(self.loop.time)

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's
        super().connection_made(transport)
        transport.set_protocol(_Reader(self))

    def read(self, nbytes: int) -> None:
        """Takes what came into the buffer, now or in a later turn."""
        data = bytes(self.turn[:nbytes])
        if self.slices.go_on() or data.startswith(PROBE):
            self._take(data)
        else:
            self.flow.wait()
            self.slices.later(self.loop, partial(self._take_later, data))

    def on_body(self, body: bytes) -> None:
        # As uvicorn's, in half the time: a body may come in chunks of one byte.
        self.chunks += 1
        cycle = self.cycle
        if cycle.response_complete:
            return
        cycle.body += body
        if len(cycle.body) > HIGH_WATER_LIMIT:
            self.flow.pause_reading()
        cycle.message_event.set()

    def _take_later(self, data: bytes) -> bool:
        if self.transport.is_closing():
            return False
        if not self._take(data):
            self.flow.go_on()
        return True

    def _take(self, data: bytes) -> bool:
        """Whether nothing more is read for now."""
        self.chunks = 0
        self.data_received(data)
        self.slices.took(self.chunks // CHUNKS_OF_A_READ)
        if self.transport.is_closing():
            return True
        rest = self._rate.rest_after(self.chunks, len(data))
        is_full = len(data) == len(self.turn)
        if is_full:
            are_small = self.chunks >= CHUNKS_OF_A_READ
            self.turn = self.into[:FIRST_TURN_BYTES] if are_small else self.into
        if rest or is_full:
            self.flow.rest(rest, self.loop)
        return bool(rest or is_full)


class _Reader(asyncio.BufferedProtocol):
    """What the transport calls for a connection: uvloop gives its own buffers to whatever is an `asyncio.Protocol`."""

    def __init__(self, connection: TurnTaking) -> None:
        self._connection = connection

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002 (a turn's bytes)
        return self._connection.turn

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
