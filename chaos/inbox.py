"""The receiver's side: a behaviour for `answerback.testing.Receiver` that records each callback."""

import json
import time
from collections.abc import Callable

from aiohttp import web

from answerback.testing.signatures import InvalidSignatureError, verify
from chaos.ledger import Arrival, Ledger, digest


class Inbox:
    """Records each callback and answers 200. `on_first` is called at the first callback of each job."""

    def __init__(self, ledger: Ledger, secret: str) -> None:
        self._ledger = ledger
        self._secret = secret
        self.times: list[float] = []
        """When each job's first callback came, monotonic seconds, in order."""
        self.on_first: Callable[[], None] = lambda: None

    async def take(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        said = json.loads(body)
        now = time.monotonic()
        arrival = Arrival(
            webhook_id=request.headers.get("webhook-id"),
            job_id=said["job_id"],
            status=said["status"],
            digest=digest(body),
            signed=self._signed(request, body),
            at=now,
        )
        if self._ledger.arrive(arrival):
            self.times.append(now)
            self.on_first()
        return web.Response()

    def _signed(self, request: web.Request, body: bytes) -> bool:
        try:
            verify(request.headers, body, self._secret)
        except InvalidSignatureError:
            return False
        return True
