"""`Idempotency-Key` on routes that answer at once: the first response is stored, and sent again byte by byte."""

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
from answerback.http.idempotency_store import IdempotentRequest, StoredResponse
from answerback.http.joining import JoinableCalls, may_be_retried
from answerback.http.sse import EVENT_STREAM, is_last_event
from answerback.kernel.errors import InvalidField

MAX_STORED_BYTES = 8 * 1024 * 1024
"""Longer than any LLM's answer; a benchmark's report may exceed it."""


class Idempotent:
    """Answers a request: once for each Idempotency-Key, every time without one."""

    def __init__(self, records: IdempotencyRecords) -> None:
        self._records = records
        self._joinable = JoinableCalls()

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
        """The response of `answer`, or the stored one of a request that `asked` the same (JSON, models, dataclasses).

        Only for a request whose body has been read. A hang-up stops a request that is `streamed` or has no key. A whole
        answer with a key is finished: the LLM charges for it anyway, and the client can fetch it with the key. With
        `stored=False` the response, which shows a secret, is sent but not stored; the same request again raises
        ResponseNotStored.

        Raises ClientGone, InvalidRequest, InvalidField, IdempotencyConflict, RequestInProgress, ResponseNotStored,
        StorageUnavailable.
        """
        key = idempotency_key(request)
        if key is None:
            return await self.without_key(request, tenant_id, answer, streamed=streamed)
        record = await self._records.claim(IdempotentRequest(tenant_id, request.scope["path"], key, _hash(asked)))
        if isinstance(record, StoredResponse):
            return Response(record.body, record.status, {**record.headers, **REPLAYED})
        try:
            response = await (while_connected(request.scope, answer()) if streamed else answer())
        except BaseException:
            await record.release()
            raise
        return _Recorded(response, record, stored=stored)

    async def without_key(
        self,
        request: Request,
        tenant_id: str,
        answer: Callable[[], Coroutine[Any, Any, Response]],
        *,
        streamed: bool,
        changes: bool = False,
    ) -> Response:
        """The response of `answer`. One that an SDK asks for, not `streamed`, goes on for a moment after a hang-up, so
        that the SDK's own retry joins it, and is kept for some seconds if nobody received it; where the answer
        `changes` something, such as a conversation, the retry joins none that another client may wait for. Raises
        ClientGone."""
        if may_be_retried(request) and not streamed:
            return await self._joinable.answer(request, tenant_id, answer, changes=changes)
        return await while_connected(request.scope, answer())

    async def stop(self) -> None:
        """Cancels what goes on for SDKs that may come back: once the service has stopped, they find another one."""
        await self._joinable.stop()


class _Recorded(Response):
    """A response that is stored while it is sent, if it is a success and whole.

    It is stored before its last message is sent: a client that has received the whole response gets the same again.
    """

    def __init__(self, response: Response, record: HeldRecord, *, stored: bool) -> None:
        self.status_code = response.status_code
        self.background = None
        self._response = response
        self._record = record
        self._stored = stored
        self._stored_headers: dict[str, str] = {}
        self._parts: list[bytes] = []
        self._size = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def store_and_send(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._stored_headers = {
                    name.decode("latin-1"): value.decode("latin-1") for name, value in message["headers"]
                }
            elif message["type"] == "http.response.body":
                self._collect(message.get("body", b""))
                if self._is_end(message):
                    await self._store()
            await send(message)

        try:
            await self._response(scope, receive, store_and_send)
        finally:
            await self._record.release()

    def _collect(self, body: bytes) -> None:
        self._size += len(body)
        if self._size <= MAX_STORED_BYTES:
            self._parts.append(body)
        else:
            self._parts.clear()

    def _is_end(self, message: Message) -> bool:
        """Whether the message completes a whole success. A broken event stream ends, too: only its last event
        makes one whole."""
        if self._stored_headers["content-type"].startswith(EVENT_STREAM):
            return is_last_event(message.get("body", b""))
        return 200 <= self.status_code < 300 and not message.get("more_body", False)

    async def _store(self) -> None:
        headers = {name: value for name, value in self._stored_headers.items() if name != "content-length"}
        whole = StoredResponse(self.status_code, headers, b"".join(self._parts))
        await self._record.store(whole if self._stored and self._size <= MAX_STORED_BYTES else None)


def _hash(asked: Any) -> str:
    """SHA-256 in hex of what was asked, the same for every layout of its JSON. Raises InvalidField."""
    try:
        canonical = json.dumps(asked, default=_plain, sort_keys=True)
    except RecursionError:
        # Python reads JSON a level deeper than it writes it.
        raise InvalidField("body", "the body is nested too deep") from None
    return hashlib.sha256(canonical.encode()).hexdigest()


def _plain(value: Any) -> Any:
    return value.model_dump() if isinstance(value, BaseModel) else dataclasses.asdict(value)
