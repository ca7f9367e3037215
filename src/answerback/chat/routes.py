"""Chat completions as OpenAI's, plain and streamed. The body is relayed, not remodelled."""

import json
import math
from codecs import BOM_UTF8
from typing import Any, NoReturn

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from answerback.accounts.auth import Authenticator
from answerback.chat.chunks import error_chunk
from answerback.chat.keep_alive import stream
from answerback.chat.openapi_parts import CHAT_BODY, CHAT_RESPONSES
from answerback.http.bodies import may_hold_surrogates
from answerback.http.content_types import refuse_other_than_json
from answerback.http.idempotent_routes import Idempotent
from answerback.http.openai_errors import InvalidParameter, MissingParameter, OpenAIRoute
from answerback.http.openapi_parts import IDEMPOTENCY_KEY
from answerback.http.sse import sse_response
from answerback.kernel.json import Json
from answerback.llm.asking import Asker
from answerback.llm.model import name

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
    async def create(request: Request) -> Response:
        """Takes any parameter of OpenAI's or your provider's; those unknown here pass through untouched, and so does
        the answer, but for what OpenAI's SDKs could not read (another vendor's `finish_reason`, NaN). Without `model`
        the service's default answers.

        With `stream: true` the answer comes as server-sent events. The status waits up to 15 s for the first token;
        then the stream begins with comments, which clients skip. A stream that breaks ends with an `error` chunk and
        without `[DONE]`, never with a `finish_reason` that is not true. The chunk of `include_usage` comes only if the
        provider counts: one that refuses `stream_options` is asked again without it.
        """
        tenant_id = await authenticator.tenant(request)
        body = await _read(request)
        streamed = bool(body.get("stream"))

        async def answer() -> Response:
            if not streamed:
                return Response((await asker.relay(tenant_id, body)).body, 200, media_type="application/json")
            options = body.get("stream_options") or {}
            events = await stream(asker.stream(tenant_id, body), options.get("include_usage") is True)
            return sse_response(events, error_chunk)

        return await idempotent(request, tenant_id, body, answer, streamed=streamed)

    return router


async def _read(request: Request) -> dict[str, Json]:
    """The request's JSON, checked only as far as relaying it needs. Raises InvalidParameter, MissingParameter,
    UnsupportedMediaType, and BodyTooLarge from the middleware."""
    try:
        body = _decode((await request.body()).removeprefix(BOM_UTF8))
    except InvalidParameter:
        refuse_other_than_json(request, WANTED)
        raise
    if not isinstance(body, dict):
        raise InvalidParameter("body", "the body must be a JSON object")
    if "messages" not in body:
        raise MissingParameter("messages", "missing required parameter: 'messages'")
    messages = body["messages"]
    if not isinstance(messages, list) or not messages or not all(isinstance(each, dict) for each in messages):
        raise InvalidParameter("messages", "'messages' must be a list of at least one object")
    _check(body, "model", str, "a string")
    if (model := body.get("model")) and name(model) != model:
        # The name becomes a label of metrics and a field of the log.
        raise InvalidParameter("model", "'model' must be the id of a model: text of at most 256 characters")
    _check(body, "stream", bool, "true or false")
    _check(body, "stream_options", dict, "an object")
    return body


def _decode(raw: bytes) -> Json:
    try:
        decoded: Json = json.loads(raw.decode(), parse_constant=_no_number, parse_float=_finite)
        if may_hold_surrogates(raw):
            json.dumps(decoded, ensure_ascii=False).encode()
        return decoded
    except UnicodeEncodeError:
        words = "the body holds half a surrogate pair, which is no text"
    except (UnicodeDecodeError, json.JSONDecodeError):
        words = f"the body is not JSON in UTF-8: {WANTED}"
    except RecursionError:
        words = "the body is nested too deep"
    except ValueError:
        words = "the body holds a number with too many digits"
    raise InvalidParameter("body", words)


def _finite(literal: str) -> float:
    if not math.isfinite(number := float(literal)):
        raise InvalidParameter("body", f"the body holds {literal[:20]}, which is too large a number")
    return number


def _no_number(literal: str) -> NoReturn:
    raise InvalidParameter("body", f"the body holds {literal}, which is not JSON")


def _check(body: dict[str, Json], field: str, kind: type[Any], wanted: str) -> None:
    value = body.get(field)
    if value is not None and not isinstance(value, kind):
        raise InvalidParameter(field, f"'{field}' must be {wanted}")
