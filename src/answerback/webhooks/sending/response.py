"""Reading what a receiver says without trusting it: the bounded start of a body."""

import codecs

from answerback.http.client.decoding import IDENTITY, Inflate, coding
from answerback.http.client.errors import BodyUndecodable

MAX_BODY = 16 * 1024
MAX_SNIPPET = 1024


class BoundedBody:
    """The start of a response body, decompressed as it comes. Never holds more than the snippet and one chunk.

    `encoding` is the response's Content-Encoding. Of a body in an unknown encoding, or one that does not decompress,
    nothing is kept: only the status counts.
    """

    def __init__(self, encoding: str | None) -> None:
        named = coding(encoding)
        self._inflate = None if named == IDENTITY else Inflate(named)
        self._readable = True
        self._kept = bytearray()
        self._taken = 0
        self._produced = 0

    @property
    def full(self) -> bool:
        """Whether no more is worth reading: 16 KiB have come, or come out of decompression."""
        return self._taken >= MAX_BODY or self._produced >= MAX_BODY

    def feed(self, chunk: bytes) -> None:
        self._taken += len(chunk)
        if not self._readable:
            return
        if self._inflate is not None:
            try:
                chunk = self._inflate.feed(chunk, max(1, MAX_BODY - self._produced))
            except BodyUndecodable:
                self._readable = False
                self._kept.clear()
                return
        self._produced += len(chunk)
        self._kept += chunk[: MAX_SNIPPET + 4 - len(self._kept)]

    def snippet(self) -> str:
        """At most 1 KiB of the body as text, a character cut by the limit dropped, NULs (databases refuse them) too."""
        start = bytes(self._kept[:MAX_SNIPPET])
        whole = len(self._kept) <= MAX_SNIPPET
        return codecs.utf_8_decode(start, "replace", whole)[0].replace("\0", "")
