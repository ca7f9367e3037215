"""Streams out of a door: server-sent events, and text as it comes. A caller that hangs up stops what feeds them; one
that breaks is told as broken, in its door's way."""

import asyncio
import json
from collections.abc import AsyncGenerator, Mapping
from typing import Any, Protocol

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from answerback.http.upstream import status_of
from answerback.kernel.errors import ProviderError

EVENT_STREAM = "text/event-stream"

DONE = b"data: [DONE]\n\n"
"""How OpenAI's streams say that they are whole."""

WORDS_DONE = b'data: {"done":true}\n\n'
"""How our own do."""

ENDS = (DONE, WORDS_DONE)

HEADERS: Mapping[str, str] = {"cache-control": "no-cache", "x-accel-buffering": "no"}
"""Keep caches and buffering proxies from holding a stream back."""


class Aborted(Exception):
    """Raised by a response that broke and cannot say so: the connection ends without the body's end, so that the
    caller's HTTP library raises instead of taking half an answer for a whole one."""


STOPPING = "the service is stopping: this answer is not whole, ask again"


class Tell(Protocol):
    """The event that says in a door's way that its stream broke."""

    def __call__(self, status: int, code: str, message: str, /) -> bytes: ...


def data_event(value: Any) -> bytes:
    """One event. Bytes are taken as JSON and forwarded as they are; anything else is encoded."""
    if not isinstance(value, bytes):
        value = json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode(errors="replace")
    if b"\n" in value or b"\r" in value:
        # Between JSON's tokens only, where a space means the same; in an event it would end the line.
        value = value.replace(b"\n", b" ").replace(b"\r", b" ")
    return b"data: %b\n\n" % value


def error_event(_: int, code: str, message: str) -> bytes:
    """How our own streams `Tell`: `event: error`, `{"error": {"code", "message"}}`."""
    return b"event: error\n" + data_event({"error": {"code": code, "message": message}})


async def word_events(words: AsyncGenerator[str, None]) -> AsyncGenerator[bytes, None]:
    """An answer as our own streams tell it: `{"content": …}` as often as it takes, then `{"done": true}`."""
    try:
        async for piece in words:
            yield data_event({"content": piece})
        yield WORDS_DONE
    finally:
        await words.aclose()


def sse_response(events: AsyncGenerator[bytes, None], tell: Tell = error_event) -> Response:
    """A 200 that sends `events` (of `data_event`) as they come. They may raise ProviderError."""
    return StreamedResponse(events, EVENT_STREAM, tell)


def text_response(pieces: AsyncGenerator[bytes, None]) -> Response:
    """A 200 that sends UTF-8 text as it comes. The pieces may raise ProviderError."""
    return StreamedResponse(pieces, "text/plain; charset=utf-8", None)


class StreamedResponse(Response):
    """A 200 whose body comes from a generator, closed in any case: at its end, and as soon as the caller hangs up.

    What breaks it, a ProviderError or the service's stop, is its last event, as `tell` words it. Without `tell` it
    is Aborted.

    To be used after the request's body has been read: what comes then can only be the hang-up.
    """

    def __init__(self, pieces: AsyncGenerator[bytes, None], media_type: str, tell: Tell | None) -> None:
        self._pieces = pieces
        self._tell = tell
        self._started = False
        self.status_code = 200
        self.media_type = media_type
        self.background = None
        # Not those of `Response`: they would tell a length of 0.
        self.raw_headers = [
            (name.lower().encode("latin-1"), value.encode("latin-1"))
            for name, value in {"content-type": media_type, **HEADERS}.items()
        ]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 (ASGI)
        """Sends, until the end or the hang-up. Raises Aborted, for the middleware, where a stream broke that cannot
        tell."""
        try:
            await self._send_while_connected(receive, send)
        except ProviderError as error:
            await self._break(send, status_of(error), error.failure.code.value, error.failure.message)
        except asyncio.CancelledError:
            if not self._started:
                raise
            # The server stops and has waited long enough.
            await self._break(send, 503, "stopping", STOPPING)

    async def _break(self, send: Send, status: int, code: str, message: str) -> None:
        if self._tell is None:
            raise Aborted
        last = self._tell(status, code, message)
        await send({"type": "http.response.body", "body": last, "more_body": False})

    async def _send_while_connected(self, receive: Receive, send: Send) -> None:
        sending = asyncio.ensure_future(self._send(send))
        watch = asyncio.ensure_future(_gone(receive))
        try:
            await asyncio.wait((sending, watch), return_when=asyncio.FIRST_COMPLETED)
            if sending.done():
                sending.result()
        finally:
            watch.cancel()
            sending.cancel()
            await asyncio.gather(sending, watch, return_exceptions=True)
            await self._pieces.aclose()

    async def _send(self, send: Send) -> None:
        self._started = True
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        async for piece in self._pieces:
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        continue
