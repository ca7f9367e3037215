"""Requests that go only where the guard allows, and how they can fail."""

import asyncio
import re
import ssl
from collections.abc import Mapping, Sequence
from functools import partial

from yarl import URL

from answerback import __version__
from answerback.http.client import errors
from answerback.http.client.client import HttpClient, RequestHead
from answerback.http.client.errors import PLAIN_HTTP
from answerback.http.client.names import is_address
from answerback.http.client.response import Response
from answerback.webhooks.sending.addresses import ForbiddenAddressError
from answerback.webhooks.sending.guard import AddressGuard
from answerback.webhooks.sending.lookup import Requester

BUFFER_BYTES = 16 * 1024
MOST_ADDRESSES = 32
"""Of a name: so many are tried, in their order."""
FRAMING_BYTES = 1024
"""Of a body: that of chunks of ordinary size is a hundredth of it."""

# What RFC 3986 allows as it is. Such a URL is sent exactly as written; any other is quoted first.
_EXACT = re.compile(r"[A-Za-z0-9:/?#\[\]@!$&'()*+,;=._~%-]+")

_OURS = {"User-Agent": f"answerback/{__version__}", "Accept": "*/*", "Accept-Encoding": "identity"}


def as_written(url: str) -> URL:
    """Raises ValueError for what is not a URL."""
    return URL(url, encoded=_EXACT.fullmatch(url) is not None)


class GuardedClient:
    """A client for untrusted servers. It connects to the very addresses that the guard
    has judged for this connection: a name may resolve to another one a moment later. `tls` replaces the system's trust,
    as for a private certificate authority; whether it verifies certificates is up to the caller. Where it `keeps` none,
    each request has a connection of its own."""

    def __init__(self, guard: AddressGuard, tls: ssl.SSLContext | None = None, *, keeps: bool = True) -> None:
        self._guard = guard
        self._client = HttpClient(
            None, tls, buffer_bytes=BUFFER_BYTES, framing_bytes=FRAMING_BYTES, strangers=True, keeps=keeps
        )

    async def request(
        self,
        requester: Requester,
        ends_at: float,
        method: str,
        url: URL,
        headers: Mapping[str, str],
        body: bytes | None = None,
    ) -> Response:
        """One request of the tenant's, which `ends_at` that time of the event loop, and so does a read of its response;
        while it waits for its turn to look up a name, time stands still. Raises HttpError, TimeoutError,
        ForbiddenAddressError, ValueError."""
        resolve = partial(self._resolve, requester)
        head = RequestHead(method, url, {**_OURS, **headers})
        return await self._client.request(head, body, resolve, ends_at, requester.tenant_id)

    async def close(self) -> None:
        await self._client.close()

    async def _resolve(self, requester: Requester, host: str, port: int, deadline: asyncio.Timeout) -> Sequence[str]:
        requester.deadline = deadline
        found = [host] if is_address(host) else await self._look_up(requester, host, port)
        for address in found:
            self._guard.verify(address, port)
        tried = found[:MOST_ADDRESSES]
        requester.admit(tried)
        return tried

    async def _look_up(self, requester: Requester, host: str, port: int) -> Sequence[str]:
        try:
            return await self._guard.addresses(host, requester, port)
        except OSError as error:
            raise errors.NameNotFound("the name has no address") from error


_ERRORS: tuple[tuple[type[Exception], str], ...] = (
    (errors.NameNotFound, "{server}'s name has no address"),
    (errors.ConnectFailed, "the connection failed"),
    (errors.SpeaksTls, "{server} speaks TLS: {url} should begin with https://"),
    (errors.NotHttp, "the answer is not valid HTTP"),
    (errors.TooMuchFraming, "the answer is more framing than content, or its headers exceed 64 KiB"),
    (errors.BodyBroken, "the answer broke off"),
    (errors.Disconnected, "{server} closed the connection"),
    (ValueError, "{url} cannot be used"),
)
# A connection's own error comes before the one that it led to.
_CAUSES: tuple[tuple[type[Exception], str], ...] = (
    (ssl.SSLCertVerificationError, "{server}'s TLS certificate is not valid"),
    (ssl.SSLError, "the TLS handshake failed"),
    (ConnectionRefusedError, "the connection was refused"),
)


def explain(error: Exception, server: str, url: str) -> str:
    """An error of a request in our words, safe to store and to show; `server` and `url` are what its reader calls
    them."""
    if isinstance(error, ForbiddenAddressError):
        return f"{server}'s address may not be called: {error}"
    if isinstance(cause := error.__cause__, ssl.SSLError) and cause.reason in PLAIN_HTTP:
        return f"{server} does not speak TLS: {url} should begin with http://"
    for kind, words in _CAUSES:
        if isinstance(error.__cause__, kind):
            return words.format(server=server)
    for kind, words in _ERRORS:
        if isinstance(error, kind):
            return words.format(server=server, url=url)
    return f"the attempt failed ({type(error).__name__})"
