"""TLS whose records are counted as all bytes are: tickets, changes of keys and handshakes may have no end, and cost far
more than content. The event loops' own TLS takes a quarter of a megabyte of them at once."""

import asyncio
import contextlib
import ssl
from collections.abc import Iterable
from typing import Any, Protocol, cast

from answerback.http.client.errors import TooMuchFraming

READ_BYTES = 8 * 1024
"""What is read in one turn of the event loop: thirty tickets, which take 2 ms."""
MAX_HANDSHAKE_BYTES = 256 * 1024
"""Of a server. The largest chains of certificates that OpenSSL takes have 100 KiB."""

MAX_TLS_BYTES = 64 * 1024
"""What TLS may need in an exchange besides twice as much as it brings: a record has 22 bytes, however small it is."""
TLS_BYTES_OF_A_CHUNK = 32
"""A ticket has some 250, and costs as much as eight chunks."""
MAX_RECORD_BYTES = 16 * 1024 + 256 + 5
"""With its head (RFC 8446, section 5.2): so many may have come of one that has brought nothing yet."""


class Content(Protocol):
    """The protocol that takes what was encrypted. `framed` counts bytes that TLS alone needed."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None: ...

    def connection_lost(self, exc: Exception | None) -> None: ...

    def get_buffer(self, sizehint: int) -> memoryview: ...

    def buffer_updated(self, nbytes: int) -> None: ...

    def framed(self, nbytes: int) -> None: ...


class Tls(asyncio.BufferedProtocol, asyncio.Transport):
    """A protocol of a connection, and the transport of what it brings. `handshake` is done once that may be used: with
    an OSError or a TooMuchFraming where it may not. Of the content's connection nothing is known before. What comes
    passes through `into`, where nothing stays."""

    def __init__(self, content: Content, context: ssl.SSLContext, name: str, into: memoryview) -> None:
        super().__init__()
        self._content: Content | None = content
        self._into = into
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname=name)
        self._loop = asyncio.get_running_loop()
        self.handshake: asyncio.Future[None] = self._loop.create_future()
        self._wire: Any = None
        self._made = False
        self._came = 0
        """Bytes that have brought nothing yet, and were not counted."""
        self._turn_over = False
        self._paused = False
        self._error: Exception | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._wire = transport
        self._go_on()

    def connection_lost(self, exc: Exception | None) -> None:
        error = self._error or exc
        if not self.handshake.done():
            self.handshake.set_exception(error or ConnectionResetError("closed within the handshake"))
        # Kept, it would be a cycle: of a closed connection nothing should wait for the garbage collector.
        content, self._content = self._content, None
        if self._made and content is not None:
            content.connection_lost(error)

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002 (a turn's bytes)
        return self._into

    def buffer_updated(self, nbytes: int) -> None:
        self._incoming.write(self._into[:nbytes])
        self._came += nbytes
        if nbytes == len(self._into):
            self._turn_over = True
            self._wire.pause_reading()
            self._loop.call_soon(self._next_turn)
        self._go_on()

    def eof_received(self) -> None:
        """Lets the transport close, and the content's protocol with it."""

    def _next_turn(self) -> None:
        self._turn_over = False
        self._read_on()

    def _read_on(self) -> None:
        if not (self._turn_over or self._paused or self.is_closing()):
            self._wire.resume_reading()

    def _go_on(self) -> None:
        """Does what can be done with the bytes that have come."""
        try:
            if not self._made:
                self._shake_hands()
            if self._made:
                self._bring()
        except ssl.SSLWantReadError:
            self._flush()
        except (ssl.SSLError, TooMuchFraming) as error:
            self._flush()
            self._fail(error)

    def _fail(self, error: Exception) -> None:
        self._error = error
        if not self.handshake.done():
            self.handshake.set_exception(error)
        self.abort()

    def _shake_hands(self) -> None:
        if self._came > MAX_HANDSHAKE_BYTES:
            raise TooMuchFraming("a handshake without end")
        self._tls.do_handshake()
        self._flush()
        self._made = True
        self._came = 0
        if self._content is not None:
            self._content.connection_made(self)
        if not self.handshake.done():
            self.handshake.set_result(None)

    def _bring(self) -> None:
        while (content := self._content) is not None and not self._paused and not self.is_closing():
            size, more = self._read(content.get_buffer(-1))
            self._came -= size
            if size:
                content.buffer_updated(size)
            if not more:
                self._count()
                break
        self._flush()

    def _read(self, into: memoryview) -> tuple[int, bool]:
        """Reads what many small records bring at once: how many bytes, and whether there may be more now."""
        size = 0
        while size < len(into):
            if size and not (self._incoming.pending or self._tls.pending()):
                return size, False
            try:
                # With a buffer it returns a number; the types of the library say otherwise.
                read = cast(int, self._tls.read(READ_BYTES, cast(bytearray, into[size:])))
            except ssl.SSLWantReadError:
                return size, False
            except ssl.SSLError:
                if size:
                    break  # and comes again
                raise
            if not read:
                self.close()
                return size, False
            size += read
        return size, True

    def _count(self) -> None:
        """There is no more than the beginning of a record."""
        if self._content is not None and self._came > MAX_RECORD_BYTES:
            framing, self._came = self._came - MAX_RECORD_BYTES, MAX_RECORD_BYTES
            self._content.framed(framing)

    def _flush(self) -> None:
        if self._outgoing.pending and not self.is_closing():
            self._wire.write(self._outgoing.read())

    def write(self, data: bytes | bytearray | memoryview) -> None:
        if self.is_closing():
            return
        try:
            self._tls.write(data)
        except ssl.SSLError as error:
            self._fail(error)
            return
        self._flush()

    def writelines(self, list_of_data: Iterable[bytes | bytearray | memoryview]) -> None:
        self.write(b"".join(list_of_data))

    def pause_reading(self) -> None:
        self._paused = True
        self._wire.pause_reading()

    def resume_reading(self) -> None:
        if self._paused:
            self._paused = False
            self._loop.call_soon(self._resumed)

    def _resumed(self) -> None:
        if not self._paused and not self.is_closing():
            self._go_on()
            self._read_on()

    def get_write_buffer_size(self) -> int:
        return int(self._wire.get_write_buffer_size())

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return self._wire.get_extra_info(name, default)

    def is_closing(self) -> bool:
        return self._wire is None or bool(self._wire.is_closing())

    def close(self) -> None:
        """Says so to the server, and waits for no answer."""
        if not self.is_closing():
            with contextlib.suppress(ssl.SSLError):
                self._tls.unwrap()
            self._flush()
            self._wire.close()

    def abort(self) -> None:
        self.handshake.cancel()
        if self._wire is not None:
            self._wire.abort()
