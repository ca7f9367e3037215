"""What every session of outgoing HTTP has in common."""

from collections.abc import Callable

import aiohttp

KEEPALIVE_SECONDS = 4.0
"""Shorter than the five seconds after which common servers close: a POST must not meet a connection just closed,
because the server may or may not have received it."""


class LazySession:
    """One session per process, made at the first call, inside the running loop."""

    def __init__(self, make: Callable[[], aiohttp.ClientSession]) -> None:
        self._make = make
        self._session: aiohttp.ClientSession | None = None

    def open(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = self._make()
        return self._session

    async def close(self) -> None:
        """Closes the connections. A later call would open new ones."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()
