"""uvicorn's HTTP protocol with bounds that it lacks: on what a connection sends, on how long a request may take to
arrive, and on how long a response may wait for its reader."""

import asyncio
import sys
from typing import Any, ClassVar, NoReturn

from httptools import HttpParserInvalidMethodError
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from answerback.http.descriptors import has_unread, leaves_reserve
from answerback.http.disconnect import CLIENT, Client
from answerback.http.error_handlers import ErrorRenderers
from answerback.http.errors import ErrorContent
from answerback.http.request_log import RequestLog
from answerback.http.server.early_responses import INVALID, NO_ROOM, TOO_LARGE, TOO_LATE, EarlyResponses, arrived
from answerback.http.server.flow import Flow, LingeringTransport, ResponseWriter, fitted, reset
from answerback.http.server.heads import Refused, name_host_of, wrong_head, wrong_start
from answerback.http.server.idle_watch import IdleWatch
from answerback.http.server.request_bounds import FRAMING, MAX_FIELDS, MAX_HEAD_BYTES, MAX_PIPELINED, MAX_UNWANTED_BYTES
from answerback.http.server.room import REFUSED_SECONDS
from answerback.http.server.unread import UnreadResponses
from answerback.http.server.upgrades import Declining
from answerback.http.server.write_watch import WriteWatch


class BoundedHttp(Declining):
    """Closes a connection that sends too much besides bodies, whose request arrives too slowly, or whose response is
    not read. What comes as a trailer is no header of the request. What is refused behind requests that still wait for
    their responses is answered by the end of the connection, after those responses.

    Times in seconds: `patience` without a byte of a request that has begun, `whole_request` for all of it; `stalled`
    without a byte taken of a response that waits; uvicorn's keep-alive time between requests, and before the first. A
    request refused here never reaches the application: this class answers, logs and counts it.
    """

    early: ClassVar[EarlyResponses]
    unread: ClassVar[UnreadResponses]

    patience: ClassVar[float] = 30.0
    whole_request: ClassVar[float] = 300.0
    stalled: ClassVar[float] = 60.0

    @classmethod
    def configured(cls, requests: RequestLog, renderers: ErrorRenderers) -> "type[BoundedHttp]":
        """The protocol class of a server; uvicorn makes its instances."""
        of_server = {"early": EarlyResponses(requests, renderers), "unread": UnreadResponses()}
        return type(cls.__name__, (cls,), of_server | cls.shared())

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._in_head = False
        self._framing = self._fields = self._unwanted = 0
        self.url = b""
        self._wrong = INVALID
        self._deaf = False
        self._lingering = False
        self._leaving = False
        self._running: RequestResponseCycle | None = None
        self._begun_at: float | None = None
        self._heard_at = 0.0
        self._reading: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's
        super().connection_made(transport)
        self.flow = Flow(transport)
        self._sender = Client(self._hang_up, self.flow.resume_reading)
        self._responses = ResponseWriter(transport, self.loop)
        self._writing = WriteWatch(transport, self.loop, self.stalled)
        self._idle = IdleWatch(self.loop, self.timeout_keep_alive, self._busy, transport.close)
        self._idle.begin()
        self._heard_at = self.loop.time()
        if not leaves_reserve(self._descriptor()):
            self._answer(NO_ROOM)
            self._deaf, self._reading = True, self.loop.call_later(REFUSED_SECONDS, self._hang_up)
            self._close()

    def silent_for(self, *, begun: bool) -> float:
        """How many seconds it has waited for a request, or for the rest of one that has begun; 0 if it does not."""
        rest = self._begun_at is not None and not self.flow.resting and not self._is_late()
        return self.loop.time() - self._heard_at if (rest if begun else not self._busy()) else 0.0

    def give_way(self) -> None:
        """Of a connection that is idle, or whose request is late: ends, so that another has its descriptor."""
        if self._begun_at is not None:
            self._refuse(TOO_LATE)
        self.transport.close()

    def _busy(self) -> bool:
        return self._begun_at is not None or self.flow.resting or self._answering()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._reading is not None:
            self._reading.cancel()
        self._idle.end()
        self._writing.end()
        self.unread.goes_on(self)
        super().connection_lost(exc)
        if self._running is not None:
            # uvicorn notifies only the newest request, which may still wait for this one's response.
            self._running.disconnected = True
            self._running.message_event.set()
        self._sender.went()
        # They refer to the connection, which would wait for the garbage collector with all that it holds.
        self.cycle = self.scope = self.headers = self._running = self._sender = self._idle = None  # type: ignore[assignment]
        self.pipeline.clear()

    def data_received(self, data: bytes) -> None:
        if self._deaf:
            self._unwanted += len(data)
        else:
            self._parse(data)
        if self._unwanted > MAX_UNWANTED_BYTES:
            self._hang_up()

    def _parse(self, data: bytes) -> None:
        # What is counted is reset where a part of a request begins, so of the read that brings this only the later ones
        # count; one read is bounded anyway.
        self._framing += len(data)
        super().data_received(data)
        if self.transport.is_closing():
            return
        self._heard_at = self.loop.time()
        if self._begun_at is not None:
            if self._reading is None:
                self._reading = self.loop.call_later(self.patience, self._watch_reading)
        elif not self._answering():
            # Line breaks before a request begin none.
            self._idle.begin()
        if self._framing > MAX_HEAD_BYTES:
            self._refuse(TOO_LARGE)

    def on_message_begin(self) -> None:
        self._in_head = True
        self._framing = self._fields = self._unwanted = 0
        self._begun_at = self.loop.time()
        if len(self.pipeline) >= MAX_PIPELINED:
            self._stop_parsing(TOO_LARGE)
        super().on_message_begin()
        self.scope["extensions"] = {CLIENT: self._sender}  # type: ignore[dict-item]  # an object, not its description

    def on_header(self, name: bytes, value: bytes) -> None:
        self._fields += 1
        if self._fields > MAX_FIELDS:
            self._stop_parsing(TOO_LARGE)
        if self._in_head:
            name = name.lower()
            if name == b"expect" and value.lower() == b"100-continue":
                self.expect_100_continue = self.parser.get_http_version() != "1.0"
            self.headers.append((name, value))

    def on_headers_complete(self) -> None:
        if (wrong := wrong_head(self.parser, self.url, self.headers)) is not None:
            self._stop_parsing(wrong)
        if self.offers_upgrade:
            return
        name_host_of(self.url, self.headers)
        super().on_headers_complete()
        self._in_head = False
        self._framing = 0
        self.flow.pipelined = bool(self.pipeline)
        if not self.pipeline:
            self._running = self.cycle
        if self._leaving:
            self.cycle.keep_alive = False
        if self.cycle.keep_alive:
            self.cycle.transport = self._responses  # type: ignore[assignment]
        else:
            self._close_after(self.cycle)

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        super()._start_asgi_task(cycle, fitted(app, cycle, self._close_after))

    def _close_after(self, cycle: RequestResponseCycle) -> None:
        cycle.keep_alive = False
        cycle.transport = LingeringTransport(self._responses, self._close)  # type: ignore[assignment]

    def on_body(self, body: bytes) -> None:
        self._framing = max(0, self._framing - (1 + FRAMING) * len(body))
        self._unwanted += len(body) if self.cycle.response_complete else 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        if self.offers_upgrade:
            return
        self._begun_at = None
        self._framing = 0
        super().on_message_complete()
        if self._lingering:
            self.transport.close()

    def on_response_complete(self) -> None:
        # As uvicorn's, without a timer for each request.
        self.server_state.total_requests += 1
        self.flow.pipelined = len(self.pipeline) > 1
        self._running = self.pipeline[-1][0] if self.pipeline else None
        if self.transport.is_closing():
            return
        self.flow.resume_reading()
        if self.pipeline:
            self._start_asgi_task(*self.pipeline.pop())
        else:
            self._idle.begin()

    def shutdown(self) -> None:
        """Of a server that stops: a request under way, or on its way, is the connection's last. A client whose response
        has begun does not know of the end, and may ask once more."""
        self._leaving = True
        if self._answering() and not self.cycle.response_started:
            super().shutdown()

    def _descriptor(self) -> int:
        return int(self.transport.get_extra_info("socket").fileno())

    def leave(self) -> None:
        """Closes the connection, at once where no request is on its way."""
        if self._answering():
            super().shutdown()
        elif self._begun_at is None and not self.flow.resting and not has_unread(self._descriptor()):
            self.transport.close()

    def _watch_reading(self) -> None:
        self._reading = None
        if self._begun_at is None or self.transport.is_closing():
            return
        now = self.loop.time()
        if self._is_late():
            self._begun_at = self._heard_at = now
        due = min(self._heard_at + self.patience, self._begun_at + self.whole_request)
        if due > now:
            self._reading = self.loop.call_at(due, self._watch_reading)
        else:
            self._refuse(TOO_LATE)

    def _is_late(self) -> bool:
        """Whether the service is late, not the client: it still answers the request before."""
        return self.flow.read_paused or (self._in_head and self._answering())

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 (ours is fixed)
        has_no_method = isinstance(sys.exc_info()[1], HttpParserInvalidMethodError)
        self._refuse(wrong_start(self.came) if has_no_method else self._wrong)

    def _stop_parsing(self, wrong: ErrorContent) -> NoReturn:
        self._wrong = wrong
        raise Refused

    def _refuse(self, wrong: ErrorContent) -> None:
        """Ends the connection: after the responses to the requests in hand if these are whole, else at once, with an
        error response unless that would stand in the middle of another response."""
        if self.transport.is_closing():
            return
        in_body = self._begun_at is not None and not self._in_head
        if not in_body and self._answering():
            self._deaf, self._begun_at, self._unwanted = True, None, 0
            self._close_after(self.cycle)
            return
        if not (self.pipeline or (in_body and self.cycle.response_started)):
            self._answer(wrong)
        self._hang_up()

    def _answer(self, wrong: ErrorContent) -> None:
        seconds = 0.0 if self._begun_at is None else self.loop.time() - self._begun_at
        request = arrived(self.parser, self.url, self.headers or (), seconds)
        self._responses.write(self.early.response(request, wrong, self.server_state.default_headers))

    def _answering(self) -> bool:
        """Whether the response to the previous request is under way."""
        return self.cycle is not None and not self.cycle.response_complete

    def _close(self) -> None:
        """Closes the connection once the rest of the body has come, or the client has gone where something else came.
        What comes is dropped within the usual bounds."""
        self._responses.flush()
        expects_more = self._deaf or self._begun_at is not None
        if not expects_more or self.transport.is_closing() or not self.transport.can_write_eof():
            self.transport.close()
        else:
            self._lingering = True
            self.transport.write_eof()

    def _hang_up(self) -> None:
        """Closes the connection once the client has read what was written, or has not read it in time."""
        self._responses.flush()
        self._writing.close()

    def pause_writing(self) -> None:
        super().pause_writing()
        streams = self._running is not None and bool(self._running.chunked_encoding)
        client, held = self.client[0] if self.client else "", self._sender.held
        self.unread.waits(self, client, self._writing.begin(), streams=streams, held=held)

    def abort(self) -> None:
        """Ends the connection without waiting for its reader."""
        reset(self.transport)

    def unsent(self) -> int:
        return self.transport.get_write_buffer_size()

    def resume_writing(self) -> None:
        self.unread.goes_on(self)
        self._writing.end()
        super().resume_writing()
