"""The head of a response: its status and fields (RFC 9112, sections 4 and 5)."""

import re
from dataclasses import dataclass

from multidict import CIMultiDict

from answerback.http.client.errors import NotHttp, TooMuchFraming

MAX_FIELDS = 1024

_STATUS_LINE = re.compile(rb"HTTP/1\.([0-9]) ([1-9][0-9]{2})(?: [^\0]*)?")
_NAME = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")


@dataclass(frozen=True, slots=True)
class Head:
    """`headers` finds names in any case."""

    status: int
    headers: CIMultiDict[str]
    minor_version: int
    plain: bool
    """Whether every line of it is a field; those that are none are left out."""

    @property
    def keeps_connection(self) -> bool:
        if not self.plain:
            return False
        tokens = ",".join(self.headers.getall("Connection", ())).lower()
        return "close" not in tokens if self.minor_version else "keep-alive" in tokens


def _unfolded(lines: list[bytes]) -> list[bytes]:
    """A line that begins with a space continues the one before (RFC 9112, section 5.2)."""
    fields: list[bytes] = []
    for line in lines:
        if fields and line[:1] in (b" ", b"\t"):
            fields[-1] = fields[-1].rstrip() + b" " + line.lstrip(b" \t")
        else:
            fields.append(line)
    return fields


def head_of(data: bytes) -> Head:
    """Raises NotHttp, TooMuchFraming."""
    first, *lines = data.rstrip(b"\r\n").split(b"\n")
    status = _STATUS_LINE.fullmatch(first.removesuffix(b"\r"))
    if status is None:
        raise NotHttp("no status line")
    if len(lines) > MAX_FIELDS:
        raise TooMuchFraming("too many fields")
    headers: CIMultiDict[str] = CIMultiDict()
    plain = True
    for line in _unfolded(lines):
        name, colon, value = line.removesuffix(b"\r").partition(b":")
        name = name.rstrip(b" \t")
        if not colon or not _NAME.fullmatch(name) or b"\0" in value or b"\r" in value:
            # The status counts all the same; what a next response would look like is anybody's guess.
            plain = False
            continue
        headers.add(name.decode("ascii"), value.strip(b" \t").decode("utf-8", "surrogateescape"))
    return Head(int(status[2]), headers, int(status[1]), plain)
