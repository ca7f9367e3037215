"""A real HTTP server that receives callbacks, remembers them, and answers as its script says.

async with Receiver(secret="whsec_…") as receiver:
    receiver.on("/callback", behaviours.status(503), behaviours.status(200))
    …  # have something sent to receiver.url("/callback")
    first, second = await receiver.wait_for(2)
    assert second.verified and second.json["status"] == "completed"
"""

import asyncio
import json
import ssl
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

from aiohttp import web
from multidict import CIMultiDictProxy

from answerback.testing.behaviours import Behaviour, status
from answerback.testing.signatures import InvalidSignatureError, verify

MAX_BODY = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Callback:
    """One request as it came. `target` is its path and query as written; `at` is when, in epoch seconds; `verified` is
    None when the receiver has no secret; names in `headers` may be asked for in any case."""

    path: str
    target: str
    headers: Mapping[str, str]
    body: bytes
    at: float
    verified: bool | None

    @property
    def json(self) -> Any:
        """The decoded body. Raises ValueError when it is not JSON."""
        return json.loads(self.body)

    @property
    def id(self) -> str | None:
        """The `webhook-id`: the same at every attempt of one callback."""
        return self.headers.get("webhook-id")


class Receiver:
    """Receives callbacks on a free port of 127.0.0.1. Answers 200 where its script says nothing else.

    With a `secret` (or several) every callback's signatures are checked and the verdict is recorded. With `tls`, a
    server context, it speaks HTTPS. `url_host` is the host that `url()` names, for tests of host names.
    """

    def __init__(
        self,
        secret: str | Sequence[str] | None = None,
        tls: ssl.SSLContext | None = None,
        url_host: str = "127.0.0.1",
    ) -> None:
        self._secret = secret
        self._tls = tls
        self._url_host = url_host
        self._scripts: dict[str, list[Behaviour]] = {}
        self._callbacks: list[Callback] = []
        self._came = asyncio.Condition()
        self._runner: web.AppRunner | None = None
        self._port = 0
        self._connections: set[object] = set()

    async def __aenter__(self) -> Self:
        app = web.Application(client_max_size=MAX_BODY)
        app.router.add_route("*", "/{path:.*}", self._receive)
        # A caller that disconnects ends the handler, whatever the script says; so does closing.
        runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=0.0)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=self._tls).start()
        self._port = runner.addresses[0][1]
        self._runner = runner
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    def url(self, path: str = "/") -> str:
        """The address of a path of this receiver."""
        return f"{'https' if self._tls else 'http'}://{self._url_host}:{self._port}{path}"

    @property
    def port(self) -> int:
        return self._port

    @property
    def callbacks(self) -> Sequence[Callback]:
        """What has come so far, in order."""
        return tuple(self._callbacks)

    @property
    def connections(self) -> int:
        """How many connections callbacks have come through."""
        return len(self._connections)

    def on(self, path: str, *behaviours: Behaviour) -> None:
        """Answers the coming callbacks to `path`, one behaviour each in order; the last one stays."""
        if not behaviours:
            raise ValueError("name at least one behaviour")
        self._scripts[path] = list(behaviours)

    async def wait_for(
        self, wanted: int | Callable[[Sequence[Callback]], bool] = 1, timeout: float = 10.0
    ) -> Sequence[Callback]:
        """Waits until `wanted` callbacks have come, or until `wanted(callbacks)` is true, and returns all that came.

        Raises TimeoutError after `timeout` seconds, saying how many came.
        """

        def satisfied() -> bool:
            return len(self._callbacks) >= wanted if isinstance(wanted, int) else wanted(self.callbacks)

        try:
            async with asyncio.timeout(timeout), self._came:
                await self._came.wait_for(satisfied)
        except TimeoutError:
            raise TimeoutError(f"{len(self._callbacks)} callbacks came within {timeout:g} s") from None
        return self.callbacks

    async def _receive(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        if request.transport is not None:
            self._connections.add(request.transport.get_extra_info("peername"))
        headers = request.headers
        verified = self._verdict(headers, body)
        self._callbacks.append(Callback(request.path, request.raw_path, headers, body, time.time(), verified))
        script = self._scripts.get(request.path)
        behaviour = status(200) if script is None else script.pop(0) if len(script) > 1 else script[0]
        async with self._came:
            self._came.notify_all()
        return await behaviour(request)

    def _verdict(self, headers: CIMultiDictProxy[str], body: bytes) -> bool | None:
        if self._secret is None:
            return None
        try:
            verify(headers, body, self._secret)
        except InvalidSignatureError:
            return False
        return True
