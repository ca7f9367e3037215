"""Answering a request for a response while its caller waits."""

import json
import re
from dataclasses import replace

from starlette.responses import Response

from answerback.http.keep_alive import KEEP_ALIVE_SECONDS, stream
from answerback.http.responses import JSON
from answerback.http.sse import sse_response
from answerback.http.upstream import code_of, status_of
from answerback.jobs.kind import Queue
from answerback.jobs.model import EndedJob
from answerback.jobs.store import JobStore
from answerback.kernel.errors import ProviderError, StorageUnavailable
from answerback.kernel.ids import new_id
from answerback.kernel.instruments import Instruments
from answerback.llm.asking import Asker
from answerback.llm.reply import StreamedReply
from answerback.responses import ids, stored
from answerback.responses.answering import Answering, Start
from answerback.responses.body import Progress
from answerback.responses.chat_body import OPTIONAL
from answerback.responses.context import Contexts
from answerback.responses.model import Asked
from answerback.responses.opening import Opening
from answerback.responses.store import KIND
from answerback.responses.tools import Toolbox

IGNORED_TOOLS = "x-answerback-ignored-tools"
LONGEST_TYPE, MOST_TYPES = 64, 20
"""Of a header that a client can make as long as its request."""

_UNNAMEABLE = re.compile(r"[^\w.-]+", re.ASCII)


class Responder:
    """`default_model` answers requests that name none."""

    def __init__(
        self, asker: Asker, contexts: Contexts, jobs: JobStore, default_model: str, instruments: Instruments
    ) -> None:
        self._asker = asker
        self._contexts = contexts
        self._jobs = jobs
        self._default_model = default_model
        self._instruments = instruments

    async def respond(self, tenant_id: str, asked: Asked) -> Response:
        """The response, whole or as a stream. Raises PreviousResponseNotFound, ChainTooLong, NotFound, UnansweredCall,
        ProviderError."""
        asked, items = await self._contexts.resolve(tenant_id, asked)
        toolbox = Toolbox.of(asked.parameters)
        opening = Opening(asked, items, toolbox)
        created_at = self._instruments.clock.now()
        start = Start(ids.response_id(new_id(ids.JOB, created_at)), created_at, asked.model or self._default_model)

        async def keep(at: Progress) -> bool:
            return await self._keep(tenant_id, asked, at)

        answering = Answering(asked, toolbox, start, self._instruments.clock, keep)
        if asked.streamed:
            events = await stream(self._open(tenant_id, opening), answering.events, begin=answering.begin)
            response = sse_response(events, answering.failed, KEEP_ALIVE_SECONDS)
        else:
            response = _json(await answering.whole(await self._open(tenant_id, opening)))
        name_ignored(response, toolbox)
        return response

    async def _open(self, tenant_id: str, opening: Opening) -> StreamedReply:
        try:
            return await opening.reply(lambda body: self._asker.stream(tenant_id, body, OPTIONAL))
        except ProviderError as error:
            raise _as_of_openai(error) from None

    async def _keep(self, tenant_id: str, asked: Asked, at: Progress) -> bool:
        """Only logs a database that cannot store it: the answer exists and was paid for, so it is sent anyway."""
        try:
            await self._jobs.record(
                EndedJob(
                    id=ids.JOB + at.id.removeprefix(ids.RESPONSE),
                    tenant_id=tenant_id,
                    kind=KIND,
                    queue=Queue.INTERACTIVE,
                    args=stored.encode(asked),
                    result=json.dumps(stored.result_of(at), ensure_ascii=False),
                    created_at=at.created_at,
                    traceparent=self._instruments.tracer.current(),
                    usage=at.cost,
                )
            )
        except StorageUnavailable as error:
            self._instruments.log.error("response_not_stored", route="/v1/responses", reason=str(error))
            return False
        return True


def name_ignored(response: Response, toolbox: Toolbox) -> None:
    """Adds the header that names the types of tools which were left out."""
    if toolbox.ignored:
        named = (_UNNAMEABLE.sub("", each)[:LONGEST_TYPE] for each in toolbox.ignored[:MOST_TYPES])
        response.headers[IGNORED_TOOLS] = ", ".join(filter(None, named))


def _json(body: object) -> Response:
    return Response(json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode(), 200, media_type=JSON)


def _as_of_openai(error: ProviderError) -> ProviderError:
    """A model that is not there is a wrong parameter on this route, not a missing path."""
    if status_of(error) == 404 and code_of(error) == "model_not_found":
        error.shown_status = 400
        error.failure = replace(error.failure, param="model")
    return error
