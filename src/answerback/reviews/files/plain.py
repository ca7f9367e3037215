"""The text of a text file. Only charsets of this list are decoded: each is as fast as its text is long, which is not
true of every codec that Python knows (`punycode` is quadratic)."""

import codecs
from collections.abc import Sequence

from answerback.reviews.files.errors import FileError

CHARSETS = frozenset(
    (
        *("utf-8", "utf-16", "utf-16le", "utf-16be", "latin1", "macintosh"),
        *(f"iso-8859-{part}" for part in (*range(1, 12), *range(13, 17))),
        *(f"windows-{page}" for page in range(1250, 1259)),
        *("koi8-r", "koi8-u", "gb2312", "gbk", "gb18030", "big5", "euc-jp", "euc-kr", "shift_jis", "iso-2022-jp"),
    )
)
"""By the names that servers use, in lower case; a file in another charset is read as UTF-8."""

_LEGIBLE = 0.5
"""The share of a text that its charset must decode. Accented letters of another charset are a few in a hundred."""
_BYTE_ORDERS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))
_TEXTS = frozenset({"application/json", "application/xml", "application/x-tex", "application/x-yaml"})
_UNTOLD = frozenset({"", "application/octet-stream", "binary/octet-stream"})


def text_of(data: bytes, media_type: str, charset: str, pages: Sequence[int] | None) -> str:
    """The text of these pages (1-based), which form feeds separate, or of all. Raises FileError."""
    text = _decoded(data, media_type, charset)
    if pages is None:
        return text
    parts = text.split("\f")
    for number in pages:
        if number > len(parts):
            raise FileError(f"has no page {number}: it has {len(parts)}")
    return "\n\n".join(parts[number - 1] for number in pages)


def _decoded(data: bytes, media_type: str, charset: str) -> str:
    if not (media_type.startswith("text/") or media_type in _TEXTS | _UNTOLD):
        raise FileError(f"is of type {media_type[:100]!r}; only text and PDF can be read")
    data, charset = _marked(data, charset)
    if media_type in _UNTOLD:
        try:
            text = data.decode(charset)
        except UnicodeError:
            text = "\0"
        if "\0" in text:
            raise FileError("is neither text in UTF-8 nor PDF, and its server does not say what it is")
        return text
    text = data.decode(charset, "replace")
    if "\0" in text or text.count("\N{REPLACEMENT CHARACTER}") > (1 - _LEGIBLE) * len(text):
        raise FileError(f"is called {media_type[:100]!r} by its server but is not text; send text or PDF")
    return text


def _marked(data: bytes, charset: str) -> tuple[bytes, str]:
    """The data without its byte order mark, and the charset: the mark's, else the server's, else UTF-8."""
    for mark, marked in _BYTE_ORDERS:
        if data.startswith(mark):
            return data.removeprefix(mark), marked
    known = charset.lower()
    return data, known if known in CHARSETS else "utf-8"
