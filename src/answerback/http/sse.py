"""Streamed responses: server-sent events, and text as it comes. A client that hangs up stops the work behind its
stream; a stream that breaks ends with an error event, or its connection is cut."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping
from typing import Any, Protocol, TypeAlias

from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from answerback.http.codes import STOPPING
from answerback.http.disconnect import ClientGone, client_of, while_connected
from answerback.http.errors import ErrorContent
from answerback.http.request_log import ERROR_CODE
from answerback.http.server.flow import HIGH_WATER_BYTES
from answerback.http.upstream import content_of_failure
from answerback.kernel.json import encoded
from answerback.kernel.provider_error import ProviderError

EVENT_STREAM = "text/event-stream"

DONE = b"data: [DONE]\n\n"
"""The last event of a whole stream on the OpenAI routes."""

WORDS_DONE = b'data: {"done":true}\n\n'
"""The last event of a whole stream on our own routes. That of an answer that was cut says so, too."""

COMMENT = b": keepalive\n\n"
"""Clients skip it."""

KEEP_ALIVE_SECONDS = 15.0
"""The longest time that a client gets nothing of its events: proxies commonly cut what is silent for 30 to 60 s."""

HEADERS: Mapping[str, str] = {"cache-control": "no-cache", "x-accel-buffering": "no"}
"""Keep caches and buffering proxies from holding a stream back."""


class Aborted(Exception):
    """A response broke and its format has no way to say so: the connection ends without the body's end, so that the
    client's HTTP library raises instead of taking half an answer for a whole one."""


STOPPED = "the service is stopping: this answer is not whole, ask again"


RenderErrorEvent: TypeAlias = Callable[[ErrorContent], bytes]
"""Makes the last event of a stream that broke, in its router's format."""


def data_event(value: Any) -> bytes:
    """One event. Bytes are taken as JSON and forwarded as they are; a model or a plain value is encoded."""
    if not isinstance(value, bytes):
        value = encoded(value)
    if b"\n" in value or b"\r" in value:
        # JSON has line breaks between its tokens only, where a space means the same; in an event they would end a line.
        value = value.replace(b"\n", b" ").replace(b"\r", b" ")
    return b"data: %b\n\n" % value


def named_event(name: str, value: Any) -> bytes:
    """One event of this type; a model or a plain value is encoded."""
    return b"event: %b\ndata: %b\n\n" % (name.encode(), encoded(value))


def error_event(content: ErrorContent) -> bytes:
    """The RenderErrorEvent of our own streams: `event: error`, `{"error": {"code", "message"}}`."""
    return b"event: error\n" + data_event({"error": {"code": content.code, "message": content.message}})


class Text(Protocol):
    """A text, piece by piece; `finish_reason` is known once all have come."""

    @property
    def pieces(self) -> AsyncGenerator[str, None]: ...
    @property
    def finish_reason(self) -> str | None: ...


async def word_events(text: Text) -> AsyncGenerator[bytes, None]:
    """An answer as our own streams send it: `{"content": …}` for each piece, then `{"done": true}`, which has a
    `finish_reason` where the answer did not simply end."""
    try:
        async for piece in text.pieces:
            yield data_event({"content": piece})
            del piece
        reason = text.finish_reason
        yield WORDS_DONE if reason == "stop" else data_event({"done": True, "finish_reason": reason})
    finally:
        await text.pieces.aclose()


def is_last_event(event: bytes) -> bool:
    """Whether it ends a whole stream, on OpenAI's routes or our own."""
    return event == DONE or event.startswith(WORDS_DONE[:-3])


def sse_response(
    events: AsyncGenerator[bytes, None], render_error: RenderErrorEvent = error_event, held: Callable[[], int] = int
) -> Response:
    """A 200 that sends `events` (of `data_event` or `named_event`) as they come. They may raise ProviderError. `held`
    returns how many bytes of what was sent are in memory until the end."""
    return StreamedResponse(events, EVENT_STREAM, render_error, held)


def text_response(pieces: AsyncGenerator[bytes, None]) -> Response:
    """A 200 that sends UTF-8 text as it comes. The pieces may raise ProviderError."""
    return StreamedResponse(pieces, "text/plain; charset=utf-8", None)


class StreamedResponse(Response):
    """A 200 whose body comes from a generator, which is always closed: at its end, or as soon as the client hangs up.

    A ProviderError and the service's stop break it: `render_error` makes its last event, and without it the response is
    Aborted. Between events a comment is sent whenever nothing was for `KEEP_ALIVE_SECONDS`.

    Only for a request whose body has been read: the next message from the server must be the hang-up.
    """

    def __init__(
        self,
        pieces: AsyncGenerator[bytes, None],
        media_type: str,
        render_error: RenderErrorEvent | None,
        held: Callable[[], int] = int,
    ) -> None:
        self._pieces = pieces
        self._render_error = render_error
        self._held = held
        self._started = False
        self._comments: _Comments | None = None
        self.status_code = 200
        self.media_type = media_type
        self.background = None
        # Those of `Response` would include a length of 0.
        self.raw_headers = [
            (name.lower().encode("latin-1"), value.encode("latin-1"))
            for name, value in {"content-type": media_type, **HEADERS}.items()
        ]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Sends until the end or the hang-up. Raises Aborted, which the middleware handles."""
        try:
            try:
                await while_connected(scope, self._send(send, scope))
            except ClientGone:
                await _notice(receive)
            finally:
                if (client := client_of(scope)) is not None:
                    client.held = 0
                if self._comments is not None:
                    self._comments.end()
                await self._pieces.aclose()
        except ProviderError as error:
            await self._break(scope, send, content_of_failure(error))
        except asyncio.CancelledError:
            if not self._started:
                raise
            # The server stops, and its grace period for this stream is over.
            await self._break(scope, send, ErrorContent(*STOPPING, STOPPED))

    async def _break(self, scope: Scope, send: Send, content: ErrorContent) -> None:
        scope[ERROR_CODE] = content.code
        if self._render_error is None:
            raise Aborted
        await send({"type": "http.response.body", "body": self._render_error(content), "more_body": False})

    async def _send(self, send: Send, scope: Scope) -> None:
        self._started = True
        client = client_of(scope)
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        if self.media_type == EVENT_STREAM:
            send = self._comments = _Comments(send)
        async for piece in self._pieces:
            if client is not None:
                client.held = self._held()
            await send({"type": "http.response.body", "body": piece, "more_body": True})
            is_large = len(piece) > HIGH_WATER_BYTES
            # Not held until the next one comes: thousands of streams may wait for that.
            del piece
            if is_large:
                # Returns once the client has taken it; asked for sooner, the next one would be held beside it.
                await send({"type": "http.response.body", "body": b"", "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})


class _Comments:
    """Sends a stream's messages, and a comment whenever none was sent for `KEEP_ALIVE_SECONDS`."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._loop = asyncio.get_running_loop()
        self._sending = False
        self._sent_at = self._loop.time()
        self._comment: asyncio.Future[None] | None = None
        self._timer = self._loop.call_later(KEEP_ALIVE_SECONDS, self._look)

    async def __call__(self, message: Message) -> None:
        self._sending = True
        await self._send(message)
        self._sending, self._sent_at = False, self._loop.time()

    def end(self) -> None:
        """Nothing more is sent."""
        self._timer.cancel()
        if self._comment is not None:
            self._comment.cancel()

    def _look(self) -> None:
        if self._sending or not (self._comment is None or self._comment.done()):
            # A client that has not taken the last one yet gets no comment behind it.
            self._sent_at = self._loop.time()
        elif self._loop.time() >= self._sent_at + KEEP_ALIVE_SECONDS:
            comment = {"type": "http.response.body", "body": COMMENT, "more_body": True}
            self._comment = asyncio.ensure_future(self._send(comment))
            self._sent_at = self._loop.time()
        # One timer, set again when it is due: each event would pay for one of its own.
        self._timer = self._loop.call_at(self._sent_at + KEEP_ALIVE_SECONDS, self._look)


async def _notice(receive: Receive) -> None:
    """Takes the hang-up from the server, for the log of requests."""
    while (await receive())["type"] != "http.disconnect":
        continue
