"""What every request passes: an id, a size limit, one log line, and a last net for our own faults."""

import asyncio
import re
import secrets
import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from answerback.api.errors import RETRY_AFTER, BodyTooLarge, problem, render_refusal
from answerback.ports import Log

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
ASGIApp = Callable[[Scope, Receive, Send], Awaitable[None]]

CONVERSATIONS = "/v1/conversations/"
SANE_ID = re.compile(rb"[A-Za-z0-9._:-]{1,128}\Z")


class RequestMiddleware:
    """Plain ASGI, since every request pays for it. `max_body_bytes` bounds a request's body."""

    def __init__(self, app: ASGIApp, max_body_bytes: int, log: Log) -> None:
        self._app = app
        self._max_body_bytes = max_body_bytes
        self._log = log

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        exchange = _Exchange(scope, receive, send, self._max_body_bytes)
        try:
            exchange.check_length()
            await self._app(scope, exchange.receive, exchange.send)
        except BodyTooLarge as refusal:
            await render_refusal(refusal)(scope, receive, exchange.send)
        except asyncio.CancelledError:
            # The server stops and has waited long enough for this request.
            if exchange.status is not None:
                raise
            message = "the service is stopping and did not get to this; send it again"
            await problem(503, "stopping", message, headers=RETRY_AFTER)(scope, receive, exchange.send)
        except Exception:
            # Ours: everything a user or the world can cause has been turned into a response further in.
            self._log.exception("fault", request=exchange.request_id, path=_loggable(scope["path"]))
            if exchange.status is not None:
                raise
            message = f"the service failed; its log has the reason under request {exchange.request_id}"
            await problem(500, "internal", message)(scope, receive, exchange.send)
        finally:
            self._report(scope, exchange, time.perf_counter() - started)

    def _report(self, scope: Scope, exchange: "_Exchange", seconds: float) -> None:
        status = exchange.status
        log = self._log.info if status is not None and status < 400 else self._log.warning
        log(
            "request",
            method=scope["method"],
            path=_loggable(scope["path"]),
            status=status,
            ms=round(seconds * 1000, 2),
            request=exchange.request_id,
        )


def _loggable(path: str) -> str:
    """The path without a conversation's key: that may be a callback URL with a token in its query."""
    return CONVERSATIONS + "…" if path.startswith(CONVERSATIONS) else path


class _Exchange:
    """One request and its response on their way through."""

    def __init__(self, scope: Scope, receive: Receive, send: Send, max_body_bytes: int) -> None:
        self._receive = receive
        self._send = send
        self._max_body_bytes = max_body_bytes
        self._received = 0
        self._length = 0
        self.status: int | None = None
        given = b""
        for name, value in scope["headers"]:
            if name == b"x-request-id":
                given = value
            elif name == b"content-length" and value.isdigit():
                self._length = int(value)
        self.request_id = given.decode() if SANE_ID.match(given) else "req_" + secrets.token_hex(12)

    def check_length(self) -> None:
        if self._length > self._max_body_bytes:
            self._refuse()

    def _refuse(self) -> None:
        raise BodyTooLarge(f"the body is larger than {self._max_body_bytes} bytes; send a smaller one")

    async def receive(self) -> Message:
        message = await self._receive()
        if message["type"] == "http.request":
            self._received += len(message.get("body", b""))
            if self._received > self._max_body_bytes:
                self._refuse()
        return message

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            message["headers"] = [*message["headers"], (b"x-request-id", self.request_id.encode())]
        await self._send(message)
