"""What every request passes: an id, a size limit, one log line, and a last net for our own faults."""

import asyncio
import re
import secrets
import time
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any

from answerback.http.errors import (
    CLIENT_CLOSED_REQUEST,
    RETRY_AFTER,
    BodyTooLarge,
    ShapeOf,
    own_shape,
    render_refusal,
)
from answerback.http.headers import RESPONSE_HEADERS
from answerback.http.sse import Aborted
from answerback.kernel.errors import NotFound
from answerback.kernel.log import Log
from answerback.kernel.telemetry import UNMEASURED, UNTRACED, Metrics, Span, SpanKind, Tracer

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
ASGIApp = Callable[[Scope, Receive, Send], Awaitable[None]]

HANG_UP = "answerback.hang_up"
"""The ASGI extension of a server that breaks responses off: its `now()` closes the connection."""

NO_ALLOWANCES: Mapping[str, int] = {}
CONVERSATIONS = "/v1/conversations/"
REQUEST = "request"
"""The event of the line that every request leaves in the log."""
UNMATCHED = "unmatched"
"""What metrics call the route of a path that is none of ours."""
SANE_ID = re.compile(rb"[A-Za-z0-9._:-]{1,128}\Z")
TRACEPARENT = re.compile(rb"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}\Z")
"""W3C Trace Context, version 00."""

PROBES = frozenset({"/healthz", "/readyz", "/metrics"})
"""Asked by machines every few seconds: no traces of them."""

BROKEN = (b"event: error", b'data: {"error"')
"""How the last event of a stream begins that broke after its 200."""


class RequestMiddleware:
    """Plain ASGI, since every request pays for it. `max_body_bytes` bounds a request's body; `allowances` are bytes
    that a path may take beyond it, for what wraps its content."""

    def __init__(
        self,
        app: ASGIApp,
        max_body_bytes: int,
        log: Log,
        shape_of: ShapeOf = own_shape,
        allowances: Mapping[str, int] = NO_ALLOWANCES,
        metrics: Metrics = UNMEASURED,
        tracer: Tracer = UNTRACED,
    ) -> None:
        self._app = app
        self._shape_of = shape_of
        self._max_body_bytes = max_body_bytes
        self._allowances = allowances
        self._log = log
        self._metrics = metrics
        self._tracer = tracer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        limit = self._max_body_bytes + self._allowances.get(scope["path"], 0)
        exchange = _Exchange(scope, receive, send, limit)
        scope[RESPONSE_HEADERS] = exchange.added
        about = {"http.request.method": scope["method"]}
        tracer = UNTRACED if scope["path"] in PROBES else self._tracer
        with tracer.span(scope["method"], SpanKind.SERVER, about, exchange.traceparent) as span:
            try:
                await self._answer(scope, receive, exchange)
            finally:
                self._report(scope, exchange, time.perf_counter() - started, span)

    async def _answer(self, scope: Scope, receive: Receive, exchange: "_Exchange") -> None:
        try:
            _check_address(scope)
            exchange.check_length()
            await self._app(scope, exchange.receive, exchange.send)
        except (BodyTooLarge, NotFound) as refusal:
            await render_refusal(refusal, self._shape_of(scope["path"]))(scope, receive, exchange.send)
        except Aborted:
            await exchange.hang_up()
        except asyncio.CancelledError:
            # The server stops and has waited long enough for this request.
            if exchange.status is not None:
                raise
            message = "the service is stopping and did not get to this; send it again"
            response = self._shape_of(scope["path"])(503, "stopping", message, None, RETRY_AFTER)
            await response(scope, receive, exchange.send)
        except Exception:
            # Ours: everything a user or the world can cause has been turned into a response further in.
            self._log.exception("fault", request=exchange.request_id, path=shown(scope["path"]))
            if exchange.status is not None:
                raise
            message = f"the service failed; its log has the reason under request {exchange.request_id}"
            await self._shape_of(scope["path"])(500, "internal", message)(scope, receive, exchange.send)

    def _report(self, scope: Scope, exchange: "_Exchange", seconds: float, span: Span) -> None:
        status, broken = exchange.ended()
        log = self._log.info if status < 400 and not broken else self._log.warning
        if status >= 500 or broken:
            log = self._log.error
        handler = getattr(scope.get("endpoint"), "__name__", "-")
        fields = request_fields(scope["method"], shown(scope["path"]), handler, status, seconds, exchange.request_id)
        if broken:
            fields["stream"] = "broken"
        log(REQUEST, **fields)
        route = _route(scope)
        self._metrics.requested(scope["method"], route, status, seconds)
        span.rename(f"{scope['method']} {route}")
        span.note({"http.route": route, "http.response.status_code": status})
        if status >= 500 or broken:
            span.fail("broken" if broken else str(status))


def _check_address(scope: Scope) -> None:
    """NUL is in no name that was ever given, and PostgreSQL cannot even be asked for one."""
    if "\0" in scope["path"]:
        raise NotFound("there is no such address")


def _route(scope: Scope) -> str:
    """The template of the path, of which there are few."""
    template = getattr(scope.get("route"), "path", None)
    if isinstance(template, str):
        return template
    named: str = scope["path"]
    return named if scope.get("endpoint") is not None and not scope.get("path_params") else UNMATCHED


def request_name(given: bytes) -> str:
    """The id of a request: the one that came as `x-request-id`, if it is a sane one, or a new one."""
    return given.decode() if SANE_ID.match(given) else "req_" + secrets.token_hex(12)


def request_fields(
    method: str, path: str, handler: str, status: int, seconds: float, request_id: str
) -> dict[str, object]:
    """What the log says of every request."""
    ms = round(seconds * 1000, 2)
    return {"method": method, "path": path, "handler": handler, "status": status, "ms": ms, "request": request_id}


def shown(path: str) -> str:
    """The path as the log shows it, without a conversation's key: that may be a callback URL with a token in it."""
    if path.startswith(CONVERSATIONS):
        return CONVERSATIONS + "…"
    return path.partition("?")[0].replace(" ", "%20")[:256]


class _Exchange:
    """One request and its response on their way through."""

    def __init__(self, scope: Scope, receive: Receive, send: Send, max_body_bytes: int) -> None:
        self._hang_up = scope.get("extensions", {}).get(HANG_UP)
        self._receive = receive
        self._send = send
        self._max_body_bytes = max_body_bytes
        self._received = 0
        self._length = 0
        self._streams_events = False
        self._complete = False
        self._broken = False
        self._gone = False
        self.status: int | None = None
        self.traceparent: str | None = None
        self.added: list[tuple[bytes, bytes]] = []
        given = b""
        for name, value in scope["headers"]:
            if name == b"x-request-id":
                given = value
            elif name == b"content-length" and value.isdigit():
                self._length = int(value)
            elif name == b"traceparent" and TRACEPARENT.match(value):
                self.traceparent = value.decode()
        self.request_id = request_name(given)

    def check_length(self) -> None:
        if self._length > self._max_body_bytes:
            self._refuse()

    def _refuse(self) -> None:
        raise BodyTooLarge(f"the body is larger than {self._max_body_bytes} bytes; send a smaller one")

    def ended(self) -> tuple[int, bool]:
        """The status that is true in the end, and whether the response broke after it was sent."""
        if self._gone and not self._complete:
            return CLIENT_CLOSED_REQUEST, False
        if self.status is None:
            return 500, False
        return self.status, self._broken or not self._complete

    async def receive(self) -> Message:
        message = await self._receive()
        if message["type"] == "http.request":
            self._received += len(message.get("body", b""))
            if self._received > self._max_body_bytes:
                self._refuse()
        elif message["type"] == "http.disconnect":
            self._gone = True
        return message

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self._streams_events = (b"content-type", b"text/event-stream") in message["headers"]
            own = {name for name, _ in message["headers"]}
            # What the response itself says of a limit wins over what was noted on its way.
            added = [header for header in self.added if header[0] not in own]
            message["headers"] = [*message["headers"], (b"x-request-id", self.request_id.encode()), *added]
        elif message["type"] == "http.response.body":
            if self._streams_events and message.get("body", b"").startswith(BROKEN):
                self._broken = True
            self._complete = not message.get("more_body", False)
        await self._send(message)

    async def hang_up(self) -> None:
        """Ends the connection before the body's end, so that nobody takes the response for whole."""
        self._broken = True
        if self._hang_up is None:
            return
        self._hang_up["now"]()
        # Until it is closed: the server takes an application that returns before for a faulty one.
        while (await self._receive())["type"] != "http.disconnect":
            continue
