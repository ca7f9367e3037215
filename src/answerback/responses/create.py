"""Answering a request for a response while its caller waits."""

import re
from dataclasses import replace

from starlette.responses import Response

from answerback.accounts.model import Caller
from answerback.http.keep_alive import stream
from answerback.http.sse import sse_response
from answerback.http.upstream import code_of, status_of
from answerback.jobs.kind import Queue
from answerback.jobs.model import EndedJob
from answerback.jobs.store import JobStore
from answerback.kernel.errors import StorageUnavailable
from answerback.kernel.ids import new_id
from answerback.kernel.instruments import Instruments
from answerback.kernel.provider_error import ProviderError
from answerback.llm.adaptation import SETTINGS, wants_stream
from answerback.llm.asking import Asker
from answerback.llm.reply import StreamedReply
from answerback.responses import ids
from answerback.responses.answers.answering import Answering
from answerback.responses.answers.chat_body import OPTIONAL
from answerback.responses.answers.opening import Opening
from answerback.responses.answers.whole import whole_response
from answerback.responses.body import Progress, Start, param_of, response_body
from answerback.responses.context import Contexts
from answerback.responses.model import Asked
from answerback.responses.paging import json_response
from answerback.responses.stored import rows
from answerback.responses.stored.rows import KIND
from answerback.responses.tools.toolbox import Toolbox

IGNORED_TOOLS = "x-answerback-ignored-tools"
IGNORED_PARAMETERS = "x-answerback-ignored-parameters"
_PARAMETERS = {"reasoning_effort": "reasoning.effort", "verbosity": "text.verbosity"}
"""What a request for a response calls fields of a chat completion."""
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

    async def respond(self, caller: Caller, asked: Asked) -> Response:
        """The response, whole or as a stream. Raises PreviousResponseNotFound, ChainTooLong, NotFound, UnansweredCall,
        ProviderError."""
        asked, items = await self._contexts.resolve(caller.tenant_id, asked)
        toolbox = Toolbox.in_context(asked, items)
        opening = Opening(asked, items, toolbox)
        created_at = self._instruments.clock.now()
        response_id = ids.response_id(new_id(ids.JOB, created_at))
        start = Start(response_id, created_at, asked.model or self._default_model, toolbox)
        if asked.streamed:
            response = await self._stream(caller, asked, opening, start)
        else:
            at = await self._whole(caller.tenant_id, asked, opening, start)
            kept = asked.stored and await self._keep(caller, asked, at)
            response = json_response(response_body(asked, at, stored=kept))
        name_ignored(response, toolbox)
        if left_out := opening.left_out & SETTINGS:
            response.headers[IGNORED_PARAMETERS] = ", ".join(sorted(_PARAMETERS.get(each, each) for each in left_out))
        return response

    async def _stream(self, caller: Caller, asked: Asked, opening: Opening, start: Start) -> Response:
        async def keep(at: Progress) -> bool:
            return await self._keep(caller, asked, at)

        answering = Answering(asked, start, self._instruments.clock, keep)
        events = await stream(self._open(caller.tenant_id, opening), answering.events, begin=answering.begin)
        return sse_response(events, answering.failed, lambda: answering.held)

    async def _whole(self, tenant_id: str, asked: Asked, opening: Opening, start: Start) -> Progress:
        """Asked for whole, which costs a fraction of a stream; as a stream where the model does nothing else."""
        try:
            reply = await opening.reply(lambda body: self._asker.relay(tenant_id, body, optional=OPTIONAL))
        except ProviderError as error:
            if not wants_stream(error):
                raise _as_of_openai(error) from None
            return await Answering(asked, start, self._instruments.clock).read(await self._open(tenant_id, opening))
        return whole_response(start, asked, reply, self._instruments.clock.now())

    async def _open(self, tenant_id: str, opening: Opening) -> StreamedReply:
        try:
            return await opening.reply(lambda body: self._asker.stream(tenant_id, body, OPTIONAL))
        except ProviderError as error:
            raise _as_of_openai(error) from None

    async def _keep(self, caller: Caller, asked: Asked, at: Progress) -> bool:
        """Only logs a database that cannot store it: the answer exists and was paid for, so it is sent anyway."""
        try:
            await self._jobs.record(
                EndedJob(
                    id=ids.JOB + at.id.removeprefix(ids.RESPONSE),
                    tenant_id=caller.tenant_id,
                    kind=KIND,
                    queue=Queue.INTERACTIVE,
                    args=rows.encode(asked),
                    result=rows.encode_result(at),
                    created_at=at.created_at,
                    finished_at=at.completed_at or self._instruments.clock.now(),
                    traceparent=self._instruments.tracer.current(),
                    key_id=caller.key_id,
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


def _as_of_openai(error: ProviderError) -> ProviderError:
    """A model that is not there is a wrong parameter on this route, no missing path."""
    if status_of(error) == 404 and code_of(error) == "model_not_found":
        error.shown_status = 400
    error.failure = replace(error.failure, param=param_of(code_of(error), error.failure.param))
    return error
