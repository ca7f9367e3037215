"""Requests over connections that are kept for a while."""

import asyncio
import base64
import re
import ssl
from collections import defaultdict
from collections.abc import Mapping
from functools import partial

from yarl import URL

from answerback.http.client.connection import TURN_BYTES, Connection, Response
from answerback.http.client.dial import Dialer, Origin, Resolve
from answerback.http.client.errors import StaleConnection
from answerback.http.descriptors import may_wait

KEEPALIVE_SECONDS = 4.0
"""Shorter than the five seconds after which common servers close."""

_UNSENDABLE = re.compile(r"[\0\r\n]")


class HttpClient:
    """There is no limit of how many connections: the worker pool bounds what is in flight, and waiting here would only
    eat a request's timeout. `connect_seconds` and `tls` are as for `Dialer`, `buffer_bytes` and
    `framing_bytes` as for `Connection`. Each request has a deadline of its caller's."""

    def __init__(
        self,
        connect_seconds: float | None,
        tls: ssl.SSLContext | None = None,
        *,
        buffer_bytes: int,
        framing_bytes: int,
    ) -> None:
        into = memoryview(bytearray(TURN_BYTES))
        self._make = partial(Connection, into=into, buffer_bytes=buffer_bytes, framing_bytes=framing_bytes)
        self._dialer = Dialer(connect_seconds, tls)
        self._open: set[Connection] = set()
        self._idle: defaultdict[Origin, list[tuple[Connection, float]]] = defaultdict(list)
        self._sweep: asyncio.TimerHandle | None = None

    async def request(
        self, method: str, url: URL, headers: Mapping[str, str], body: bytes | None, resolve: Resolve
    ) -> Response:
        """One request, following no redirect. Credentials in the URL are sent as Basic ones (RFC 7617). A request over
        a reused connection that closes without a byte of response is sent again at once, over a new one: servers close
        idle connections when they like.

        Raises HttpError, what `resolve` forbids with, and ValueError for a header that cannot be sent. Cancelling
        closes the connection.
        """
        origin = Origin(url.scheme == "https", url.raw_host or "", url.port or 0)
        sent = (_head(method, url, headers, body), body or b"")
        connection = self._take(origin)
        if connection is not None:
            try:
                return await connection.exchange(*sent)
            except StaleConnection:
                pass
        connection = await self._dialer.connect(origin, resolve, partial(self._connection, origin))
        # Only now: uvloop does not call `connection_lost` on one whose connecting is cancelled after `connection_made`.
        if connection.open:
            self._open.add(connection)
        return await connection.exchange(*sent)

    async def close(self) -> None:
        """Closes all connections. A later request would open new ones."""
        if self._sweep is not None:
            self._sweep.cancel()
            self._sweep = None
        closing = tuple(self._open)
        for connection in closing:
            connection.abort()
        await asyncio.gather(*(connection.closed for connection in closing))

    def _connection(self, origin: Origin) -> Connection:
        return self._make(partial(self._keep, origin), self._open.discard)

    def _take(self, origin: Origin) -> Connection | None:
        """The connection that was used last, so that those which are not needed close."""
        idle = self._idle.get(origin)
        now = asyncio.get_running_loop().time()
        while idle:
            connection, until = idle.pop()
            if connection.open and now < until:
                return connection
            connection.close()
        return None

    def _keep(self, origin: Origin, connection: Connection) -> None:
        if not may_wait(connection.descriptor):
            connection.close()
            return
        loop = asyncio.get_running_loop()
        self._idle[origin].append((connection, loop.time() + KEEPALIVE_SECONDS))
        if self._sweep is None:
            self._sweep = loop.call_later(KEEPALIVE_SECONDS, self._close_idle)

    def _close_idle(self) -> None:
        """Closes what has been idle for long, and forgets origins without connections."""
        loop = asyncio.get_running_loop()
        now = loop.time()
        for origin, idle in list(self._idle.items()):
            kept = [(connection, until) for connection, until in idle if connection.open and now < until]
            for connection, until in idle:
                if now >= until:
                    connection.close()
            if kept:
                self._idle[origin] = kept
            else:
                del self._idle[origin]
        self._sweep = loop.call_later(KEEPALIVE_SECONDS / 4, self._close_idle) if self._idle else None


def _head(method: str, url: URL, headers: Mapping[str, str], body: bytes | None) -> bytes:
    host = url.raw_host or ""
    host = f"[{host}]" if ":" in host else host
    port = "" if url.is_default_port() else f":{url.port}"
    lines = [f"{method} {url.raw_path_qs} HTTP/1.1", f"Host: {host}{port}"]
    for name, value in headers.items():
        if _UNSENDABLE.search(value):
            raise ValueError(f"the header {name} holds a line break")
        lines.append(f"{name}: {value}")
    if url.user is not None and "Authorization" not in headers:
        credentials = f"{url.user}:{url.password or ''}"
        lines.append(f"Authorization: Basic {base64.b64encode(credentials.encode()).decode()}")
    if body is not None:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "\r\n"]).encode("utf-8", "surrogateescape")
