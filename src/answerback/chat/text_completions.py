"""Plain completions as OpenAI's earlier models have them: a text goes on. The request is relayed as it is."""

import json
from collections.abc import Mapping

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from answerback.accounts.auth import Authenticator
from answerback.chat.chunks import streamed_response
from answerback.chat.openapi_parts import (
    MODEL_OR_DEFAULT,
    STREAM,
    STREAM_OPTIONS,
    TEXTS_OR_TOKENS,
    relayed_body,
    relayed_responses,
)
from answerback.chat.requests import MAX_VALUES, check_model, check_streaming, check_texts
from answerback.http.idempotent_routes import Idempotent
from answerback.http.openai_bodies import read_object
from answerback.http.openai_errors import OpenAIRoute
from answerback.http.openapi_parts import IDEMPOTENCY_KEY
from answerback.kernel.json import Json
from answerback.llm.asking import Asker
from answerback.llm.model import Api, Chunk
from answerback.llm.reply import StreamedReply

PATH = "/v1/completions"
WANTED = """send {"model": …, "prompt": "…"} with 'Content-Type: application/json'"""
TEXT_COMPLETION = "text_completion"
"""The `object` of a plain completion, and of a chunk of one."""

_ANSWER = {
    "id": "cmpl-1",
    "object": TEXT_COMPLETION,
    "created": 1767225600,
    "model": "gpt-3.5-turbo-instruct",
    "choices": [{"text": " upon a time", "index": 0, "logprobs": None, "finish_reason": "length"}],
    "usage": {"prompt_tokens": 1, "completion_tokens": 3, "total_tokens": 4},
}
_BODY = relayed_body(
    ["prompt"],
    {"model": "gpt-3.5-turbo-instruct", "prompt": "Once", "max_tokens": 3},
    prompt=TEXTS_OR_TOKENS,
    model=MODEL_OR_DEFAULT,
    stream=STREAM,
    stream_options=STREAM_OPTIONS,
)
_RESPONSES = relayed_responses(
    "The upstream's answer, or with `stream: true` its chunks",
    _ANSWER,
    f"data: {json.dumps(_ANSWER)}\n\ndata: [DONE]\n\n",
)


def router(asker: Asker, authenticator: Authenticator, idempotent: Idempotent) -> APIRouter:
    """`POST /v1/completions`."""
    router = APIRouter(prefix="/v1", tags=["openai"], route_class=OpenAIRoute)

    @router.post(
        "/completions",
        summary="Create a plain completion, as OpenAI's",
        response_model=None,
        responses=_RESPONSES,
        openapi_extra={"parameters": [IDEMPOTENCY_KEY], "requestBody": _BODY},
    )
    async def create_completion(request: Request) -> Response:
        """For models that go on with a text; the provider must offer `/completions`. Streams, limits, short retries and
        errors are those of chat completions."""
        tenant_id = await authenticator.tenant(request)
        body = await _read(request)
        streamed = bool(body.get("stream"))

        async def answer() -> Response:
            if streamed:
                opening = asker.stream(tenant_id, body, api=Api.COMPLETIONS)
                return await streamed_response(opening, body, _TextChunks)
            reply = await asker.relay(tenant_id, body, Api.COMPLETIONS)
            return Response(_encoded(_as_text(reply.document)), 200, media_type="application/json")

        return await idempotent(request, tenant_id, body, answer, streamed=streamed)

    return router


async def _read(request: Request) -> dict[str, Json]:
    """Raises as `read_object`, and InvalidType, InvalidParameter, MissingParameter."""
    body = await read_object(request, WANTED, MAX_VALUES)
    check_texts(body, "prompt")
    check_model(body)
    check_streaming(body)
    return body


class _TextChunks:
    """The chunks of a reply as those of a plain completion."""

    def __init__(self, reply: StreamedReply) -> None:
        self._reply = reply

    def __aiter__(self) -> "_TextChunks":
        return self

    async def __anext__(self) -> Chunk:
        chunk = await anext(self._reply)
        document = _as_text(chunk.document)
        return chunk._replace(document=document, data=_encoded(document))

    async def aclose(self) -> None:
        await self._reply.aclose()


def _as_text(document: Mapping[str, Json]) -> dict[str, Json]:
    """A completion, or a chunk of one, in the shape of a plain completion."""
    choices = [_text_choice(choice) for choice in document.get("choices") or ()]
    return {**document, "object": TEXT_COMPLETION, "choices": choices}


def _text_choice(choice: Mapping[str, Json]) -> dict[str, Json]:
    said = choice.get("message") or choice.get("delta") or {}
    rest = {name: value for name, value in choice.items() if name not in ("message", "delta")}
    return {"text": said.get("content") or "", "logprobs": None, **rest}


def _encoded(document: Mapping[str, Json]) -> bytes:
    # In ASCII: a piece may end within a character, and that half could not be sent as UTF-8.
    return json.dumps(document, separators=(",", ":")).encode()
