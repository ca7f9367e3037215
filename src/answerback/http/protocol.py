"""uvicorn's HTTP protocol with bounds that it lacks: on what comes before a request's body, on how long a request may
take to come, and on how long a response may wait for its reader."""

import asyncio
from typing import Any, ClassVar
from urllib.parse import unquote

from httptools import HttpParserError, parse_url
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from answerback.chat.errors import shape_of
from answerback.http.middleware import HANG_UP, REQUEST, UNMATCHED, request_fields, request_name, shown
from answerback.kernel.log import Log
from answerback.kernel.telemetry import UNMEASURED, Metrics

MAX_HEAD_BYTES = 64 * 1024
"""Of the request line and all headers; what one read brings beyond it is still taken."""


UNKNOWN = "-"
"""What the log says of a request line that did not come."""


class BoundedHttp(HttpToolsProtocol):
    """Closes a connection whose request does not come in time to be worth reading, or whose response nobody reads.

    Times in seconds: `patience` without a byte of a request that has begun, `whole_request` for all of it; `stalled`
    without a byte taken of a response that waits. A connection between requests may be silent as long as uvicorn's
    keep-alive says, also before its first. What is refused here never comes to the application: it is answered, logged
    and counted here, in the same ways.
    """

    log: ClassVar[Log]
    metrics: ClassVar[Metrics] = UNMEASURED

    patience: ClassVar[float] = 30.0
    whole_request: ClassVar[float] = 300.0
    stalled: ClassVar[float] = 60.0

    @classmethod
    def telling(cls, log: Log, metrics: Metrics) -> "type[BoundedHttp]":
        """The protocol of a server that logs and counts there."""
        return type(cls.__name__, (cls,), {"log": log, "metrics": metrics})

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._in_head = False
        self._head_bytes = 0
        self._begun_at: float | None = None
        self._heard_at = 0.0
        self._unsent = 0
        self._reading: asyncio.TimerHandle | None = None
        self._writing: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's
        super().connection_made(transport)
        self.timeout_keep_alive_task = self.loop.call_later(self.timeout_keep_alive, self.timeout_keep_alive_handler)

    def connection_lost(self, exc: Exception | None) -> None:
        for timer in (self._reading, self._writing, self.timeout_keep_alive_task):
            if timer is not None:
                timer.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        # A read that holds the end of one request and the start of the next is not counted: it is bounded by itself.
        began_before = self._in_head
        super().data_received(data)
        self._heard_at = self.loop.time()
        if self._begun_at is not None and self._reading is None:
            self._reading = self.loop.call_later(self.patience, self._watch_reading)
        if not (began_before and self._in_head):
            return
        self._head_bytes += len(data)
        if self._head_bytes > MAX_HEAD_BYTES:
            self._refuse(431, "headers_too_large", "the headers are too large")

    def on_message_begin(self) -> None:
        self._in_head = True
        self._head_bytes = 0
        self._begun_at = self.loop.time()
        super().on_message_begin()
        self.scope["extensions"] = {HANG_UP: {"now": self._hang_up}}

    def on_headers_complete(self) -> None:
        super().on_headers_complete()
        self._in_head = False

    def on_message_complete(self) -> None:
        self._begun_at = None
        super().on_message_complete()

    def _watch_reading(self) -> None:
        self._reading = None
        if self._begun_at is None or self.transport.is_closing():
            return
        now = self.loop.time()
        if self.flow.read_paused or (self._in_head and self._answering()):
            # It is us who are late: what came before is not worked off yet.
            self._begun_at = self._heard_at = now
        due = min(self._heard_at + self.patience, self._begun_at + self.whole_request)
        if due > now:
            self._reading = self.loop.call_at(due, self._watch_reading)
        else:
            self._refuse(408, "request_timeout", "the request did not come in time; send it again")

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 (ours says the same)
        self._refuse(400, "invalid_http", "what came is not a valid HTTP request")

    def _refuse(self, status: int, code: str, message: str) -> None:
        """Ends the connection, with a word on why unless it would stand in the middle of a response."""
        if self.transport.is_closing():
            return
        in_body = self._begun_at is not None and not self._in_head
        silent = self.cycle.response_started if in_body else self._answering()
        if not silent:
            self._say(status, code, message)
        self._hang_up()

    def _say(self, status: int, code: str, message: str) -> None:
        request_id = request_name(next((value for name, value in self.headers or () if name == b"x-request-id"), b""))
        method, path = self._asked()
        response = shape_of(path)(status, code, message)
        headers = [*self.server_state.default_headers, *response.raw_headers, (b"x-request-id", request_id.encode())]
        lines = [b"%b: %b\r\n" % header for header in (*headers, (b"connection", b"close"))]
        self.transport.write(b"".join([STATUS_LINE[status], *lines, b"\r\n", response.body]))
        seconds = 0.0 if self._begun_at is None else self.loop.time() - self._begun_at
        self.log.warning(REQUEST, **request_fields(method, shown(path), UNKNOWN, status, seconds, request_id))
        self.metrics.requested(method, UNMATCHED, status, seconds)

    def _asked(self) -> tuple[str, str]:
        """Method and path, as far as they came."""
        try:
            path = parse_url(self.url).path
        except (AttributeError, TypeError, HttpParserError):
            path = None
        if not path:
            return UNKNOWN, UNKNOWN
        return self.parser.get_method().decode("ascii", "replace"), unquote(path.decode("ascii", "replace"))

    def _answering(self) -> bool:
        """Whether the response to the request before is under way."""
        return self.cycle is not None and not self.cycle.response_complete

    def _hang_up(self) -> None:
        """What was written is still sent, if it is taken in time."""
        self.transport.close()
        if self._writing is None:
            self._writing = self.loop.call_later(self.stalled, self.transport.abort)

    def pause_writing(self) -> None:
        super().pause_writing()
        self._unsent = self.transport.get_write_buffer_size()
        self._writing = self.loop.call_later(self.stalled, self._watch_writing)

    def resume_writing(self) -> None:
        if self._writing is not None:
            self._writing.cancel()
            self._writing = None
        super().resume_writing()

    def _watch_writing(self) -> None:
        unsent = self.transport.get_write_buffer_size()
        if unsent < self._unsent:
            self._unsent = unsent
            self._writing = self.loop.call_later(self.stalled, self._watch_writing)
        else:
            self._writing = None
            # Not `close`, which would wait for the reader.
            self.transport.abort()
