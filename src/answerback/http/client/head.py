"""The head of a response: its status and its fields (RFC 9112, sections 4 and 5)."""

import re
from dataclasses import dataclass

from multidict import CIMultiDict

from answerback.http.client.errors import NotHttp, TooMuchFraming
from answerback.kernel.values import quickly_made

MAX_FIELDS = 1024

_STATUS_LINE = re.compile(rb"HTTP/1\.([0-9]) ([1-9][0-9]{2})(?: [^\0]*)?")
_FIELD = re.compile(rb"^([!#$%&'*+\-.^_`|~0-9A-Za-z]++)[ \t]*+:[ \t]*+([^\0\r\n]*+)\r?$", re.MULTILINE)
"""Looks at no byte twice."""
_FOLDED = re.compile(rb"\n[ \t]")


@quickly_made
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
        tokens = ",".join(self.listed("Connection"))
        return "close" not in tokens if self.minor_version else "keep-alive" in tokens

    def listed(self, name: str) -> list[str]:
        """The items of all fields of this name, in lower case; none where all are empty."""
        if (given := self.headers.getall(name, None)) is None:
            return []
        items = [each.strip() for each in ",".join(given).lower().split(",")]
        return items if any(items) else []


def head_of(data: bytes) -> Head:
    """The head that ends there. Raises NotHttp, TooMuchFraming."""
    first, _, fields = data.rstrip(b"\r\n").partition(b"\n")
    status = _STATUS_LINE.fullmatch(first.removesuffix(b"\r"))
    if status is None:
        raise NotHttp("no status line")
    if fields.count(b"\n") >= MAX_FIELDS:
        raise TooMuchFraming("too many fields")
    if _FOLDED.search(fields):
        fields = _unfolded(fields)
    found = _FIELD.findall(fields)
    headers = CIMultiDict(
        [(name.decode("ascii"), value.rstrip(b" \t").decode("utf-8", "surrogateescape")) for name, value in found]
    )
    # Where a line is no field, the status counts all the same; what a next response would look like is anybody's guess.
    plain = len(found) == (fields.count(b"\n") + 1 if fields else 0)
    return Head(int(status[2]), headers, int(status[1]), plain)


def _unfolded(fields: bytes) -> bytes:
    """A line that begins with a space continues the one before (RFC 9112, section 5.2)."""
    joined: list[bytes] = []
    for line in fields.split(b"\n"):
        if joined and line[:1] in (b" ", b"\t"):
            joined[-1] = joined[-1].rstrip() + b" " + line.lstrip(b" \t")
        else:
            joined.append(line)
    return b"\n".join(joined)
