"""JSON that comes in another charset than UTF-8. Only charsets of this list are decoded: each is as fast as its text is
long, and no upstream chooses what that costs."""

import codecs
import json
import re
from collections.abc import Mapping

_LABEL = re.compile(
    r"charset\s*=\s*[\"']?(?:iso[-_]?8859[-_]1|latin[-_]?1|l1|(?:windows|cp)[-_]?1252)[\"']?\s*(?:;|$)", re.IGNORECASE
)
_WESTERN = codecs.lookup("cp1252")
"""What is called Latin-1 is this one (WHATWG, Encoding). Found here, as the next ones: a lookup reads a file, for which
there may be no descriptor later."""
_UNICODE = {
    name: codecs.lookup(name) for name in ("utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "utf-32-be")
}
"""What `json.detect_encoding` finds besides UTF-8."""


def in_utf8(body: bytes, headers: Mapping[str, str]) -> bytes:
    """JSON in UTF-16 or UTF-32 (RFC 4627, section 3), or in the Latin-1 that its Content-Type names, as UTF-8; anything
    else as it is. What is valid UTF-8 is UTF-8: servers put the label on every response."""
    encoding = json.detect_encoding(body[:4])
    try:
        if (unicode := _UNICODE.get(encoding)) is not None:
            return unicode.decode(body)[0].encode()
        if _LABEL.search(headers.get("Content-Type", "")) and not is_utf8(body):
            return _WESTERN.decode(body, "replace")[0].encode()
    except UnicodeError:
        pass
    return body


def is_utf8(body: bytes) -> bool:
    try:
        body.decode()
    except UnicodeDecodeError:
        return False
    return True
