"""One bounded HTTP POST to an LLM provider; whatever the network does to it ends as a ProviderError."""

import asyncio
import ssl
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial

import aiohttp
from aiohttp.http_exceptions import ContentEncodingError
from yarl import URL

from answerback.kernel.errors import ErrorCode, ProviderError

MAX_RESPONSE_BYTES = 8 * 1024 * 1024

KEEPALIVE_SECONDS = 4.0
"""Shorter than the five seconds after which common servers close: a POST must not meet a connection just closed,
because nobody can tell whether the LLM has already heard it."""


@dataclass(frozen=True, slots=True)
class Response:
    """A whole response. Names in `headers` may be asked for in any case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class OpenResponse:
    """A response whose body still comes."""

    status: int
    headers: Mapping[str, str]
    content: AsyncIterator[bytes]
    read: Callable[[], Awaitable[bytes]]
    """The whole body, bounded as any."""


class Transport:
    """One session per process, made at the first call, inside the running loop.

    `connect_timeout` is in seconds and covers name, connection and TLS; the caller's timeout covers the whole call.
    """

    def __init__(self, connect_timeout: float = 10.0, max_response_bytes: int = MAX_RESPONSE_BYTES) -> None:
        self._connect_timeout = connect_timeout
        self._max_bytes = max_response_bytes
        self._session: aiohttp.ClientSession | None = None

    async def post(self, url: URL, headers: Mapping[str, str], body: bytes, timeout: float) -> Response:
        """Posts once, following no redirect. Cancelling it closes the connection, so that the LLM may stop.

        Raises ProviderError, always retryable: `upstream_timeout` after `timeout` seconds, `upstream_unreachable` where
        no whole response came, `upstream_invalid` where it is not valid HTTP or exceeds the limit in bytes.
        """
        async with self._call("POST", url, headers, body, timeout) as (response, deadline):
            return Response(response.status, response.headers, await self._read(response, deadline))

    async def get(self, url: URL, headers: Mapping[str, str], timeout: float) -> Response:
        """Asks once. Raises as `post` does."""
        async with self._call("GET", url, headers, None, timeout) as (response, deadline):
            return Response(response.status, response.headers, await self._read(response, deadline))

    @asynccontextmanager
    async def stream(
        self, url: URL, headers: Mapping[str, str], body: bytes, timeout: float
    ) -> AsyncGenerator["OpenResponse", None]:
        """Posts once and hands the response over while it comes; `timeout` covers it to its end. Leaving early closes
        the connection. Raises as `post` does."""
        async with self._call("POST", url, headers, body, timeout) as (response, deadline):
            read = partial(self._read, response, deadline)
            yield OpenResponse(response.status, response.headers, _content(response, deadline), read)

    @asynccontextmanager
    async def _call(
        self, method: str, url: URL, headers: Mapping[str, str], body: bytes | None, timeout: float
    ) -> AsyncGenerator[tuple[aiohttp.ClientResponse, float], None]:
        """The response and the loop's time by which its body must have come."""
        # A timeout belongs to the task that enters it, and a stream may be read by another than opened it: each wait
        # has a timeout of its own, and none is held over a `yield`.
        deadline = asyncio.get_running_loop().time() + timeout
        try:
            async with asyncio.timeout_at(deadline):
                response = await self._open().request(method, url, data=body, headers=headers, allow_redirects=False)
            async with response:
                yield response, deadline
        except (ProviderError, GeneratorExit):
            raise
        except Exception as error:  # noqa: BLE001 (every one of them becomes a ProviderError)
            # `from None`: the repr of aiohttp's errors shows the request's headers, and so the key.
            raise self._explain(error, timeout) from None

    async def close(self) -> None:
        """Closes the connections. A later `post` would open new ones."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def _read(self, response: aiohttp.ClientResponse, deadline: float) -> bytes:
        async with asyncio.timeout_at(deadline):
            return await self._bounded(response)

    async def _bounded(self, response: aiohttp.ClientResponse) -> bytes:
        chunks: list[bytes] = []
        size = 0
        while chunk := await response.content.readany():
            size += len(chunk)
            if size > self._max_bytes:
                # The rest may be endless: the connection goes rather than being drained.
                response.close()
                raise ProviderError(
                    ErrorCode.UPSTREAM_INVALID,
                    f"the upstream's response exceeds {self._max_bytes} bytes",
                    retryable=True,
                )
            chunks.append(chunk)
        return chunks[0] if len(chunks) == 1 else b"".join(chunks)

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(
                    limit=0,  # the engine bounds what is in flight; waiting here would only eat the timeout
                    keepalive_timeout=KEEPALIVE_SECONDS,
                ),
                cookie_jar=aiohttp.DummyCookieJar(),
                timeout=aiohttp.ClientTimeout(total=None, connect=self._connect_timeout),
                trust_env=False,
            )
        return self._session

    def _explain(self, error: Exception, timeout: float) -> ProviderError:
        match error:
            case aiohttp.ConnectionTimeoutError():
                code, words = _UNREACHABLE, f"the upstream could not be connected to within {self._connect_timeout:g} s"
            case TimeoutError():
                code, words = ErrorCode.UPSTREAM_TIMEOUT, f"the upstream did not answer within {timeout:g} s"
            case aiohttp.ClientPayloadError() if isinstance(error.__cause__, ContentEncodingError):
                code, words = ErrorCode.UPSTREAM_INVALID, "the upstream's response cannot be decompressed"
            case aiohttp.ClientResponseError():
                code, words = ErrorCode.UPSTREAM_INVALID, "the upstream's response is not valid HTTP"
            case _:
                code, words = _UNREACHABLE, _unreachable(error)
        return ProviderError(code, words, retryable=True)


_UNREACHABLE = ErrorCode.UPSTREAM_UNREACHABLE


async def _content(response: aiohttp.ClientResponse, deadline: float) -> AsyncGenerator[bytes, None]:
    while True:
        async with asyncio.timeout_at(deadline):
            chunk = await response.content.readany()
        if not chunk:
            return
        yield chunk


def _unreachable(error: Exception) -> str:
    cause = error.os_error if isinstance(error, aiohttp.ClientConnectorError) else error
    match error:
        case _ if isinstance(cause, ssl.SSLCertVerificationError):
            return "the upstream's TLS certificate is not valid"
        case aiohttp.ClientConnectorCertificateError():
            return "the upstream's TLS certificate is not valid"
        case _ if isinstance(cause, ssl.SSLError):
            return "the TLS handshake with the upstream failed"
        case aiohttp.ClientConnectorDNSError():
            return "the upstream's name has no address"
        case aiohttp.ClientConnectorError():
            return "the upstream could not be connected to"
        case aiohttp.ClientPayloadError():
            return "the upstream's response broke off"
        case aiohttp.ServerDisconnectedError() | OSError():
            return "the upstream closed the connection"
        case _:
            return f"the upstream could not be asked ({type(error).__name__})"
