"""Responses of the server itself, to requests that never reach the application."""

from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import unquote

from httptools import HttpParserError, HttpRequestParser, parse_url
from uvicorn.protocols.http.httptools_impl import STATUS_LINE

from answerback.http.codes import (
    CODING_UNKNOWN,
    HEADERS_TOO_LARGE,
    INVALID_HTTP,
    METHOD_UNKNOWN,
    REQUEST_TIMEOUT,
    TOO_MANY_CONNECTIONS,
    VERSION_UNKNOWN,
)
from answerback.http.error_handlers import ErrorRenderers
from answerback.http.errors import RETRY_AFTER, ErrorContent
from answerback.http.request_log import RequestLog, request_id

UNKNOWN = "-"
"""The logged method and path of a request whose request line did not arrive."""

TOO_LARGE = ErrorContent(*HEADERS_TOO_LARGE, "the path and the headers are too long, or the headers too many")
INVALID = ErrorContent(*INVALID_HTTP, "what came is not a valid HTTP request")
WRONG_HOST = ErrorContent(*INVALID_HTTP, "a request names its host in one Host header, as host or host:port; send one")
TWO_CALLERS = ErrorContent(*INVALID_HTTP, "a request has one Authorization header; send one")
UNKNOWN_CODING = ErrorContent(*CODING_UNKNOWN, "the only Transfer-Encoding that is known here is 'chunked'")
UNKNOWN_METHOD = ErrorContent(*METHOD_UNKNOWN, "the request's method is none of HTTP's; methods are in upper case")
NO_TUNNELS = ErrorContent(*METHOD_UNKNOWN, "this is no proxy: there are no tunnels for CONNECT")
UNKNOWN_VERSION = ErrorContent(
    *VERSION_UNKNOWN, "HTTP/1.1 and HTTP/1.0 are spoken here; a proxy in front may speak newer ones"
)
TOO_LATE = ErrorContent(*REQUEST_TIMEOUT, "the request did not come in time; send it again")
NO_ROOM = ErrorContent(*TOO_MANY_CONNECTIONS, "too many connections are open; try again soon", headers=RETRY_AFTER)
"""Why a request, or a connection, is refused."""


@dataclass(frozen=True, slots=True)
class Arrived:
    """What has come of a request, and the seconds that it took."""

    method: str
    path: str
    request_id: str
    seconds: float


def arrived(parser: HttpRequestParser, url: bytes, headers: Iterable[tuple[bytes, bytes]], seconds: float) -> Arrived:
    """`url` and `headers` are empty as long as they have not come."""
    given = request_id(next((value for name, value in headers if name == b"x-request-id"), b""))
    try:
        path = parse_url(url).path
    except HttpParserError:
        path = None
    if not path:
        return Arrived(UNKNOWN, UNKNOWN, given, seconds)
    method = parser.get_method().decode("ascii", "replace")
    return Arrived(method, unquote(path.decode("ascii", "replace")), given, seconds)


class EarlyResponses:
    """Each is logged and counted, and the last of its connection."""

    def __init__(self, requests: RequestLog, renderers: ErrorRenderers) -> None:
        self._requests = requests
        self._renderers = renderers

    def response(self, request: Arrived, wrong: ErrorContent, every: Iterable[tuple[bytes, bytes]]) -> bytes:
        """With the headers of `every` response of the server."""
        response = self._renderers.at(request.path)(wrong)
        named = ((b"x-request-id", request.request_id.encode()), (b"connection", b"close"))
        lines = [b"%b: %b\r\n" % header for header in (*every, *response.raw_headers, *named)]
        self._requests.answered(
            request.method, request.path, wrong.status, request.seconds, request.request_id, code=wrong.code
        )
        return b"".join([STATUS_LINE[wrong.status], *lines, b"\r\n", response.body])
