"""Decompressing bodies piece by piece, never more at once than asked for: a few bytes may hold gigabytes."""

import zlib

from answerback.http.client.errors import BodyUndecodable

IDENTITY = ""
COMPRESSIONS = frozenset({"gzip", "x-gzip", "deflate", "br", "zstd", "compress", "x-compress"})
_INFLATED = frozenset({"gzip", "x-gzip", "deflate"})


def coding(content_encoding: str | None) -> str:
    """The coding that a `Content-Encoding` names, in lower case."""
    named = (content_encoding or "").strip().lower()
    return IDENTITY if named == "identity" else named


class Inflate:
    """Decompresses `gzip` and `deflate`. Every other coding is BodyUndecodable at the first byte."""

    def __init__(self, coding: str) -> None:
        self._coding = coding
        self._zlib: zlib._Decompress | None = None
        self.rest = b""
        """What was fed and not decompressed yet."""

    @property
    def whole(self) -> bool:
        """Whether what was fed ended where compressed data may end."""
        return self._zlib is None or self._zlib.eof

    def feed(self, data: bytes, limit: int) -> bytes:
        """At most `limit` bytes, positive, of what the rest and `data` decompress to. Raises BodyUndecodable."""
        data = self.rest + data
        if not data:
            return b""
        if self._coding not in _INFLATED:
            raise BodyUndecodable(f"unknown coding {self._coding}")
        if self._zlib is None:
            # Some servers say deflate and send it without the zlib header, which begins with method 8.
            bare = self._coding == "deflate" and data[0] & 0x0F != 8
            self._zlib = zlib.decompressobj(-zlib.MAX_WBITS if bare else zlib.MAX_WBITS | 32)
        try:
            content = self._zlib.decompress(data, limit)
        except zlib.error as error:
            raise BodyUndecodable("not what it says") from error
        self.rest = self._zlib.unconsumed_tail
        return content
