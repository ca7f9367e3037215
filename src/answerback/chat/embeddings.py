"""Embeddings as OpenAI's. The body is relayed, not remodelled."""

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from answerback.accounts.auth import Authenticator
from answerback.chat.openapi_parts import TEXTS_OR_TOKENS, relayed_body, relayed_responses
from answerback.chat.requests import MAX_VALUES, check_model, check_texts
from answerback.http.idempotent_routes import Idempotent
from answerback.http.openai_bodies import read_object
from answerback.http.openai_errors import MissingParameter, OpenAIRoute
from answerback.http.openapi_parts import IDEMPOTENCY_KEY
from answerback.kernel.json import Json
from answerback.llm.asking import Asker
from answerback.llm.model import Api

PATH = "/v1/embeddings"
WANTED = """send {"model": …, "input": "…"} with 'Content-Type: application/json'"""

_ANSWER = {
    "object": "list",
    "data": [{"object": "embedding", "index": 0, "embedding": [0.0023, -0.0094]}],
    "model": "text-embedding-3-small",
    "usage": {"prompt_tokens": 5, "total_tokens": 5},
}
_BODY = relayed_body(
    ["model", "input"],
    {"model": "text-embedding-3-small", "input": ["Where is my parcel?"]},
    model={"type": "string", "minLength": 1, "maxLength": 256},
    input=TEXTS_OR_TOKENS,
)
_RESPONSES = relayed_responses("The upstream's answer as it came", _ANSWER)


def router(asker: Asker, authenticator: Authenticator, idempotent: Idempotent) -> APIRouter:
    """`POST /v1/embeddings`."""
    router = APIRouter(prefix="/v1", tags=["openai"], route_class=OpenAIRoute)

    @router.post(
        "/embeddings",
        summary="Create embeddings, as OpenAI's",
        response_model=None,
        responses=_RESPONSES,
        openapi_extra={"parameters": [IDEMPOTENCY_KEY], "requestBody": _BODY},
    )
    async def create_embeddings(request: Request) -> Response:
        """Takes any parameter of OpenAI's or your provider's. `model` is needed: the default model answers chats. The
        routes, limits and short retries are those of chat completions."""
        tenant_id = await authenticator.tenant(request)
        body = await _read(request)

        async def answer() -> Response:
            reply = await asker.relay(tenant_id, body, Api.EMBEDDINGS)
            return Response(reply.body, 200, media_type="application/json")

        return await idempotent(request, tenant_id, body, answer)

    return router


async def _read(request: Request) -> dict[str, Json]:
    """Raises as `read_object`, and InvalidType, InvalidParameter, MissingParameter."""
    body = await read_object(request, WANTED, MAX_VALUES)
    if not body.get("model"):
        raise MissingParameter("model", "missing required parameter: 'model'")
    check_model(body)
    check_texts(body, "input")
    return body
