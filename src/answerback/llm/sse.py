"""Server-sent events, as far as LLM upstreams use them (WHATWG HTML, "Server-sent events")."""

from collections.abc import AsyncIterator

MAX_EVENT_BYTES = 1024 * 1024


class EventTooLarge(ValueError):
    """One event exceeds MAX_EVENT_BYTES."""


async def events(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """The `data` of each event, its lines joined. Comments, names and ids are liveness, not data.

    An event that the stream ends within is not told, as the specification has it. Raises EventTooLarge.
    """
    rest = b""
    data: list[bytes] = []
    size = 0
    async for chunk in chunks:
        *lines, rest = (rest + chunk).split(b"\n")
        for raw in lines:
            line = raw.removesuffix(b"\r")
            if not line:
                if data:
                    yield b"\n".join(data)
                data, size = [], 0
            elif line.startswith(b"data:"):
                value = line[5:].removeprefix(b" ")
                data.append(value)
                size += len(value)
        if size + len(rest) > MAX_EVENT_BYTES:
            raise EventTooLarge
