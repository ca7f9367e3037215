"""An SDK that lost its connection sends the same request again by itself: its retry joins the call that still runs, or
gets the answer that came meanwhile."""

import asyncio
import hashlib
import re
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, TypeAlias

from starlette.requests import Request
from starlette.responses import Response

from answerback.http.disconnect import while_connected
from answerback.http.headers import header

RETRY_COUNT = b"x-stainless-retry-count"
"""OpenAI's SDKs number their tries with it, from 0."""

_NUMBER = re.compile(r"[0-9]{1,3}")

GRACE_SECONDS = 1.1
"""How long a call goes on that nobody waits for: the SDKs' first two retries come within 0.5 and 1 s."""

KEPT_SECONDS = 10.0
"""How long an answer is kept that nobody received: the SDKs wait for 8 s at most before they try again."""

STOP_SECONDS = 2.0
"""How long a stop waits until calls are cancelled: a database that is away must not hold it up."""

MOST_KEPT, MOST_KEPT_BYTES = 1_000, 16 * 1024 * 1024
"""Of such answers; the oldest go first."""

Key: TypeAlias = tuple[str, str, bytes]
"""The tenant, the path, and a hash of the body."""


@dataclass(slots=True, eq=False)
class _Call:
    """`timer` stops it, or forgets its answer, where nobody comes back for it."""

    key: Key
    task: asyncio.Task[Response]
    waiting: int = 0
    timer: asyncio.TimerHandle | None = None


class JoinableCalls:
    """Whole answers of this process: those under way, and those that nobody has received."""

    def __init__(self, grace_seconds: float = GRACE_SECONDS, kept_seconds: float = KEPT_SECONDS) -> None:
        self._grace_seconds = grace_seconds
        self._kept_seconds = kept_seconds
        self._calls: dict[Key, list[_Call]] = {}
        self._kept: dict[_Call, int] = {}
        """The sizes of their answers, the oldest first."""

    async def answer(
        self,
        request: Request,
        tenant_id: str,
        answer: Callable[[], Coroutine[Any, Any, Response]],
        *,
        changes: bool = False,
    ) -> Response:
        """The response of `answer`, or, for an SDK's retry, that of the same request which is still being answered, or
        whose client left before its answer came; of one that `changes` something only where nobody waits for it any
        more: it may be another client's. Two first tries are two requests, though they be the same. Only for a request
        whose body has been read. Raises as `answer` does, and ClientGone."""
        body = hashlib.blake2b(await request.body()).digest()
        key = (tenant_id, request.scope["path"], body)
        call = self._joined(key, changes=changes) if is_retry(request) else None
        if call is None:
            call = _Call(key, asyncio.ensure_future(answer()))
            self._calls.setdefault(key, []).append(call)
            call.task.add_done_callback(lambda _: self._ended(call))
            return await self._wait(request, call)
        response = await self._wait(request, call)
        return Response(response.body, response.status_code, dict(response.headers))

    async def stop(self) -> None:
        """Cancels what is under way, while what that takes is still there: nobody can join it any more."""
        calls = [call for calls in self._calls.values() for call in calls]
        for call in calls:
            self._stop(call)
        if calls:
            await asyncio.wait([call.task for call in calls], timeout=STOP_SECONDS)

    def _joined(self, key: Key, *, changes: bool) -> _Call | None:
        calls = self._calls.get(key, [])
        left = next((call for call in calls if not call.waiting), None)
        return calls[-1] if left is None and calls and not changes else left

    async def _wait(self, request: Request, call: _Call) -> Response:
        call.waiting += 1
        self._unkeep(call)
        received = False
        try:
            response = await while_connected(request.scope, _result(call.task))
            received = True
            return response
        finally:
            call.waiting -= 1
            if not call.waiting:
                if not call.task.done():
                    self._later(call, self._grace_seconds, self._stop)
                elif received:
                    self._forget(call)
                else:
                    self._keep(call)

    def _stop(self, call: _Call) -> None:
        # First forgotten: a retry that comes while the call is being stopped must not join it.
        self._forget(call)
        call.task.cancel()

    def _ended(self, call: _Call) -> None:
        if not call.waiting:
            self._keep(call)

    def _keep(self, call: _Call) -> None:
        """A failure is not kept: there is nothing that a second try would repeat."""
        if call.task.cancelled() or call.task.exception() is not None:
            self._forget(call)
            return
        self._unkeep(call)
        self._later(call, self._kept_seconds, self._forget)
        self._kept[call] = len(call.task.result().body)
        while len(self._kept) > MOST_KEPT or sum(self._kept.values()) > MOST_KEPT_BYTES:
            self._forget(next(iter(self._kept)))

    def _forget(self, call: _Call) -> None:
        self._unkeep(call)
        calls = self._calls.get(call.key, [])
        if call in calls:
            calls.remove(call)
            if not calls:
                del self._calls[call.key]

    def _later(self, call: _Call, seconds: float, act: Callable[[_Call], None]) -> None:
        call.timer = asyncio.get_running_loop().call_later(seconds, act, call)

    def _unkeep(self, call: _Call) -> None:
        self._kept.pop(call, None)
        if call.timer is not None:
            call.timer.cancel()
            call.timer = None


def try_number(request: Request) -> int | None:
    """Which try of an SDK's it is; None for a client that does not say."""
    given = header(request, RETRY_COUNT)
    return int(given) if given is not None and _NUMBER.fullmatch(given) else None


def may_be_retried(request: Request) -> bool:
    """Whether an SDK sends the request that would send it again by itself."""
    return header(request, RETRY_COUNT) is not None


def is_retry(request: Request) -> bool:
    return header(request, RETRY_COUNT) not in (None, "0")


async def _result(task: asyncio.Task[Response]) -> Response:
    return await asyncio.shield(task)
