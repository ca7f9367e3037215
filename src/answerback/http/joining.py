"""An SDK that lost its connection sends the same request again by itself: its retry joins the call that still runs."""

import asyncio
import hashlib
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, TypeAlias

from starlette.requests import Request
from starlette.responses import Response

from answerback.http.disconnect import while_connected

RETRY_COUNT = "x-stainless-retry-count"
"""OpenAI's SDKs number their tries with it, from 0."""

GRACE_SECONDS = 1.1
"""How long a call goes on that nobody waits for: the SDKs' first two retries come within 0.5 and 1 s."""

Key: TypeAlias = tuple[str, str, bytes]
"""The tenant, the path, and a hash of the body."""


@dataclass(slots=True, eq=False)
class _Call:
    key: Key
    task: asyncio.Task[Response]
    waiting: int = 0
    stop: asyncio.TimerHandle | None = None


class JoinableCalls:
    """Whole answers under way, in this process."""

    def __init__(self, grace_seconds: float = GRACE_SECONDS) -> None:
        self._grace_seconds = grace_seconds
        self._calls: dict[Key, _Call] = {}

    async def answer(
        self,
        request: Request,
        tenant_id: str,
        answer: Callable[[], Coroutine[Any, Any, Response]],
        *,
        changes: bool = False,
    ) -> Response:
        """The response of `answer`, or, for an SDK's retry, that of the same request which is still being answered; of
        one that `changes` something only where nobody waits for it any more: it may be another client's. Two first
        tries are two requests, though they be the same. Only for a request whose body has been read. Raises as
        `answer` does, and ClientGone."""
        body = hashlib.blake2b(await request.body()).digest()
        key = (tenant_id, request.scope["path"], body)
        call = self._calls.get(key) if is_retry(request) else None
        if call is None or (changes and call.waiting):
            call = self._calls[key] = _Call(key, asyncio.ensure_future(answer()))
            call.task.add_done_callback(lambda _: self._ended(call))
            return await self._wait(request, call)
        response = await self._wait(request, call)
        return Response(response.body, response.status_code, dict(response.headers))

    async def _wait(self, request: Request, call: _Call) -> Response:
        call.waiting += 1
        if call.stop is not None:
            call.stop.cancel()
        try:
            return await while_connected(request, _result(call.task))
        finally:
            call.waiting -= 1
            if not call.waiting and not call.task.done():
                call.stop = asyncio.get_running_loop().call_later(self._grace_seconds, self._stop, call)

    def _stop(self, call: _Call) -> None:
        # First forgotten: a retry that comes while the call is being stopped must not join it.
        self._forget(call)
        call.task.cancel()

    def _forget(self, call: _Call) -> None:
        if self._calls.get(call.key) is call:
            del self._calls[call.key]

    def _ended(self, call: _Call) -> None:
        self._forget(call)
        if call.stop is not None:
            call.stop.cancel()
        if not call.task.cancelled():
            # Nobody may be left who would take the failure.
            call.task.exception()


def may_be_retried(request: Request) -> bool:
    """Whether an SDK sends the request that would send it again by itself."""
    return RETRY_COUNT in request.headers


def is_retry(request: Request) -> bool:
    return request.headers.get(RETRY_COUNT, "0") != "0"


async def _result(task: asyncio.Task[Response]) -> Response:
    return await asyncio.shield(task)
