"""Responses with a conversation, whose callers wait. Each is a job of that conversation: so they are answered in their
order, what was said is added at once with the end, and a restart loses nothing."""

import asyncio
from collections.abc import Mapping

from answerback.http.openai_errors import InvalidParameter
from answerback.jobs.ends import JobEnds
from answerback.jobs.kind import JobState, StoredFailure
from answerback.kernel.errors import Conflict, ErrorCode, ProviderError
from answerback.kernel.json import Json
from answerback.llm.failures import CONTEXT_CODE
from answerback.responses import ids
from answerback.responses.background import Background
from answerback.responses.body import response_body
from answerback.responses.model import Asked
from answerback.responses.store import ResponseStore
from answerback.responses.stored import StoredResponse

STATUSES: Mapping[ErrorCode, int] = {ErrorCode.EXPIRED: 503, ErrorCode.POISONED: 500, ErrorCode.INTERNAL: 500}
"""Of ends that no upstream brought."""


class Turns:
    """`default_model` is shown where no other is known."""

    def __init__(self, background: Background, store: ResponseStore, ends: JobEnds, default_model: str) -> None:
        self._background = background
        self._store = store
        self._ends = ends
        self._default_model = default_model

    async def respond(self, tenant_id: str, asked: Asked, idempotency_key: str | None) -> tuple[dict[str, Json], bool]:
        """The response once it is whole, and whether this call created it. Without a key, cancelling this call cancels
        the response: nobody could read it.

        Raises what a submission and a context raise, NotFound, Conflict, InvalidParameter, ProviderError.
        """
        accepted = await self._background.submit(tenant_id, asked, idempotency_key)
        job_id, response_id = accepted.job_id, ids.response_id(accepted.job_id)
        try:
            found = await self._ends.wait(job_id, lambda: self._store.end(tenant_id, response_id))
        except asyncio.CancelledError:
            if idempotency_key is None:
                await self._background.end(tenant_id, job_id)
            raise
        if found.state is not JobState.COMPLETED:
            # It failed with a status of HTTP: nothing of it is stored, and its key may try again.
            await self._store.discard(tenant_id, job_id)
            raise _error_of(found)
        body = response_body(found.asked, found.progress(self._default_model), stored=found.asked.stored)
        return body, accepted.created


def _error_of(found: StoredResponse) -> Exception:
    failure = found.failure or StoredFailure(ErrorCode.INTERNAL, f"the response is {found.state}")
    code = next((each for each in ErrorCode if each == failure.code), ErrorCode.INTERNAL)
    if code is ErrorCode.CANCELLED:
        return Conflict("the response was cancelled before it was answered")
    if code is ErrorCode.CONTEXT_GONE:
        return InvalidParameter(failure.param or "conversation", failure.message)
    param, status = failure.param, STATUSES.get(code)
    if failure.upstream_code == "model_not_found":
        # A wrong parameter of this route.
        param, status = "model", 400
    elif failure.upstream_code == CONTEXT_CODE:
        param = "input"
    error = ProviderError(
        code,
        failure.message,
        retryable=code is not ErrorCode.UPSTREAM_REFUSED,
        shown_status=status,
        param=param,
        upstream_code=failure.upstream_code,
    )
    error.exhausted = True
    return error
