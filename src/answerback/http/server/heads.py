"""What the head of a request says of its host and of its body's form (RFC 9112)."""

import re

from httptools import HttpRequestParser

from answerback.http.errors import ErrorContent
from answerback.http.server.early_responses import (
    INVALID,
    NO_TUNNELS,
    TOO_LARGE,
    TWO_CALLERS,
    UNKNOWN_CODING,
    UNKNOWN_METHOD,
    UNKNOWN_VERSION,
    WRONG_HOST,
)

_REQUEST_LINE = re.compile(rb"(?:\r?\n)*[!#$%&'*+.^_`|~0-9A-Za-z-]{1,64} [\x21-\x7e]+ HTTP/1\.[01]\r?\n")

_HOST = re.compile(rb"(?:\[[0-9A-Fa-f:.]+\]|[\w.~!$&'()*+;=%\x80-\xff-]*)(?::[0-9]{0,5})?")
"""A name or an address, and a port. A proxy in front would read anything else in its own way."""

LONGEST_TARGET = 65_535
"""The parser of URLs takes no more bytes."""

Fields = list[tuple[bytes, bytes]]


class Refused(Exception):
    """Ends the parsing of what has been read."""


def wrong_head(parser: HttpRequestParser, target: bytes, fields: Fields) -> ErrorContent | None:
    """Why the request cannot be answered, if so (sections 3.2 and 6.1). Names are in lower case."""
    if len(target) > LONGEST_TARGET:
        return TOO_LARGE
    if parser.get_method() == b"CONNECT":
        return NO_TUNNELS
    version = parser.get_http_version()
    if version not in ("1.0", "1.1"):
        return UNKNOWN_VERSION
    hosts, codings = 0, b""
    for name, value in fields:
        if name == b"host":
            hosts += 1
            if _HOST.fullmatch(value) is None:
                return WRONG_HOST
        elif name == b"transfer-encoding":
            codings += b"," + value
    if hosts != 1 and (hosts or version != "1.0"):
        return WRONG_HOST
    if codings and codings.strip(b", \t").lower() != b"chunked":
        return UNKNOWN_CODING
    # A proxy in front might have read the other one.
    return TWO_CALLERS if len({value for name, value in fields if name == b"authorization"}) > 1 else None


def name_host_of(target: bytes, fields: Fields) -> None:
    """A target that names an authority itself counts for more than the `Host` beside it, which is replaced (section
    3.2.2)."""
    if target[:1] in (b"/", b"*"):
        return
    scheme, _, rest = target.partition(b"://")
    if not rest or not scheme.isalpha():
        return
    authority = rest.replace(b"?", b"/").replace(b"#", b"/").partition(b"/")[0]
    fields[:] = [field for field in fields if field[0] != b"host"]
    fields.append((b"host", authority.rpartition(b"@")[2]))


def wrong_start(data: bytes) -> ErrorContent:
    """Why what begins with no method of HTTP's cannot be answered: a request line (section 3) names another one."""
    return INVALID if _REQUEST_LINE.match(data) is None else UNKNOWN_METHOD
