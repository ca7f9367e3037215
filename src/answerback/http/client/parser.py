"""Reads one response from the bytes of a connection (RFC 9112), without I/O. Every byte counts.

Nothing else bounds what a server may send besides content: interim responses without end, thousands of fields,
extensions of chunks, chunks of one byte, trailers.
"""

import re
from enum import Enum, auto

from answerback.http.client.errors import BodyBroken, HttpError, NotHttp, SpeaksTls, TooMuchFraming
from answerback.http.client.head import Head, head_of

MAX_HEAD_BYTES = 64 * 1024
"""Of the heads of one response, those of its interim responses (1xx) included."""
MAX_INTERIM_RESPONSES = 16

TLS_ALERT = b"\x15\x03"
"""How an alert begins (RFC 8446, section 5.1)."""

_LENGTH = re.compile(r"[0-9]{1,18}")
_CHUNK_SIZE = re.compile(rb"([0-9A-Fa-f]{1,15})[ \t]*(?:;.*)?", re.DOTALL)
_PLAIN_SIZE = re.compile(rb"([0-9A-Fa-f]{1,15})\r\n")
_BODILESS = frozenset({204, 304})


class _Framing(Enum):
    """Where a body ends."""

    LENGTH = auto()
    CHUNKED = auto()
    UNTIL_CLOSE = auto()


class ResponseParser:
    """Feed it what comes until `complete`. `head` is known once it has come whole, whatever is wrong behind it. A body
    may come with `framing_bytes` of chunk sizes, extensions and trailers, and one more for each byte of content: many
    chunks of one byte would hold the event loop."""

    def __init__(self, framing_bytes: int) -> None:
        self._framing_bytes = framing_bytes
        self.head: Head | None = None
        self.complete = False
        self.error: HttpError | None = None
        self.reusable = False
        """Once complete: whether the connection may carry another exchange."""
        self.chunks = 0
        """How many chunks, and lines of chunks, have been read."""
        self._kept = b""
        self._head_bytes = 0
        self._interim = 0
        self._framing = _Framing.LENGTH
        self._left = 0
        self._chunk = _Chunk.SIZE
        self._content = 0
        self._overhead = 0

    def feed(self, data: bytes) -> bytes:
        """The content of the body that `data` completes; `error` says whether what follows it is broken. Raises
        NotHttp, TooMuchFraming, BodyBroken before any content."""
        while self.head is None:
            data = self._kept + data
            if not self._kept:
                data = self._without_blank_lines(data)
            end = self._end_of_head(data)
            if end is None:
                self._kept = data
                return b""
            self._kept = b""
            self._take_head(data[:end])
            data = data[end:]
        return self._body(data) if data else b""

    def closed(self) -> BodyBroken | None:
        """The server has closed the connection: what is wrong then; None if that completes the response, or its head
        has not come."""
        if self.head is None or self.complete:
            return None
        if self._framing is not _Framing.UNTIL_CLOSE:
            return BodyBroken("the connection closed within the body")
        self.complete = True
        return None

    def _without_blank_lines(self, data: bytes) -> bytes:
        """Some servers send one between a response and the next."""
        rest = data.lstrip(b"\r\n")
        self._head_bytes += len(data) - len(rest)
        if self._head_bytes > MAX_HEAD_BYTES:
            raise TooMuchFraming("blank lines without end")
        return rest

    def _end_of_head(self, data: bytes) -> int | None:
        """Behind the first blank line."""
        # What was searched before holds no blank line; one may end in what came now.
        end = _behind_blank_line(data, max(0, len(self._kept) - 3))
        if end is not None and self._head_bytes + end <= MAX_HEAD_BYTES:
            return end
        if not b"HTTP/1.".startswith(data[:7]):
            raise SpeaksTls("an alert of TLS") if data[:2] == TLS_ALERT else NotHttp("no status line")
        if self._head_bytes + len(data) > MAX_HEAD_BYTES:
            raise TooMuchFraming("too many headers")
        return None

    def _take_head(self, data: bytes) -> None:
        self._head_bytes += len(data)
        head = head_of(data)
        if head.status == 101:
            # Of no protocol that was asked for (RFC 9110, section 15.2.2).
            raise NotHttp("another protocol")
        if head.status < 200:
            self._interim += 1
            if self._interim > MAX_INTERIM_RESPONSES:
                raise TooMuchFraming("too many interim responses")
            return
        self.head = head
        self._frame(head)

    def _frame(self, head: Head) -> None:
        """RFC 9112, section 6.3. Raises BodyBroken where the head does not say plainly where the body ends."""
        codings, lengths = head.listed("Transfer-Encoding"), head.listed("Content-Length")
        self.reusable = head.keeps_connection
        if head.status in _BODILESS:
            self.complete = True
        elif codings:
            if codings[-1] != "chunked" or lengths:
                raise BodyBroken("its head does not say where its body ends")
            self._framing = _Framing.CHUNKED
        elif lengths:
            if len(set(lengths)) > 1 or not _LENGTH.fullmatch(lengths[0]):
                raise BodyBroken("its head does not say where its body ends")
            self._left = int(lengths[0])
            self.complete = not self._left
        else:
            self._framing = _Framing.UNTIL_CLOSE
            self.reusable = False

    def _body(self, data: bytes) -> bytes:
        if self.complete:
            # Of the next response, or of none: the connection cannot be trusted with another request.
            self.reusable = False
            return b""
        match self._framing:
            case _Framing.UNTIL_CLOSE:
                return data
            case _Framing.LENGTH:
                content = data[: self._left]
                self._left -= len(content)
                self.complete = not self._left
                self.reusable = self.reusable and len(content) == len(data)
                return content
            case _Framing.CHUNKED:
                return self._chunks(data)

    def _chunks(self, data: bytes) -> bytes:
        content: list[bytes] = []
        try:
            self._walk_chunks(self._kept + data, content)
        except HttpError as error:
            self.error = error
        return content[0] if len(content) == 1 else b"".join(content)

    def _walk_chunks(self, data: bytes, content: list[bytes]) -> None:
        at = 0
        while at < len(data) and not self.complete:
            self.chunks += 1
            line = _PLAIN_SIZE.match(data, at) if self._chunk is _Chunk.SIZE else None
            if line is not None and (size := int(line[1], 16)) and data.startswith(b"\r\n", line.end() + size):
                # All of a chunk: what a stream of small events is made of.
                begins = line.end()
                content.append(data[begins : begins + size])
                self._content += size
                self._overhead += begins + 2 - at
                self._check_overhead(0)
                at = begins + size + 2
            elif self._chunk is _Chunk.DATA:
                piece = data[at : at + self._left]
                content.append(piece)
                at += len(piece)
                self._left -= len(piece)
                self._content += len(piece)
                if not self._left:
                    self._chunk = _Chunk.END
            else:
                end = data.find(b"\n", at)
                if end < 0:
                    break
                self._overhead += end + 1 - at
                self._check_overhead(0)
                self._line(data[at:end].removesuffix(b"\r"))
                at = end + 1
        self._kept = data[at:]
        if self.complete:
            self.reusable = self.reusable and not self._kept
        elif self._kept:
            self._check_overhead(len(self._kept))

    def _check_overhead(self, begun: int) -> None:
        if self._overhead + begun > self._framing_bytes + self._content:
            raise TooMuchFraming("more framing than content")

    def _line(self, line: bytes) -> None:
        match self._chunk:
            case _Chunk.SIZE:
                size = _CHUNK_SIZE.fullmatch(line)
                if size is None:
                    raise BodyBroken("a chunk without a size")
                self._left = int(size[1], 16)
                self._chunk = _Chunk.DATA if self._left else _Chunk.TRAILER
            case _Chunk.END:
                if line:
                    raise BodyBroken("a chunk that is longer than its size")
                self._chunk = _Chunk.SIZE
            case _Chunk.TRAILER:
                self.complete = not line
            case _Chunk.DATA:
                raise AssertionError("data has no lines")


class _Chunk(Enum):
    """What comes next in a chunked body."""

    SIZE = auto()
    DATA = auto()
    END = auto()
    TRAILER = auto()


def _behind_blank_line(data: bytes, start: int) -> int | None:
    """The first one from there on."""
    end = data.find(b"\n\r\n", start)
    bare = data.find(b"\n\n", start) if end < 0 else data.find(b"\n\n", start, end + 1)
    if bare >= 0:
        return bare + 2
    return end + 3 if end >= 0 else None
