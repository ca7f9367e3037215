"""One connection: a request, then its response, one exchange at a time."""

import asyncio
from collections.abc import Callable
from functools import partial
from typing import cast

from answerback.http.chunk_rate import ChunkRate, SharedAllowance
from answerback.http.client.errors import BodyBroken, Disconnected, HttpError, StaleConnection, TooMuchFraming
from answerback.http.client.parser import ResponseParser
from answerback.http.client.response import Response
from answerback.http.client.slices import ReaderSlices
from answerback.http.client.tls import MAX_TLS_BYTES, TLS_BYTES_OF_A_CHUNK
from answerback.http.descriptors import has_unread, may_wait

TURN_BYTES = 8 * 1024
"""What a connection may bring in one turn of the event loop. More waits in the kernel while others have their turns:
framing can cost a hundred times as much as content."""
SMALL_TURN_BYTES = 2 * 1024
"""The same where there are hundreds of chunks even in that."""
SMALL_CHUNK = 4
"""Of at most so many bytes of content."""
CHUNKS_OF_A_READ = 32
"""A read costs as much as so many chunks."""
CHUNKS_OF_A_STRANGERS_READ = 12
"""Less, for what strangers bring makes up for less: reads of whole turns bring 20 MB a second, of all together."""


class Connection(asyncio.BufferedProtocol):
    """`idle` is called when an exchange is over and another may follow, `lost` once, when it is closed; `closed` is
    done then. Of a body, `buffer_bytes` wait for its reader before the server is made to wait; `framing_bytes` are as
    for `ResponseParser`, `allowance` is that of strangers. What comes passes through `into`, where nothing stays: all
    connections of an event loop may share it."""

    def __init__(
        self,
        idle: Callable[["Connection"], None],
        lost: Callable[["Connection"], None],
        into: memoryview,
        buffer_bytes: int,
        framing_bytes: int,
        slices: ReaderSlices,
        allowance: SharedAllowance | None,
    ) -> None:
        self._into = self._turn = into
        self._slices = slices
        self._framing_bytes = framing_bytes
        self._buffer_bytes = buffer_bytes
        self._idle = idle
        self._lost = lost
        # Kept: to ask which one runs is a system call.
        self.loop = asyncio.get_running_loop()
        self.closed: asyncio.Future[None] = self.loop.create_future()
        self._transport: asyncio.Transport | None = None
        self._descriptor = -1
        self.may_wait = False
        """Whether it may be kept for a next request."""
        self._parser: ResponseParser | None = None
        self._response: Response | None = None
        self._awaited: asyncio.Future[Response] | None = None
        self._exchanges = 0
        self._silent = True
        self._early = b""
        self._unsent: tuple[bytes, ...] = ()
        self._turn_over = False
        self._reader_behind = False
        self._resting = False
        self._allowance = allowance
        self._a_read = CHUNKS_OF_A_READ if allowance is None else CHUNKS_OF_A_STRANGERS_READ
        self._rate = ChunkRate(self.loop.time)
        self._framing = 0
        self._deadline = float("inf")
        self._timer: asyncio.TimerHandle | None = None

    @property
    def open(self) -> bool:
        return self._transport is not None and not self._transport.is_closing()

    async def exchange(self, request: tuple[bytes, ...], deadline: float, tenant_id: str = "") -> Response:
        """Sends a request of the tenant's; the response, once its head has come. By the `deadline`, in the event loop's
        time, that ends, and so does a read of the body that waits then: by TimeoutError. Raises HttpError. Cancelling
        closes the connection."""
        if self._transport is None or self._transport.is_closing():
            raise self._disconnected()
        loop = self.loop
        self._exchanges += 1
        self._silent = True
        self._framing = 0
        shared = self._allowance
        self._rate = ChunkRate(loop.time, None if shared is None else partial(shared.rest_after, tenant_id))
        self._parser = ResponseParser(self._framing_bytes)
        awaited: asyncio.Future[Response] = loop.create_future()
        self._awaited = awaited
        self._unsent = request
        self._end_by(deadline)
        # With the other requests of this turn of the loop: each write for itself would wake its reader for one.
        loop.call_soon(self._send)
        try:
            return await awaited
        except BaseException:
            # A response that came whole before the cancellation has left the connection to the next exchange.
            if self._awaited is awaited:
                self.abort()
            elif not awaited.cancelled() and awaited.exception() is None:
                awaited.result().close()
            raise

    def _end_by(self, deadline: float) -> None:
        """One timer serves all exchanges: most deadlines are behind the one before, and none is met."""
        if self._timer is not None and deadline < self._deadline:
            self._timer.cancel()
            self._timer = None
        self._deadline = deadline
        if self._timer is None:
            self._timer = self.loop.call_at(deadline, self._look)

    def _look(self) -> None:
        self._timer = None
        if self._parser is None:
            return
        if self.loop.time() < self._deadline:
            self._end_by(self._deadline)
        elif self._response is not None:
            self._response.interrupt()
        elif self._awaited is not None and not self._awaited.done():
            self._awaited.set_exception(TimeoutError())

    def _send(self) -> None:
        # What the kernel has by now would be taken for an answer.
        if self._exchanges > 1 and self._parser is not None and self.open and has_unread(self._descriptor):
            self._fail(StaleConnection("it has said something unasked, or closed"))
            return
        self._write()
        if self._early and self._parser is not None:
            self._received(b"")

    def _write(self) -> None:
        request, self._unsent = self._unsent, ()
        if request and self._transport is not None and not self._transport.is_closing():
            self._transport.writelines(request)

    def resume(self) -> None:
        """The reader has taken what had come."""
        if self._reader_behind:
            self._reader_behind = False
            self._read_on()

    def close(self) -> None:
        """For a connection between exchanges."""
        if self._transport is not None:
            self._transport.close()

    def abort(self) -> None:
        """Closes without waiting for anything to be sent."""
        self._parser = None
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._descriptor = transport.get_extra_info("socket").fileno()
        self.may_wait = may_wait(self._descriptor)

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002 (a turn's bytes)
        return self._turn

    def buffer_updated(self, nbytes: int) -> None:
        if nbytes == len(self._turn):
            self._turn_over = True
            self._pause()
            self.loop.call_soon(self._next_turn)
        self._received(bytes(self._into[:nbytes]))

    def framed(self, nbytes: int) -> None:
        """So many bytes came of what TLS alone needed, besides what is content to it."""
        self._framing += nbytes
        if self._framing > MAX_TLS_BYTES:
            if self._parser is not None:
                self._head_came(self._parser)
            self._fail(TooMuchFraming("more TLS than content"))
            return
        self._pace(nbytes // TLS_BYTES_OF_A_CHUNK, 0)

    def _next_turn(self) -> None:
        self._turn_over = False
        self._read_on()

    def _received(self, data: bytes) -> None:
        self._framing = max(0, self._framing - 2 * len(data))
        parser = self._parser
        if parser is None:
            self._unasked(data)
            return
        if self._unsent:
            # What comes first is no answer to a request that was never sent.
            if self._exchanges > 1:
                self._fail(StaleConnection("it has said something unasked"))
                return
            self._write()
        if self._early:
            data, self._early = self._early + data, b""
        self._silent = False
        chunks = parser.chunks
        try:
            content = parser.feed(data)
        except HttpError as error:
            self._head_came(parser)
            self._fail(error)
            return
        self._pace(parser.chunks - chunks, len(content))
        if self._response is None:
            self._head_came(parser)
        if content and self._response is not None and self._response.brought(content):
            self._reader_behind = True
            self._pause()
        if parser.error is not None:
            self._fail(parser.error)
        elif parser.complete:
            self._complete(parser)

    def _pace(self, chunks: int, content: int) -> None:
        """How much a next turn takes, and when that is, once so many chunks came with so much in them."""
        if chunks > CHUNKS_OF_A_READ or self._turn is not self._into:
            are_small = chunks * SMALL_CHUNK >= content
            self._turn = self._into[:SMALL_TURN_BYTES] if are_small else self._into
        seconds = self._rate.rest_after(self._a_read + chunks, content)
        if seconds and not self._resting:
            self._resting = True
            self._pause()
            self.loop.call_later(seconds, self._rested)

    def _rested(self) -> None:
        self._resting = False
        self._read_on()

    def eof_received(self) -> None:
        """Lets the transport close: a server that has ended its side gets nothing more."""

    def connection_lost(self, exc: Exception | None) -> None:
        parser, self._parser = self._parser, None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._lost(self)
        self.closed.set_result(None)
        if parser is not None and parser.head is not None:
            self._end(parser.closed() if exc is None else BodyBroken("the connection broke within the body"))
        else:
            self._end(self._disconnected())

    def _unasked(self, data: bytes) -> None:
        """A server that speaks before the first request may mean its response; later ones cannot be trusted."""
        if self._exchanges or len(self._early) > self._buffer_bytes:
            self.abort()
        else:
            self._early += data

    def _head_came(self, parser: ResponseParser) -> None:
        if self._response is not None or parser.head is None:
            return
        self._response = Response(self, parser.head.status, parser.head.headers, self._buffer_bytes, self._slices)
        awaited, self._awaited = self._awaited, None
        if awaited is not None and not awaited.done():
            awaited.set_result(self._response)

    def _pause(self) -> None:
        if self._transport is not None and self.open:
            self._transport.pause_reading()

    def _read_on(self) -> None:
        waits = self._turn_over or self._reader_behind or self._resting
        if not waits and self._transport is not None and self.open:
            self._transport.resume_reading()

    def _complete(self, parser: ResponseParser) -> None:
        self._parser = None
        self._end(None)
        # A server may answer before it has read the request.
        sent = self._transport is not None and not self._transport.get_write_buffer_size()
        if parser.reusable and sent and self.open:
            self.resume()
            self._idle(self)
        else:
            self.abort()

    def _fail(self, error: HttpError) -> None:
        self._end(error)
        self.abort()

    def _end(self, error: HttpError | None) -> None:
        response, self._response = self._response, None
        awaited, self._awaited = self._awaited, None
        if response is not None:
            response.ended(error)
        elif awaited is not None and not awaited.done():
            awaited.set_exception(error or Disconnected("closed"))

    def _disconnected(self) -> Disconnected:
        stale = self._silent and self._exchanges > 1
        return StaleConnection("closed since its last exchange") if stale else Disconnected("closed")
