"""One bounded HTTP request to an LLM provider; every failure of the network becomes a ProviderError."""

import asyncio
import random
import ssl
from collections.abc import Callable, Mapping
from functools import partial

from answerback import __version__
from answerback.http.client import errors
from answerback.http.client import response as http
from answerback.http.client.client import HttpClient, RequestHead
from answerback.http.client.decoding import COMPRESSIONS, Inflate, coding
from answerback.http.client.dial import Origin
from answerback.http.client.errors import PLAIN_HTTP
from answerback.http.client.names import SharedLookups
from answerback.http.descriptors import is_shortage
from answerback.kernel.allowance import Allowance
from answerback.kernel.errors import ErrorCode
from answerback.kernel.heavy import HEAVY_BYTES, HeldBytes
from answerback.kernel.provider_error import ProviderError

FRAMING_BYTES = 64 * 1024
"""Of a response, besides as much as it has content."""
MAX_RESPONSE_BYTES = 8 * 1024 * 1024

SHORTAGE_SECONDS = 2.0
"""How long a call waits, on average, for a descriptor."""

ERROR_SECONDS = 5.0
"""How long the body of an error is waited for: its status and headers say most."""

READ_BYTES = 4 * 1024
"""How much of a stream is taken at once, in one turn of the event loop: a hundred events may be in it."""
WHOLE_BYTES = 64 * 1024
"""The same of a body that is only collected."""
BUFFER_BYTES = 16 * 1024
"""How much waits for its reader before no more is read from the upstream."""

CHUNKS_OF_ALL_A_SECOND, CHUNKS_OF_ALL_AT_ONCE = 10_000, 4_000
"""How many chunks the streams of one provider bring together, once each has brought as many as it may at once. So many
are a hundred answers of a hundred tokens a second."""


def json_headers(api_key: str | None) -> dict[str, str]:
    """Of a request in JSON, for an answer in JSON."""
    headers = {
        "Content-Type": "application/json",
        "Accept": "application/json",
        # Answers are small: compressing them would cost more time than it saves.
        "Accept-Encoding": "identity",
        "User-Agent": f"answerback/{__version__}",
    }
    return headers | {"Authorization": f"Bearer {api_key}"} if api_key else headers


class OpenResponse:
    """A response whose body still comes. Reading raises ProviderError. Names in `headers` may be asked for in any
    case."""

    def __init__(
        self,
        response: http.Response,
        deadline: float,
        explain: Callable[[Exception], ProviderError],
        held: HeldBytes,
        streamed: Allowance,
        max_bytes: int = MAX_RESPONSE_BYTES,
    ) -> None:
        self.streamed = streamed
        self.status = response.status
        self.headers: Mapping[str, str] = response.headers
        self._response = response
        self._time = asyncio.get_running_loop().time
        self._is_error = not 200 <= response.status < 300
        self._deadline = min(deadline, self._time() + ERROR_SECONDS) if self._is_error else deadline
        self._explain = explain
        self._held = held
        self._max_bytes = max_bytes
        named = coding(response.headers.get("Content-Encoding"))
        # Servers also name what is no compression, such as `utf-8`.
        self._inflate = Inflate(named) if named in COMPRESSIONS else None
        self._unread = b""

    @property
    def seconds_left(self) -> float:
        """Until the call is over."""
        return max(0.0, self._deadline - self._time())

    def unread(self, received: bytes) -> None:
        """These bytes are read again."""
        self._unread = received

    async def read_some(self, limit: int = READ_BYTES) -> bytes:
        """The bytes that have come, at least one and at most `limit`; none at the end. The connection ends reads that
        wait for something at the deadline; those of an error's body end sooner."""
        if self._unread:
            received, self._unread = self._unread, b""
            return received
        try:
            if self._time() >= self._deadline:
                raise TimeoutError
            if self._is_error:
                async with asyncio.timeout_at(self._deadline):
                    return await self._content(limit)
            return await self._content(limit)
        except Exception as error:  # noqa: BLE001 (every one of them becomes a ProviderError)
            raise self._explain(error) from None

    async def _content(self, limit: int) -> bytes:
        if self._inflate is None:
            return await self._response.read_some(limit)
        return await self._inflated(self._inflate, limit)

    async def _inflated(self, inflate: Inflate, limit: int) -> bytes:
        """As `read_some`. Raises HttpError, TimeoutError."""
        while True:
            if inflate.rest:
                # A loop that never waits for the server meets no deadline of the connection's.
                await asyncio.sleep(0)
                if self._time() >= self._deadline:
                    raise TimeoutError
            data = b"" if inflate.rest else await self._response.read_some(limit)
            if not data and not inflate.rest:
                if not inflate.whole:
                    raise errors.BodyBroken("the compressed body ends too early")
                return b""
            if content := inflate.feed(data, limit):
                return content

    async def read(self) -> bytes:
        """The whole body."""
        body, broken = await self.read_what_came()
        if broken is not None:
            raise broken
        return body

    async def read_what_came(self) -> tuple[bytes, ProviderError | None]:
        """The whole body; or as much as came of one that broke, and what broke it. Raises ProviderError for one that is
        too large."""
        parts, size = list[bytes](), 0
        while True:
            try:
                part = await self.read_some(WHOLE_BYTES)
            except ProviderError as broken:
                return b"".join(parts), broken
            if not part:
                return b"".join(parts), None
            parts.append(part)
            size += len(part)
            if size > self._max_bytes:
                raise self._explain(TooLarge(self._max_bytes))
            if size > HEAVY_BYTES:
                await self._hold(size)

    async def _hold(self, size: int) -> None:
        try:
            async with asyncio.timeout_at(self._deadline):
                await self._held.hold(self, size)
        except TimeoutError as error:
            raise self._explain(error) from None

    def close(self) -> None:
        """Closes the connection, unless the body has come whole: then another call may use it."""
        self._held.release(self)
        self._response.close()


class TooLarge(Exception):
    """A body exceeds as many bytes."""


class Transport:
    """`connect_timeout` covers name, connection and TLS, in seconds; a call's own timeout covers the whole of it.
    Bodies that are read whole share what `held` allows."""

    def __init__(self, connect_timeout: float, held: HeldBytes) -> None:
        self._connect_timeout = connect_timeout
        self._held = held
        self._streamed = Allowance(CHUNKS_OF_ALL_A_SECOND, CHUNKS_OF_ALL_AT_ONCE)
        self._client = HttpClient(connect_timeout, buffer_bytes=BUFFER_BYTES, framing_bytes=FRAMING_BYTES)
        self._resolve = SharedLookups()

    async def open(
        self,
        head: RequestHead,
        body: bytes | None,
        timeout: float,
        max_bytes: int = MAX_RESPONSE_BYTES,
        within: float | None = None,
    ) -> OpenResponse:
        """Asks once (again only as `HttpClient.request` does), following no redirect; `timeout` covers the response to
        its end; where it is the rest of a longer one, that is `within`. The caller closes it. Cancelling closes the
        connection, so that the LLM may stop.

        Raises ProviderError, always retryable: `upstream_timeout` after `timeout` seconds, `upstream_unreachable` where
        no whole response came, `upstream_invalid` where it is not valid HTTP or exceeds the limit in bytes.
        """
        explain = partial(self._explain, head.origin, timeout if within is None else within)
        deadline = asyncio.get_running_loop().time() + timeout
        try:
            response = await self._client.request(head, body, self._resolve, deadline)
        except Exception as error:  # noqa: BLE001 (as above)
            raise explain(error) from None
        return OpenResponse(response, deadline, explain, self._held, self._streamed, max_bytes)

    async def close(self) -> None:
        await self._client.close()

    def _explain(self, origin: Origin, timeout: float, error: Exception) -> ProviderError:
        if is_shortage(error):
            words = "this machine had no descriptor, port or memory left for a call"
            wait = SHORTAGE_SECONDS * (0.5 + random.random())
            return ProviderError(_UNREACHABLE, words, retryable=True, retry_after=wait, asked=False)
        code, words = _trouble(error)
        seconds = self._connect_timeout if isinstance(error, errors.ConnectTimeout) else timeout
        words = words.format(error=error, seconds=seconds)
        return ProviderError(code, words, retryable=True, remark=_remark(origin, error))


REFUSED = "refused the connection; is it running?"
TLS = "speaks TLS; its base URL should begin with https://"
PERHAPS_TLS = "closed the connection without a response; if it speaks TLS, its base URL begins with https://"
NO_TLS = "does not speak TLS; should its base URL begin with http://?"
"""What operators read after the provider's base URL."""

_UNREACHABLE = ErrorCode.UPSTREAM_UNREACHABLE
_INVALID = ErrorCode.UPSTREAM_INVALID

_TROUBLES: tuple[tuple[type[Exception], ErrorCode, str], ...] = (
    (errors.ConnectTimeout, _UNREACHABLE, "the upstream could not be connected to within {seconds:g} s"),
    (TimeoutError, ErrorCode.UPSTREAM_TIMEOUT, "the upstream did not answer within {seconds:g} s"),
    (TooLarge, _INVALID, "the upstream's response exceeds {error} bytes"),
    (errors.BodyUndecodable, _INVALID, "the upstream's response cannot be decompressed"),
    (errors.TooMuchFraming, _INVALID, "the upstream's HTTP is more headers and framing than content"),
    (errors.SpeaksTls, _UNREACHABLE, "the upstream speaks TLS, and was asked over plain HTTP"),
    (errors.NotHttp, _INVALID, "the upstream's response is not valid HTTP"),
    (ssl.SSLCertVerificationError, _UNREACHABLE, "the upstream's TLS certificate is not valid"),
    (ssl.SSLError, _UNREACHABLE, "the TLS handshake with the upstream failed"),
    (errors.NameNotFound, _UNREACHABLE, "the upstream's name has no address"),
    (errors.ConnectFailed, _UNREACHABLE, "the upstream could not be connected to"),
    (errors.BodyBroken, _UNREACHABLE, "the upstream's response broke off"),
    (errors.Disconnected, _UNREACHABLE, "the upstream closed the connection"),
)
"""An error of a call, or what it came from; the first row that fits decides."""


def _trouble(error: Exception) -> tuple[ErrorCode, str]:
    for kind, code, words in _TROUBLES:
        if isinstance(error, kind) or isinstance(error.__cause__, kind):
            return code, words
    return _UNREACHABLE, f"the upstream could not be asked ({type(error).__name__})"


def _remark(origin: Origin, error: Exception) -> str | None:
    cause = error.__cause__
    if isinstance(cause, ConnectionRefusedError):
        return REFUSED
    if isinstance(error, errors.SpeaksTls):
        return TLS
    if isinstance(error, errors.Disconnected) and not origin.tls:
        return PERHAPS_TLS
    return NO_TLS if isinstance(cause, ssl.SSLError) and cause.reason in PLAIN_HTTP else None
