"""Sessions that connect only where the guard allows, and how their connections can fail."""

import asyncio
import contextlib
import re
import socket
import ssl
from collections.abc import Iterator
from contextvars import ContextVar

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from answerback import __version__
from answerback.http.client import HttpClient
from answerback.http.client_connection import CountingConnector, TooMuchFramingError
from answerback.http.descriptors import outgoing_socket
from answerback.webhooks.addresses import ForbiddenAddressError
from answerback.webhooks.guard import AddressGuard
from answerback.webhooks.lookup import Requester

MAX_HEADER_BYTES = 8190
MAX_HEADERS = 128
FRAMING = 1024
"""Of a body, in bytes: that of chunks of ordinary size is a hundredth of it."""

# What RFC 3986 allows as it is. Such a URL is sent exactly as written; any other is quoted first.
_EXACT = re.compile(r"[A-Za-z0-9:/?#\[\]@!$&'()*+,;=._~%-]+")

_REQUESTER: ContextVar[Requester] = ContextVar("requester")
"""Handed past aiohttp, whose resolvers hear of a name only."""


@contextlib.contextmanager
def on_behalf_of(tenant_id: str, deadline: asyncio.Timeout) -> Iterator[None]:
    """Requests made within are the tenant's; `deadline` does not run while it waits for its turn to look up a name."""
    token = _REQUESTER.set(Requester(tenant_id, deadline))
    try:
        yield
    finally:
        _REQUESTER.reset(token)


def as_written(url: str) -> URL:
    """Raises ValueError for what is not a URL."""
    return URL(url, encoded=_EXACT.fullmatch(url) is not None)


def guarded_client(guard: AddressGuard, tls: ssl.SSLContext | None, read_buffer: int = 2**14) -> HttpClient:
    """A client for untrusted servers, without a deadline of its own; its requests are made `on_behalf_of` a tenant.
    `tls` replaces the system's trust, as for a private certificate authority; whether it verifies certificates is up to
    the caller."""
    return HttpClient(
        lambda keepalive: aiohttp.ClientSession(
            connector=_connector(guard, tls, keepalive),
            cookie_jar=aiohttp.DummyCookieJar(),
            headers={"User-Agent": f"answerback/{__version__}", "Accept-Encoding": "identity"},
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=None),
            trust_env=False,
            auto_decompress=False,
            read_bufsize=read_buffer,
            max_line_size=MAX_HEADER_BYTES,
            max_field_size=MAX_HEADER_BYTES,
            max_headers=MAX_HEADERS,
        )
    )


def _connector(guard: AddressGuard, tls: ssl.SSLContext | None, keepalive: float | None) -> CountingConnector:
    """Checks the very address that a socket connects to: a name may resolve to another one a moment later."""

    def checked_socket(info: aiohttp.AddrInfoType) -> socket.socket:
        guard.verify(str(info[4][0]), int(info[4][1]))
        return outgoing_socket(info)

    return CountingConnector(
        keepalive,
        FRAMING,
        resolver=_JudgingResolver(guard),
        use_dns_cache=False,  # requests that share a lookup would wait for the turn of the first
        socket_factory=checked_socket,
        ssl=tls or True,
    )


class _JudgingResolver(AbstractResolver):
    """Resolves through the guard: a host with one forbidden address has none."""

    def __init__(self, guard: AddressGuard) -> None:
        self._guard = guard

    async def resolve(
        self,
        host: str,
        port: int = 0,
        family: socket.AddressFamily = socket.AF_UNSPEC,  # noqa: ARG002 (aiohttp's signature)
    ) -> list[ResolveResult]:
        return [
            ResolveResult(
                hostname=host,
                host=address,
                port=port,
                family=socket.AF_INET6 if ":" in address else socket.AF_INET,
                proto=socket.IPPROTO_TCP,
                flags=socket.AI_NUMERICHOST,
            )
            for address in await self._guard.addresses(host, _REQUESTER.get(), port)
        ]

    async def close(self) -> None:
        """Does nothing: the resolver holds no resources."""


# The first that fits. A connection's own error comes before the wrapper that aiohttp puts around it.
_CAUSES: tuple[tuple[type[Exception], str], ...] = (
    (ssl.SSLCertVerificationError, "{server}'s TLS certificate is not valid"),
    (ssl.SSLError, "the TLS handshake failed"),
    (ConnectionRefusedError, "the connection was refused"),
)
_ERRORS: tuple[tuple[type[Exception], str], ...] = (
    (aiohttp.ClientConnectorCertificateError, "{server}'s TLS certificate is not valid"),
    (aiohttp.ClientConnectorDNSError, "{server}'s name has no address"),
    (aiohttp.ClientConnectorError, "the connection failed"),
    (aiohttp.ClientPayloadError, "the answer broke off"),
    (TooMuchFramingError, "the answer is more framing than content, or its headers exceed 8 kB"),
    (aiohttp.ClientResponseError, "the answer is not valid HTTP, or its headers exceed 8 kB"),
    (aiohttp.InvalidURL, "{url} cannot be used"),
    (aiohttp.ServerDisconnectedError, "{server} closed the connection"),
    (OSError, "{server} closed the connection"),
)


def is_forbidden(error: Exception) -> bool:
    """Whether the guard refused the address: it would refuse another try, too."""
    return isinstance(_cause(error), ForbiddenAddressError)


def explain(error: Exception, server: str, url: str) -> str:
    """An error of a connection in our words, safe to store and to show; `server` and `url` are what its reader calls
    them."""
    cause = _cause(error)
    if isinstance(cause, ForbiddenAddressError):
        return f"{server}'s address may not be called: {cause}"
    for kind, words in _CAUSES:
        if isinstance(cause, kind):
            return words.format(server=server)
    for kind, words in _ERRORS:
        if isinstance(error, kind):
            return words.format(server=server, url=url)
    return f"the attempt failed ({type(error).__name__})"


def _cause(error: Exception) -> BaseException:
    return error.os_error if isinstance(error, aiohttp.ClientConnectorError) else error
