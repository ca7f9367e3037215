"""What surrounds every request: an id, a size limit, one log line, and a 500 for faults of our own."""

import asyncio
import re
import time

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from answerback.http.body_limits import BodyLimits
from answerback.http.codes import INTERNAL, STOPPING
from answerback.http.cors import Cors
from answerback.http.disconnect import CLIENT, Client
from answerback.http.error_handlers import CLIENT_CLOSED_REQUEST, ErrorRenderers
from answerback.http.errors import RETRY_AFTER, BodyTooLarge, ErrorContent, RateLimited, content_of
from answerback.http.headers import RESPONSE_HEADERS, with_plain_cookies
from answerback.http.paths import Paths
from answerback.http.request_log import ENDLESS, ERROR_CODE, NO_HANDLER, RequestLog, request_id
from answerback.http.routing import RouteLabels
from answerback.http.sse import Aborted
from answerback.http.unfinished_bodies import LIGHT_BYTES, UnfinishedBodies
from answerback.kernel.current_request import CURRENT_REQUEST, CurrentRequest
from answerback.kernel.errors import NotFound
from answerback.kernel.instruments import Instruments
from answerback.kernel.telemetry import UNTRACED, Span, SpanKind

TRACEPARENT = re.compile(rb"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}\Z")
"""W3C Trace Context, version 00."""

UNTRACED_PATHS = frozenset({"/healthz", "/readyz", "/metrics"})
"""Probes ask for these every few seconds."""

BROKEN = (b"event: error", b'data: {"error"', b"event: response.failed")
"""The last event of a stream that broke after its 200 begins with one of these."""


class RequestMiddleware:
    """Plain ASGI, since every request pays for it."""

    def __init__(
        self,
        app: ASGIApp,
        instruments: Instruments,
        requests: RequestLog,
        renderers: ErrorRenderers,
        paths: Paths,
        cors: Cors,
        labels: RouteLabels,
        limits: BodyLimits,
    ) -> None:
        self._app = app
        self._log = instruments.log
        self._tracer = instruments.tracer
        self._requests = requests
        self._renderers = renderers
        self._paths = paths
        self._cors = cors
        self._labels = labels
        self._limits = limits
        self._bodies = UnfinishedBodies()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        scope["path"] = self._paths.canonical(scope["path"])
        exchange = _Exchange(scope, receive, send, self._limits.of(scope["path"]), self._bodies)
        current = CurrentRequest(exchange.request_id)
        CURRENT_REQUEST.set(current)
        exchange.added += self._cors.headers(exchange.origin)
        scope[RESPONSE_HEADERS] = exchange.added
        about = {"http.request.method": scope["method"]}
        tracer = UNTRACED if scope["path"] in UNTRACED_PATHS else self._tracer
        with tracer.span(scope["method"], SpanKind.SERVER, about, exchange.traceparent) as span:
            try:
                await self._answer(scope, receive, exchange)
            finally:
                self._bodies.ended(exchange)
                seconds = time.perf_counter() - started
                if tracer is not UNTRACED:
                    self._note(scope, exchange, span)
                # Behind what has been written of the response, which leaves at the end of this turn.
                asyncio.get_running_loop().call_soon(self._record, scope, exchange, current, seconds)

    async def _answer(self, scope: Scope, receive: Receive, exchange: "_Exchange") -> None:
        try:
            if scope["method"] == "OPTIONS" and await self._preflight(scope, exchange):
                return
            _check_path(scope)
            exchange.check_length()
            await self._app(scope, exchange.receive, exchange.send)
        except (BodyTooLarge, NotFound, RateLimited) as refusal:
            await self._renderers.render(scope, content_of(refusal))(scope, receive, exchange.send)
        except Aborted:
            await exchange.hang_up()
        except asyncio.CancelledError:
            # The server stops, and its grace period for this request is over.
            if exchange.status is not None:
                raise
            message = "the service is stopping and did not get to this; send it again"
            content = ErrorContent(*STOPPING, message, headers=RETRY_AFTER)
            await self._renderers.render(scope, content)(scope, receive, exchange.send)
        except Exception:
            # A fault of ours: whatever a caller or an upstream can cause was rendered by the application.
            self._log.exception("fault", path=self._requests.logged_path(scope["path"]))
            if exchange.status is not None:
                raise
            message = f"the service failed; its log has the reason under request {exchange.request_id}"
            await self._renderers.render(scope, ErrorContent(*INTERNAL, message))(scope, receive, exchange.send)

    async def _preflight(self, scope: Scope, exchange: "_Exchange") -> bool:
        """Whether it was one, and has been answered."""
        headers = self._cors.preflight(scope["method"], dict(scope["headers"]))
        if headers is None:
            return False
        await exchange.send({"type": "http.response.start", "status": 204, "headers": headers})
        await exchange.send({"type": "http.response.body", "body": b"", "more_body": False})
        return True

    def _note(self, scope: Scope, exchange: "_Exchange", span: Span) -> None:
        status, broken = exchange.ended()
        route = self._labels.of(scope)
        span.rename(f"{scope['method']} {route}")
        span.note({"http.route": route, "http.response.status_code": status})
        if status >= 500 or broken:
            span.fail("broken" if broken else str(status))

    def _record(self, scope: Scope, exchange: "_Exchange", current: CurrentRequest, seconds: float) -> None:
        status, broken = exchange.ended()
        handler = getattr(scope.get("endpoint"), "__name__", NO_HANDLER)
        self._requests.answered(
            scope["method"],
            scope["path"],
            status,
            seconds,
            exchange.request_id,
            route=self._labels.of(scope),
            handler=handler,
            code=scope.get(ERROR_CODE),
            broken=broken,
            notes=current.notes,
        )


def _check_path(scope: Scope) -> None:
    """Refuses a NUL, which no stored name holds and no parameter of PostgreSQL may hold."""
    if "\0" in scope["path"]:
        raise NotFound("there is no such address")


class _Exchange:
    """One request and its response."""

    def __init__(
        self, scope: Scope, receive: Receive, send: Send, max_body_bytes: int, bodies: UnfinishedBodies
    ) -> None:
        self._scope = scope
        self._client: Client | None = scope.get("extensions", {}).get(CLIENT)
        self._receive = receive
        self._send = send
        self._max_body_bytes = max_body_bytes
        self._bodies = bodies
        self._received = 0
        self._streams_events = False
        self._complete = False
        self._broken = False
        self._gone = False
        self.status: int | None = None
        self.added: list[tuple[bytes, bytes]] = []
        headers: dict[bytes, bytes] = dict(scope["headers"])
        if b"cookie" in headers:
            scope["headers"] = with_plain_cookies(scope["headers"])
        self.request_id = request_id(headers.get(b"x-request-id", b""))
        self.origin = headers.get(b"origin")
        length = headers.get(b"content-length", b"")
        self._length = int(length) if length.isdigit() else 0
        parent = headers.get(b"traceparent", b"")
        self.traceparent = parent.decode() if TRACEPARENT.match(parent) else None

    def check_length(self) -> None:
        if self._length > self._max_body_bytes:
            self._refuse()

    def _refuse(self) -> None:
        raise BodyTooLarge(f"the body is larger than {self._max_body_bytes} bytes; send a smaller one")

    def ended(self) -> tuple[int, bool]:
        """The final status, and whether the response broke after its status was sent."""
        if self._gone and not self._complete:
            if self.status is not None and ENDLESS in self._scope:
                return self.status, False
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
            if self._received > LIGHT_BYTES:
                self._count_body(more=message.get("more_body", False))
        elif message["type"] == "http.disconnect":
            self._gone = True
        return message

    def _count_body(self, *, more: bool) -> None:
        if more:
            host, _ = self._scope.get("client") or ("", 0)
            self._bodies.brought(self, host, self._received)
        else:
            self._bodies.ended(self)

    def abort(self) -> None:
        """Ends the request, whose body has not come whole."""
        if self._client is not None:
            self._client.hang_up()

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self._streams_events = (b"content-type", b"text/event-stream") in message["headers"]
            given = dict(message["headers"])
            headers = [*message["headers"], (b"x-request-id", self.request_id.encode())]
            for header in self.added:
                # A limit that the response names itself wins over the one that was added before.
                if header[0] not in given:
                    headers.append(header)
            message["headers"] = headers
        elif message["type"] == "http.response.body":
            if self._streams_events and message.get("body", b"").startswith(BROKEN):
                self._broken = True
            self._complete = not message.get("more_body", False)
        await self._send(message)

    async def hang_up(self) -> None:
        """Ends the connection before the body's end, so that no client takes the response for whole."""
        self._broken = True
        if self._client is None:
            return
        self._client.hang_up()
        # Waits until the connection is closed: the server logs an application that returns before as faulty.
        while (await self._receive())["type"] != "http.disconnect":
            continue
