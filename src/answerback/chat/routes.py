"""Chat completions as OpenAI's, plain and streamed. The body is relayed, not remodelled."""

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from answerback.accounts.auth import Authenticator
from answerback.chat.chunks import streamed_response
from answerback.chat.openapi_parts import CHAT_BODY, CHAT_RESPONSES
from answerback.chat.requests import check_model, check_streaming
from answerback.http.idempotent_routes import Idempotent
from answerback.http.openai_bodies import read_object
from answerback.http.openai_errors import InvalidParameter, InvalidType, MissingParameter, OpenAIRoute
from answerback.http.openapi_parts import IDEMPOTENCY_KEY
from answerback.kernel.json import Json
from answerback.llm.asking import Asker

PATH = "/v1/chat/completions"
WANTED = """send {"model": …, "messages": […]} with 'Content-Type: application/json'"""


def router(asker: Asker, authenticator: Authenticator, idempotent: Idempotent) -> APIRouter:
    """`POST /v1/chat/completions`."""
    router = APIRouter(prefix="/v1", tags=["openai"], route_class=OpenAIRoute)

    @router.post(
        "/chat/completions",
        summary="Create a chat completion, as OpenAI's",
        response_model=None,
        responses=CHAT_RESPONSES,
        openapi_extra={"parameters": [IDEMPOTENCY_KEY], "requestBody": CHAT_BODY},
    )
    async def create_chat_completion(request: Request) -> Response:
        """Takes any parameter of OpenAI's or your provider's; those unknown here pass through untouched, and so does
        the answer, but for what OpenAI's SDKs could not read (another vendor's `finish_reason` of known meaning, NaN, a
        call without an id); a `finish_reason` of no known meaning stays as it came. Without `model`, or with an empty
        one, the service's default answers.

        With `stream: true` the answer comes as server-sent events. The status waits up to 15 s for the first token;
        then the stream begins with comments, which clients skip. A stream that breaks ends with an `error` chunk and
        without `[DONE]`; a `finish_reason` waits for the end of the stream, and each choice has one.
        The chunk of `include_usage` comes only if the provider counts: one that refuses `stream_options` is asked again
        without it.
        """
        tenant_id = await authenticator.tenant(request)
        body = await _read(request)
        streamed = bool(body.get("stream"))

        async def answer() -> Response:
            if streamed:
                return await streamed_response(asker.stream(tenant_id, body), body)
            return Response((await asker.relay(tenant_id, body)).body, 200, media_type="application/json")

        return await idempotent(request, tenant_id, body, answer, streamed=streamed)

    return router


async def _read(request: Request) -> dict[str, Json]:
    """The request's JSON, checked only as far as relaying it needs. Raises InvalidType, InvalidParameter,
    MissingParameter, UnsupportedMediaType, and BodyTooLarge from the middleware."""
    body = await read_object(request, WANTED)
    if "messages" not in body:
        raise MissingParameter("messages", "missing required parameter: 'messages'")
    messages = body["messages"]
    if not isinstance(messages, list):
        raise InvalidType("messages", "'messages' must be a list of objects")
    if not messages:
        raise InvalidParameter("messages", "'messages' must hold at least one message")
    for index, each in enumerate(messages):
        if not isinstance(each, dict):
            raise InvalidType(f"messages[{index}]", f"'messages[{index}]' must be an object")
    check_model(body)
    check_streaming(body)
    return body
