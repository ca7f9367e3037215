"""How long a response may wait for its reader."""

import asyncio

from answerback.http.server.flow import reset


class WriteWatch:
    """Aborts a connection whose client takes nothing of what waits to be sent, for some `seconds`."""

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop, seconds: float) -> None:
        self._transport = transport
        self._loop = loop
        self._seconds = seconds
        self._unsent = 0
        self._timer: asyncio.TimerHandle | None = None

    def begin(self) -> int:
        """Of a response that waits; returns how many bytes do."""
        self._unsent = self._transport.get_write_buffer_size()
        self._timer = self._loop.call_later(self._seconds, self._check)
        return self._unsent

    def end(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def close(self) -> None:
        """Closes the connection once the client has read what was written, or has not read it in time."""
        self._transport.close()
        if self._timer is None:
            self._timer = self._loop.call_later(self._seconds, reset, self._transport)

    def _check(self) -> None:
        unsent = self._transport.get_write_buffer_size()
        if unsent < self._unsent:
            self._unsent = unsent
            self._timer = self._loop.call_later(self._seconds, self._check)
        else:
            self._timer = None
            # `close` would wait for the reader.
            reset(self._transport)
