"""Decompressing bodies piece by piece, never more at once than asked for: a few bytes may hold gigabytes."""

import zlib

from answerback.http.client.errors import BodyUndecodable, TooMuchFraming

IDENTITY = ""
COMPRESSIONS = frozenset({"gzip", "x-gzip", "deflate", "br", "zstd", "compress", "x-compress"})
_INFLATED = frozenset({"gzip", "x-gzip", "deflate"})
_TEXT = frozenset(b"{[:dei<")
"""How the bodies that are read here begin: JSON, events (`data:`, `event:`, `id:`, a comment), a page."""
EMPTY_BYTES = 64 * 1024
"""Of compressed data that may decompress to nothing, besides as much as there is content: members, blocks and names in
heads may be empty, or without end."""


def coding(content_encoding: str | None) -> str:
    """The coding that a `Content-Encoding` names, in lower case."""
    named = (content_encoding or "").strip().lower()
    return IDENTITY if named == "identity" else named


class Inflate:
    """Decompresses `gzip` (of any number of members) and `deflate`, and passes on text that is labelled as compressed.
    Every other coding is BodyUndecodable."""

    def __init__(self, coding: str) -> None:
        self._coding = coding
        self._zlib: zlib._Decompress | None = None
        self._begun = False
        self._plain = False
        self._empty = 0
        self.rest = b""
        """What was fed and not decompressed yet."""

    @property
    def whole(self) -> bool:
        """Whether what was fed ended where compressed data may end."""
        return self._zlib is None or self._zlib.eof

    def feed(self, data: bytes, limit: int) -> bytes:
        """At most `limit` bytes, positive, of what the rest and `data` decompress to. Raises BodyUndecodable, and
        TooMuchFraming for more of what decompresses to nothing than of content."""
        data, self.rest = self.rest + data, b""
        if not data:
            return b""
        if self._plain:
            return self._passed(data, limit)
        # Compressed by `deflate`, data may begin with any byte.
        if not self._begun and self._coding != "deflate" and _is_text(data):
            return self._passed(data, limit)
        if self._coding not in _INFLATED:
            raise BodyUndecodable(f"unknown coding {self._coding}")
        if self._zlib is None or self._zlib.eof:
            self._zlib = zlib.decompressobj(self._window(data))
        try:
            content = self._zlib.decompress(data, limit)
        except zlib.error as error:
            if not self._begun and _is_text(data):
                return self._passed(data, limit)
            raise BodyUndecodable("not what it says") from error
        self._begun = True
        self.rest = self._zlib.unconsumed_tail or self._zlib.unused_data
        self._empty += len(data) - len(self.rest) - len(content)
        if self._empty > EMPTY_BYTES:
            raise TooMuchFraming("it decompresses to nothing")
        return content

    def _window(self, data: bytes) -> int:
        # Some servers say deflate and send it without the zlib header, which begins with method 8.
        bare = self._coding == "deflate" and data[0] & 0x0F != 8
        return -zlib.MAX_WBITS if bare else zlib.MAX_WBITS | 32

    def _passed(self, data: bytes, limit: int) -> bytes:
        self._plain, self._zlib = True, None
        self.rest = data[limit:]
        return data[:limit]


def _is_text(data: bytes) -> bool:
    first = data.lstrip()[:1]
    return bool(first) and first[0] in _TEXT
