"""HEAD: what GET would answer, without the body (RFC 9110, section 9.3.2)."""

from starlette.types import ASGIApp, Message, Receive, Scope, Send

HEAD = "HEAD"
GET = "GET"


class HeadRequests:
    """Asks the application for GET in place of HEAD. A stream ends where its body would begin."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != HEAD:
            await self._app(scope, receive, send)
            return
        exchange = _Exchange(receive, send)
        asked = {**scope, "method": GET}
        try:
            await self._app(asked, exchange.receive, exchange.send)
        finally:
            # The server and the log see HEAD, and what was found of the route.
            scope.update(asked, method=HEAD)


class _Exchange:
    def __init__(self, receive: Receive, send: Send) -> None:
        self._receive = receive
        self._send = send
        self._over = False

    async def receive(self) -> Message:
        return {"type": "http.disconnect"} if self._over else await self._receive()

    async def send(self, message: Message) -> None:
        if self._over:
            return
        if message["type"] == "http.response.body":
            self._over = True
            message = {"type": "http.response.body", "body": b"", "more_body": False}
        await self._send(message)
