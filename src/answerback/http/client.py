"""What all outgoing HTTP has in common."""

import io
from collections.abc import Callable, Mapping

import aiohttp
from yarl import URL

from answerback.http.client_connection import StaleConnectionError

KEEPALIVE_SECONDS = 4.0
"""Shorter than the five seconds after which common servers close."""
LARGE_BODY = 2**20
"""aiohttp writes bytes in one go, and a file in pieces: a larger body is passed as a file."""


class HttpClient:
    """Sessions of one process, made at the first call, inside the running loop. `make(None)` makes one that uses each
    connection once, `make(KEEPALIVE_SECONDS)` one that keeps connections for so many seconds."""

    def __init__(self, make: Callable[[float | None], aiohttp.ClientSession]) -> None:
        self._make = make
        self._keeping: aiohttp.ClientSession | None = None
        self._fresh: aiohttp.ClientSession | None = None

    async def request(
        self, method: str, url: URL, *, data: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> aiohttp.ClientResponse:
        """One request, following no redirect. One over a reused connection that closes without a byte of response is
        sent again at once, over a new one: servers close idle connections when they like. Raises what aiohttp does,
        and the errors of `client_connection`."""
        if self._keeping is None:
            self._keeping = self._make(KEEPALIVE_SECONDS)
        try:
            return await _send(self._keeping, method, url, data, headers)
        except StaleConnectionError:
            if self._fresh is None:
                self._fresh = self._make(None)
        return await _send(self._fresh, method, url, data, headers)

    async def close(self) -> None:
        """Closes the connections. A later call would open new ones."""
        sessions, self._keeping, self._fresh = (self._keeping, self._fresh), None, None
        for session in sessions:
            if session is not None:
                await session.close()


async def _send(
    session: aiohttp.ClientSession, method: str, url: URL, data: bytes | None, headers: Mapping[str, str] | None
) -> aiohttp.ClientResponse:
    large = data is not None and len(data) > LARGE_BODY
    body = io.BytesIO(data) if data is not None and large else data
    return await session.request(method, url, data=body, headers=headers, allow_redirects=False)
