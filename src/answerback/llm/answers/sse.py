"""Server-sent events, parsed by the standard (WHATWG HTML, "Server-sent events"), and what upstreams put between."""

from codecs import BOM_UTF8
from typing import NamedTuple

from answerback.llm.transport import MAX_RESPONSE_BYTES

MAX_EVENT_BYTES = MAX_RESPONSE_BYTES
"""An answer may come in one event. Counted alike for events that come at once and in pieces."""

MAX_EVENT_LINES = 8 * 1024
"""An indented document has thousands at most. Lines cost more than their bytes."""

_PIECE = 16 * 1024

_FIELDS = frozenset({b"data", b"event", b"id", b"retry", b""})

BLANK = frozenset({b"\n", b"\r", b"\r\n"})


class EventTooLarge(ValueError):
    """One event exceeds MAX_EVENT_BYTES or MAX_EVENT_LINES."""


class Event(NamedTuple):
    """`data` are its lines, joined; `name` is its `event` field."""

    data: bytes
    name: bytes = b""


def first_data(body: bytes) -> bytes:
    """The data of the first event, for a body that begins like one; else the body. Errors come in events, too."""
    if not body.startswith((b"data:", b"event:", b"error:")):
        return body
    parser = EventParser()
    try:
        found = (parser.feed(body[at : at + _PIECE]) for at in range(0, len(body), _PIECE))
        events = next(filter(None, found), None) or parser.end()
    except EventTooLarge:
        return body
    return events[0].data if events else body


def _name(field: bytes) -> bytes:
    return field if field in _FIELDS else field.strip(b" \t\0").lower()


def _begins_another(line: bytes, before: bytes) -> bool:
    """Whether a line of data begins a document though the one before ends one: within a document something stands
    between a brace that closes and one that opens."""
    return before.rstrip().endswith(b"}") and line.lstrip().startswith((b"{", b"["))


class EventParser:
    """Finds the events in bytes as they come.

    Liberties are taken with the standard, so that nothing is lost in silence. An event that lacks only its blank line
    counts at the end of a whole body. Where a line of data ends a document and the next one begins another, the blank
    line between them is missing: they are two events of one name. A byte order mark, blanks and NULs are passed over in
    front of any line; names of fields may be in capitals. A field `error` is the data of an event of that name. A line
    that begins like JSON is no field: it is an event of its own, for upstreams write errors, and even answers, between
    or in place of events.
    """

    def __init__(self) -> None:
        self._begun = bytearray()
        self._after_cr = False
        self._data: list[bytes] = []
        self._bare: list[bytes] = []
        self._name = b""
        self._size = 0
        self._whole: list[Event] = []

    @property
    def pending(self) -> int:
        """How many bytes belong to an event that is not whole yet."""
        return self._size + len(self._begun)

    def unended(self) -> list[Event]:
        """The event whose blank line has not come, if any, as it is by now."""
        parser = EventParser()
        parser._begun += self._begun
        parser._data, parser._bare, parser._name = [*self._data], [*self._bare], self._name
        return parser.end()

    def feed(self, received: bytes) -> list[Event]:
        """The events that are now whole. Raises EventTooLarge."""
        if (whole := self._ordinary(received)) is not None:
            return whole
        if self._after_cr and received.startswith(b"\n"):
            received = received[1:]
            self._after_cr = False
        if received:
            self._after_cr = received.endswith(b"\r")
        for line in received.splitlines(keepends=True):
            if line in BLANK and not (self._begun or self._data or self._bare):
                self._name = b""
            elif not line.endswith((b"\n", b"\r")):
                self._begun += line
                self._count(0)
            elif self._begun:
                self._begun += line
                self._end_line()
            else:
                self._line(line.rstrip(b"\r\n"))
        return self._take()

    def _ordinary(self, received: bytes) -> list[Event] | None:
        """What most upstreams send at once, whole events of one line each; None for anything else."""
        if not received.startswith(b"data:") or not received.endswith(b"\n\n") or b"\r" in received:
            return None
        if self._begun or self._data or self._bare or self._name or len(received) > MAX_EVENT_BYTES:
            return None
        lines = received[:-2].split(b"\n\n")
        if received.count(b"\n\ndata:") != len(lines) - 1 or received.count(b"\n") != 2 * len(lines):
            return None
        self._after_cr = False
        return [Event(line[5:].removeprefix(b" ")) for line in lines]

    def end(self) -> list[Event]:
        """The event that lacks its blank line, at the end of a whole body."""
        self._end_line()
        self._dispatch()
        return self._take()

    def _take(self) -> list[Event]:
        whole, self._whole = self._whole, []
        return whole

    def _end_line(self) -> None:
        line = bytes(self._begun).rstrip(b"\r\n")
        self._begun.clear()
        self._line(line)

    def _line(self, line: bytes) -> None:
        if line.startswith(BOM_UTF8):
            line = line.removeprefix(BOM_UTF8)
        if not line:
            self._dispatch()
            return
        field, colon, value = line.partition(b":")
        match _name(field):
            case b"data":
                self._end_bare()
                if self._data and _begins_another(value, self._data[-1]):
                    self._end_data()
                self._data.append(value.removeprefix(b" "))
                self._count(len(line))
            case b"event":
                self._name = value.removeprefix(b" ")
            case b"error":
                # llama.cpp's.
                self._name = b"error"
                self._line(b"data:" + value)
            case b"" | b"id" | b"retry" if colon:
                return
            case _ if self._bare or line.startswith((b"{", b"[")):
                self._bare.append(line)
                self._count(len(line))
                if len(self._bare) == 1 and line.rstrip().endswith((b"}", b"]")):
                    self._end_bare()

    def _dispatch(self) -> None:
        self._end_bare()
        self._end_data()
        self._name = b""

    def _end_data(self) -> None:
        data, self._data, self._size = self._data, [], 0
        if data:
            self._whole.append(Event(data[0] if len(data) == 1 else b"\n".join(data), self._name))

    def _end_bare(self) -> None:
        if self._bare:
            bare, self._bare = self._bare, []
            self._size -= sum(map(len, bare))
            self._whole.append(Event(b"\n".join(bare)))

    def _count(self, size: int) -> None:
        self._size += size
        if self.pending > MAX_EVENT_BYTES or len(self._data) + len(self._bare) > MAX_EVENT_LINES:
            raise EventTooLarge
