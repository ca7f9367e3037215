"""Responses whose callers wait for a job: turns of conversations, and those with an `Idempotency-Key`. So turns are
answered in their order, what was said is added at once with the end, a key is one response in whatever way it is
asked for, and a restart loses nothing."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Mapping
from contextlib import aclosing

from starlette.responses import Response

from answerback.accounts.model import Caller
from answerback.http.openai_errors import InvalidParameter, UnsupportedValue
from answerback.http.sse import DONE, KEEP_ALIVE_SECONDS
from answerback.jobs.kind import JobState
from answerback.jobs.moves import JobMoves
from answerback.kernel.errors import AnyFailure, Conflict, ErrorCode, StorageUnavailable
from answerback.kernel.json import Json
from answerback.kernel.log import Log
from answerback.kernel.provider_error import ProviderError
from answerback.responses.background import Background
from answerback.responses.body import param_of, response_body
from answerback.responses.items.history import ChainTooLong
from answerback.responses.model import Asked
from answerback.responses.stored.rows import Opened, StoredResponse
from answerback.responses.stored.store import ResponseStore
from answerback.responses.stored.streams import StoredStreams, as_response

STATUSES: Mapping[ErrorCode, int] = {ErrorCode.EXPIRED: 503, ErrorCode.POISONED: 500, ErrorCode.INTERNAL: 500}
"""Of ends that no upstream brought."""


class Awaited:
    """`default_model` is shown where no other is known."""

    def __init__(
        self,
        background: Background,
        store: ResponseStore,
        streams: StoredStreams,
        moves: JobMoves,
        default_model: str,
        log: Log,
    ) -> None:
        self._background = background
        self._store = store
        self._streams = streams
        self._moves = moves
        self._default_model = default_model
        self._log = log

    async def respond(self, caller: Caller, asked: Asked, idempotency_key: str | None) -> tuple[dict[str, Json], bool]:
        """The response once it is whole, and whether this call created it. Without a key, cancelling this call cancels
        the response: nobody could read it.

        Raises what a submission and a context raise, NotFound, Conflict, InvalidParameter, ProviderError.
        """
        tenant_id = caller.tenant_id
        opened, created = await self._background.start(caller, asked, idempotency_key)
        try:
            found = await self._moves.until(opened.job_id, lambda: self._store.end(tenant_id, opened.id))
        except asyncio.CancelledError:
            if idempotency_key is None:
                await self._background.end(tenant_id, opened.job_id)
                await self._forget(tenant_id, opened)
            raise
        if found.state is not JobState.COMPLETED:
            raise await self._failed(tenant_id, found)
        body = response_body(found.asked, found.progress(self._default_model), stored=asked.stored)
        if idempotency_key is None and not asked.stored:
            await self._forget(tenant_id, opened)
        return body, created

    async def stream(self, caller: Caller, asked: Asked, idempotency_key: str | None) -> tuple[Response, bool]:
        """The response as its events, and whether this call created it. Nothing is sent before the first one of an
        item, for at most 15 s, so that a failure has its status. Without a key, hanging up cancels the response.

        Raises as `respond` does.
        """
        opened, created = await self._background.start(caller, asked, idempotency_key)
        events = self._events(caller.tenant_id, opened, lasting=idempotency_key is not None)
        try:
            # What its failure raises still has a status; and only a generator that has begun cancels when it is closed.
            await anext(events)
        except BaseException:
            await events.aclose()
            raise
        return as_response(events), created

    async def _events(self, tenant_id: str, opened: Opened, *, lasting: bool) -> AsyncGenerator[bytes, None]:
        """First nothing, once there is something to send; then the events. `lasting` goes on where nobody reads."""
        job_id, whole, forgotten = opened.job_id, False, lasting
        try:
            begun = await self._streams.begun(tenant_id, job_id, KEEP_ALIVE_SECONDS)
            ended = await self._store.end(tenant_id, opened.id) if begun is False else None
            if ended is not None and ended.state is not JobState.COMPLETED:
                whole = True
                if lasting:
                    await self._free_key(tenant_id, job_id)
                raise _error_of(ended)
            yield b""
            async with aclosing(self._streams.read(tenant_id, opened)) as events:
                async for event in events:
                    if event.endswith(DONE):
                        # Before its reader knows: many stop reading there.
                        whole = forgotten = True
                        await (self._free_key(tenant_id, job_id) if lasting else self._forget(tenant_id, opened))
                    yield event
        finally:
            if not (lasting or whole):
                await self._background.end(tenant_id, job_id)
            if not forgotten:
                await self._forget(tenant_id, opened)

    async def _free_key(self, tenant_id: str, job_id: str) -> None:
        """That of one that failed, before its caller knows; others may read its events still."""
        await self._clean_up(job_id, self._store.release_key(tenant_id, job_id))

    async def _forget(self, tenant_id: str, opened: Opened) -> None:
        await self._clean_up(opened.job_id, self._store.forget(tenant_id, opened.job_id, stored=opened.asked.stored))

    async def _clean_up(self, job_id: str, deletion: Awaitable[None]) -> None:
        """Only logs a database that is away: the answer is whole, or its caller is gone."""
        try:
            await deletion
        except StorageUnavailable as error:
            self._log.error("response_not_cleaned_up", job=job_id, reason=str(error))

    async def _failed(self, tenant_id: str, found: StoredResponse) -> Exception:
        """It failed with a status of HTTP: nothing of it is stored, and its key may try again."""
        await self._store.discard(tenant_id, found.job_id)
        return _error_of(found)


def _error_of(found: StoredResponse) -> Exception:
    failure = found.failure or AnyFailure(ErrorCode.INTERNAL, f"the response is {found.state}")
    code = next((each for each in ErrorCode if each == failure.code), ErrorCode.INTERNAL)
    if code is ErrorCode.CANCELLED:
        return Conflict("the response was cancelled before it was answered")
    if code is ErrorCode.CONTEXT_GONE:
        named = {each.code: each for each in (ChainTooLong, UnsupportedValue)}
        refusal = named.get(failure.upstream_code or "", InvalidParameter)
        return refusal(failure.param or "conversation", failure.message)
    status = failure.status or STATUSES.get(code)
    if failure.upstream_code == "model_not_found":
        # A wrong parameter of this route.
        status = 400
    error = ProviderError(
        code,
        failure.message,
        retryable=code is not ErrorCode.UPSTREAM_REFUSED,
        retry_after=failure.retry_after,
        shown_status=status,
        param=param_of(failure.upstream_code or "", failure.param),
        upstream_code=failure.upstream_code,
    )
    error.exhausted = failure.final or failure.retry_after is None
    return error
