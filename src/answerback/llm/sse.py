"""Server-sent events, as far as LLM upstreams use them (WHATWG HTML, "Server-sent events")."""

from collections.abc import Iterator

MAX_EVENT_BYTES = 1024 * 1024


class EventTooLarge(ValueError):
    """One event exceeds MAX_EVENT_BYTES."""


class EventParser:
    """Finds the events in bytes as they come. An event that is not complete at the stream's end does not count, as the
    specification demands."""

    def __init__(self) -> None:
        self._rest = b""
        self._data: list[bytes] = []
        self._size = 0

    def feed(self, received: bytes) -> Iterator[bytes]:
        """The `data` of each event that is now whole, its lines joined. Comments, names and ids are liveness, not data.
        Raises EventTooLarge."""
        *lines, self._rest = (self._rest + received).split(b"\n")
        for raw in lines:
            line = raw.removesuffix(b"\r")
            if not line:
                data, self._data, self._size = self._data, [], 0
                if data:
                    yield b"\n".join(data)
            elif line.startswith(b"data:"):
                value = line[5:].removeprefix(b" ")
                self._data.append(value)
                self._size += len(value)
        if self._size + len(self._rest) > MAX_EVENT_BYTES:
            raise EventTooLarge
