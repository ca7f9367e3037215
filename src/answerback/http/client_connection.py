"""Connections of outgoing HTTP that count what a server sends.

aiohttp bounds a field and how many there are, and its callers bound bodies. Nothing bounds the rest: interim responses
without end, extensions of chunks, chunks of one byte, what follows a response. Here every byte counts.
"""

import asyncio
import functools
import re
from typing import Any

import aiohttp
from aiohttp.client_proto import ResponseHandler
from aiohttp.helpers import set_exception

from answerback.http.descriptors import may_wait, outgoing_socket

MAX_HEAD_BYTES = 64 * 1024
"""Of the heads of one response, those of its interim responses (1xx) included."""
MAX_INTERIM_RESPONSES = 16

_BLANK_LINE = re.compile(rb"\n\r?\n")
_FRAMING = re.compile(rb"(?im)^(content-length|transfer-encoding)[ \t]*:[ \t]*([^\r\n]*?)[ \t]*\r?\n")
_LENGTH = re.compile(rb"[0-9]{1,18}")


class StaleConnectionError(aiohttp.ServerDisconnectedError):
    """A connection that had been used before closed without a byte of response: its server may have closed it before
    the request came."""


class TooMuchFramingError(aiohttp.ClientError):
    """A server sends more heads and framing than an answer can need."""


class CountingConnector(aiohttp.TCPConnector):
    """A body may come with `framing` bytes of chunk sizes, extensions and trailers, and one more for each byte of
    content. Each chunk takes microseconds: many of one byte would hold the event loop.

    Keeps a connection for `keepalive` seconds after a response; None: each is used once. There is no limit of how
    many: the worker pool bounds what is in flight, and waiting here would only eat a request's timeout."""

    def __init__(self, keepalive: float | None, framing: int, **options: Any) -> None:
        super().__init__(
            **{"limit": 0, "socket_factory": outgoing_socket, **options},
            force_close=keepalive is None,
            keepalive_timeout=keepalive,
        )
        connection: Any = CountingConnection
        self._factory = functools.partial(connection, loop=self._loop, framing=framing)


class CountingConnection(ResponseHandler):
    """Feeds the parser one whole head at a time, so that a response whose head has come is known, whatever is wrong
    with the bytes behind it."""

    def __init__(self, loop: asyncio.AbstractEventLoop, framing: int) -> None:
        super().__init__(loop)
        self._framing = framing
        self._requests = 0
        self._begin()

    def set_response_params(self, **params: Any) -> None:
        """A request begins."""
        self._requests += 1
        self._begin()
        super().set_response_params(**params)

    @property
    def should_close(self) -> bool:
        """Whether it serves no other request. One whose descriptor is needed does not wait for it."""
        if super().should_close or self.transport is None:
            return True
        return not may_wait(self.transport.get_extra_info("socket").fileno())

    def set_exception(self, exc: BaseException, *cause: BaseException) -> None:
        closed = isinstance(exc, aiohttp.ServerDisconnectedError | aiohttp.ClientOSError)
        if closed and self._requests > 1 and not self._received:
            exc = StaleConnectionError()
        super().set_exception(exc, *cause)

    def data_received(self, data: bytes) -> None:
        if self._given_up:
            return
        self._received += len(data)
        if not self._requests:  # the server speaks first: `set_response_params` comes back with it
            super().data_received(data)
        elif not self._answered:
            self._feed_heads(self._head + data)
        elif not self._is_complete():  # without data: reading goes on with what the parser has kept
            self._feed_body(data)
        elif data:
            self._give_up(TooMuchFramingError("bytes behind a response"))

    def _begin(self) -> None:
        self._received = 0
        self._heads = 0
        self._fed = 0
        self._interim = 0
        self._head = b""
        self._rest = b""
        self._answered = False
        self._given_up = False

    def _feed_heads(self, data: bytes) -> None:
        """Feeds each head that is whole, and once a final one has come, what follows it."""
        while data and not self._given_up:
            if self._answered:
                self._feed_body(data)
                return
            end = _end_of_head(data)
            if end is None:
                break
            self._feed_head(data[:end])
            data = data[end:]
        self._head = data
        if self._heads + len(data) > MAX_HEAD_BYTES:
            self._give_up(TooMuchFramingError("too many headers"))

    def _feed_head(self, head: bytes) -> None:
        self._heads += len(head)
        if self._heads > MAX_HEAD_BYTES or self._interim >= MAX_INTERIM_RESPONSES:
            self._give_up(TooMuchFramingError("too many headers"))
            return
        framed = _is_framed(head)
        known = len(self._buffer)
        if not self._parse(head if framed else _FRAMING.sub(b"", head)):
            self._given_up = True
        elif len(self._buffer) > known:
            code = self._buffer[-1][0][0].code
            self._answered = code >= 200 or code == 101
            self._interim += not self._answered
            if not framed:
                self._give_up(aiohttp.ClientPayloadError("its head does not say where its body ends"))

    def _feed_body(self, data: bytes) -> None:
        """Feeds pieces as long as their reader takes them; without data, goes on where it stopped."""
        if not data and not self._parse_body(b""):
            return
        data, self._rest = self._rest + data, b""
        for start in range(0, len(data), self._framing):
            if self._reading_paused:
                self._rest = data[start:]
                return
            if not self._parse_body(data[start : start + self._framing]):
                return

    def _parse_body(self, data: bytes) -> bool:
        """Whether there is more of the body to come, and its server may go on."""
        payload = self._payload
        self._fed += len(data)
        parsed = self._parse(data)
        if payload is None or payload.is_eof():
            return False
        if not parsed:
            # aiohttp raises it only in the reader of a next response, of which there will be none.
            set_exception(payload, aiohttp.ClientPayloadError("the framing is broken"))
            return False
        # A parser that is paused may have a piece that it has not read yet.
        if self._fed > 2 * (self._framing + payload.total_bytes):
            self._give_up(TooMuchFramingError("more framing than content"))
            return False
        return True

    def _parse(self, data: bytes) -> bool:
        """Whether it is valid HTTP."""
        before = self._exception
        super().data_received(data)
        return self._exception is before

    def _is_complete(self) -> bool:
        return self._payload is None or self._payload.is_eof()

    def _give_up(self, error: aiohttp.ClientError) -> None:
        self._given_up = True
        self._head = self._rest = b""
        if self._payload is not None and not self._payload.is_eof():
            set_exception(self._payload, error)
        self.set_exception(error)
        if self.transport is not None:
            self.transport.abort()


def _end_of_head(data: bytes) -> int | None:
    """Behind the first blank line, or behind all if it is not HTTP, which then fails at once."""
    blank = _BLANK_LINE.search(data, 0, MAX_HEAD_BYTES)
    if blank is not None:
        return blank.end()
    begun = data.lstrip(b"\r\n")[:5]
    return None if b"HTTP/".startswith(begun) else len(data)


def _is_framed(head: bytes) -> bool:
    """Whether it says at most once, and plainly, where the body ends."""
    fields = _FRAMING.findall(head)
    if not fields:
        return True
    name, value = fields[0]
    return len(fields) == 1 and (name.lower() != b"content-length" or _LENGTH.fullmatch(value) is not None)
