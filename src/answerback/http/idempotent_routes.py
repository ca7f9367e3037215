"""`Idempotency-Key` at the doors that answer at once: a call with a key is done once, and sent again it is answered
with its first response, byte by byte."""

import dataclasses
import hashlib
import json
from collections.abc import Callable, Coroutine
from typing import Any

from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from answerback.http.disconnect import while_connected
from answerback.http.headers import REPLAYED, idempotency_key
from answerback.http.idempotency import HeldRecord, IdempotencyRecords
from answerback.http.idempotency_model import IdempotentRequest, StoredResponse
from answerback.http.sse import ENDS, EVENT_STREAM
from answerback.kernel.errors import InvalidField

MAX_KEPT_BYTES = 8 * 1024 * 1024
"""Longer than any LLM's answer; a benchmark's report may exceed it."""


class Idempotent:
    """Answers a call: with a key once, without one whenever it comes."""

    def __init__(self, calls: IdempotencyRecords) -> None:
        self._calls = calls

    async def __call__(
        self,
        request: Request,
        tenant_id: str,
        asked: Any,
        answer: Callable[[], Coroutine[Any, Any, Response]],
        *,
        streamed: bool = False,
        stored: bool = True,
    ) -> Response:
        """What `answer` responds, or what it did when the same was `asked` (JSON, models, dataclasses) before.

        To be used after the body has been read. Hanging up stops what is `streamed`, and what has no key; a whole
        answer with a key is finished: the LLM charges for it anyway, and its caller will come back for it. A response
        that shows what the database must not hold is not `stored`: the same request then meets ResponseNotStored.

        Raises ClientGone, InvalidRequest, InvalidField, IdempotencyConflict, CallInProgress, ResponseNotStored,
        StorageUnavailable.
        """
        key = idempotency_key(request)
        if key is None:
            return await while_connected(request, answer())
        begun = await self._calls.begin(IdempotentRequest(tenant_id, request.scope["path"], key, _digest(asked)))
        if isinstance(begun, StoredResponse):
            return Response(begun.body, begun.status, {**begun.headers, **REPLAYED})
        try:
            response = await (while_connected(request, answer()) if streamed else answer())
            return _Collected(response, begun, stored=stored)
        except BaseException:
            await begun.free()
            raise


class _Collected(Response):
    """A response that is collected on its way out, and kept if it is a success and whole.

    It is kept before its end goes out: whoever has heard the end hears the same again.
    """

    def __init__(self, response: Response, held: HeldRecord, *, stored: bool) -> None:
        self.status_code = response.status_code
        self.background = None
        self._response = response
        self._held = held
        self._stored = stored
        self._told: dict[str, str] = {}
        self._parts: list[bytes] = []
        self._size = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def collect(message: Message) -> None:
            if self._is_end(message):
                await self._keep()
            await send(message)

        try:
            await self._response(scope, receive, collect)
        finally:
            await self._held.free()

    def _is_end(self, message: Message) -> bool:
        """Takes the message in. Whether the response is whole with it: a stream of events says so itself, and one
        that broke ends without saying so."""
        if message["type"] != "http.response.body":
            self._told = {name.decode("latin-1"): value.decode("latin-1") for name, value in message["headers"]}
            return False
        body: bytes = message.get("body", b"")
        self._size += len(body)
        if self._size <= MAX_KEPT_BYTES:
            self._parts.append(body)
        else:
            self._parts.clear()
        if self._told["content-type"].startswith(EVENT_STREAM):
            return body in ENDS
        return 200 <= self.status_code < 300 and not message.get("more_body", False)

    async def _keep(self) -> None:
        headers = {name: value for name, value in self._told.items() if name != "content-length"}
        whole = StoredResponse(self.status_code, headers, b"".join(self._parts))
        await self._held.keep(whole if self._stored and self._size <= MAX_KEPT_BYTES else None)


def _digest(asked: Any) -> str:
    """Tells two requests apart by what they say, not by how it is laid out; SHA-256 in hex. Raises InvalidField."""
    try:
        canonical = json.dumps(asked, default=_plain, sort_keys=True)
    except RecursionError:
        # JSON that could just be read may be a level too deep to be written.
        raise InvalidField("body", "the body is nested too deep") from None
    return hashlib.sha256(canonical.encode()).hexdigest()


def _plain(value: Any) -> Any:
    return value.model_dump() if isinstance(value, BaseModel) else dataclasses.asdict(value)
