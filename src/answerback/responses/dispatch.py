"""Which way a request for a response goes: it is answered while its caller waits, or it becomes a job."""

import hashlib

from starlette.requests import Request
from starlette.responses import Response

from answerback.accounts.model import Caller
from answerback.http.headers import REPLAYED, idempotency_key
from answerback.http.idempotent_routes import Idempotent
from answerback.http.joining import try_number
from answerback.jobs.model import Tried
from answerback.kernel.json import Json
from answerback.responses.awaited import Awaited
from answerback.responses.background import Background
from answerback.responses.create import Responder, name_ignored
from answerback.responses.model import Asked
from answerback.responses.paging import json_response
from answerback.responses.request import asked as read_asked
from answerback.responses.stored.streams import StoredStreams
from answerback.responses.tools.toolbox import Toolbox


class Dispatcher:
    """`default_model` is shown until it is known which one answers."""

    def __init__(
        self,
        responder: Responder,
        background: Background,
        awaited: Awaited,
        streams: StoredStreams,
        idempotent: Idempotent,
        default_model: str,
    ) -> None:
        self._responder = responder
        self._background = background
        self._awaited = awaited
        self._streams = streams
        self._idempotent = idempotent
        self._default_model = default_model

    async def respond(self, request: Request, caller: Caller, body: dict[str, Json]) -> Response:
        """Raises what is wrong with the request, and what its way raises."""
        asked, key = read_asked(body), idempotency_key(request)
        if asked.background or key is not None:
            # What is stored under its id, or its key, outlives its caller.
            return await self._by_job(caller, asked, key, await _tried(request))
        turn = asked.conversation is not None
        return await self._idempotent.without_key(
            request,
            caller.tenant_id,
            lambda: self._by_job(caller, asked, None) if turn else self._responder.respond(caller, asked),
            streamed=asked.streamed,
            changes=turn,
        )

    async def _by_job(self, caller: Caller, asked: Asked, key: str | None, tried: Tried | None = None) -> Response:
        if asked.background:
            opened, created = await self._background.start(caller, asked, key, tried)
            if asked.streamed:
                response = self._streams.stream(caller.tenant_id, opened)
            else:
                response = json_response(opened.opening(self._default_model, "queued"))
        elif asked.streamed:
            response, created = await self._awaited.stream(caller, asked, key)
        else:
            whole, created = await self._awaited.respond(caller, asked, key)
            response = json_response(whole)
        if not created:
            response.headers.update(REPLAYED)
        name_ignored(response, Toolbox.to_show(asked.parameters, asked.input))
        return response


async def _tried(request: Request) -> Tried | None:
    number = try_number(request)
    return None if number is None else Tried(hashlib.blake2b(await request.body(), digest_size=16).hexdigest(), number)
