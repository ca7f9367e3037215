"""How long a connection may wait for its next request."""

import asyncio
from collections.abc import Callable


class IdleWatch:
    """Closes a connection that waits for a request for some `seconds`. One timer for all of its requests, which finds
    out when it is due: starting and stopping one for each would cost more. `busy` says whether a request is on its way,
    or its response."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        seconds: float,
        busy: Callable[[], bool],
        close: Callable[[], None],
    ) -> None:
        self._loop = loop
        self._seconds = seconds
        self._busy = busy
        self._close = close
        self._since = 0.0
        self._timer: asyncio.TimerHandle | None = None

    def begin(self) -> None:
        """The connection waits from now on."""
        self._since = self._loop.time()
        if self._timer is None:
            self._timer = self._loop.call_later(self._seconds, self._look)

    def end(self) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def _look(self) -> None:
        self._timer = None
        if self._busy():
            return
        due = self._since + self._seconds
        if due > self._loop.time():
            self._timer = self._loop.call_at(due, self._look)
        else:
            self._close()
