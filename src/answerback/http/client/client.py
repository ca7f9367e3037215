"""Requests over connections that are kept for a while."""

import asyncio
import base64
import re
import ssl
from collections import defaultdict
from collections.abc import Mapping
from functools import lru_cache, partial

from yarl import URL

from answerback.http.chunk_rate import SharedAllowance
from answerback.http.client.connection import TURN_BYTES, Connection
from answerback.http.client.dial import Dialer, Origin, Resolve
from answerback.http.client.errors import StaleConnection
from answerback.http.client.response import Response
from answerback.http.client.slices import ReaderSlices

KEEPALIVE_SECONDS = 4.0
"""Shorter than the five seconds after which common servers close."""

_UNSENDABLE = re.compile(r"[\0\r\n]")


class RequestHead:
    """The line and the headers of a request; made once, they serve any number. Credentials in the URL are sent as Basic
    ones (RFC 7617). Raises ValueError for a header that cannot be sent."""

    def __init__(self, method: str, url: URL, headers: Mapping[str, str]) -> None:
        self.origin, target, host = _place_of(url)
        if _UNSENDABLE.search("".join(headers.values())):
            name = next(name for name, value in headers.items() if _UNSENDABLE.search(value))
            raise ValueError(f"the header {name} holds a line break")
        lines = [f"{method} {target} HTTP/1.1", f"Host: {host}", *map(": ".join, headers.items())]
        if url.user is not None and "Authorization" not in headers:
            credentials = f"{url.user}:{url.password or ''}"
            lines.append(f"Authorization: Basic {base64.b64encode(credentials.encode()).decode()}")
        self._lines = "\r\n".join([*lines, ""]).encode("utf-8", "surrogateescape")

    def with_body(self, body: bytes | None) -> tuple[bytes, ...]:
        """What is sent."""
        if body is None:
            return (self._lines, b"\r\n")
        return (self._lines, b"Content-Length: %d\r\n\r\n" % len(body), body)


@lru_cache(maxsize=1024)
def _place_of(url: URL) -> tuple[Origin, str, str]:
    """The server of a URL; its target there, and the `Host` that it has."""
    origin = Origin(url.scheme == "https", url.raw_host or "", url.port or 0)
    host = f"[{origin.host}]" if ":" in origin.host else origin.host
    return origin, url.raw_path_qs, host if url.is_default_port() else f"{host}:{url.port}"


class HttpClient:
    """There is no limit of how many connections: the worker pool bounds what is in flight, and waiting here would only
    eat a request's timeout. `connect_seconds` and `tls` are as for `Dialer`, `buffer_bytes` and
    `framing_bytes` as for `Connection`. Servers that are `strangers` may send as many small chunks together as another
    one alone, and those that serve one tenant as many as those that serve another. Each request has a deadline of its
    caller's."""

    def __init__(
        self,
        connect_seconds: float | None,
        tls: ssl.SSLContext | None = None,
        *,
        buffer_bytes: int,
        framing_bytes: int,
        strangers: bool = False,
        keeps: bool = True,
    ) -> None:
        into = memoryview(bytearray(TURN_BYTES))
        self._make = partial(
            Connection,
            into=into,
            buffer_bytes=buffer_bytes,
            framing_bytes=framing_bytes,
            slices=ReaderSlices(),
            allowance=SharedAllowance() if strangers else None,
        )
        self._keeps = keeps
        self._dialer = Dialer(connect_seconds, tls)
        self._open: set[Connection] = set()
        self._idle: defaultdict[Origin, list[tuple[Connection, float]]] = defaultdict(list)
        self._sweep: asyncio.TimerHandle | None = None

    async def request(
        self, head: RequestHead, body: bytes | None, resolve: Resolve, deadline: float, tenant_id: str = ""
    ) -> Response:
        """One request of the tenant's, following no redirect. A request over a reused connection that closes without a
        byte of response is sent again at once, over a new one: servers close idle connections when they like. At the
        `deadline`, in the event loop's time, it ends, and so does a read of the response that waits: by TimeoutError.

        Raises HttpError, and what `resolve` forbids with. Cancelling closes the connection.
        """
        origin, sent = head.origin, head.with_body(body)
        connection = self._take(origin)
        if connection is not None:
            try:
                return await connection.exchange(sent, deadline, tenant_id)
            except StaleConnection:
                pass
        async with asyncio.timeout_at(deadline) as limit:
            connection = await self._dialer.connect(origin, resolve, limit, partial(self._connection, origin))
        # Only now: uvloop does not call `connection_lost` on one whose connecting is cancelled after `connection_made`.
        if connection.open:
            self._open.add(connection)
        return await connection.exchange(sent, limit.when() or deadline, tenant_id)

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
        while idle:
            connection, until = idle.pop()
            if connection.open and connection.loop.time() < until:
                return connection
            connection.close()
        return None

    def _keep(self, origin: Origin, connection: Connection) -> None:
        if not self._keeps or not connection.may_wait:
            connection.close()
            return
        loop = connection.loop
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
