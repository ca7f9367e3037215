"""Door 2: a question in, its answer back, at once or as it comes."""

from collections.abc import AsyncGenerator
from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import AfterValidator, BaseModel, Field, StringConstraints
from starlette.requests import Request
from starlette.responses import Response

from answerback.api.auth import Authenticator
from answerback.api.bodies import StrictBody, body_schema, read_body
from answerback.api.disconnect import while_connected
from answerback.api.documents import ASK_ERRORS, KEY_ERRORS, Problem
from answerback.api.errors import json_response
from answerback.api.fields import ModelName, Text, not_blank
from answerback.api.sse import EVENT_STREAM, Aborted, sse_response, text_response, word_events
from answerback.core.callbacks import rfc3339
from answerback.core.questions import Questions
from answerback.domain.errors import ProviderError


class AskBody(StrictBody):
    """A question to be answered at once."""

    question: Annotated[Text, StringConstraints(min_length=1, max_length=5000), AfterValidator(not_blank)] = Field(
        description="What to ask the LLM."
    )
    model: ModelName | None = Field(None, description="Which model answers; without it the service's default.")


class AnswerBody(BaseModel):
    answer: str = Field(examples=["Paris."])


class HistoryItem(BaseModel):
    question: str = Field(examples=["What is the capital of France?"])
    answer: str = Field(examples=["Paris."])
    timestamp: str = Field(description="When it was answered.", examples=["2026-01-01T12:00:00.000Z"])


class History(BaseModel):
    """Newest first."""

    items: list[HistoryItem]


EXAMPLE = {"question": "What is the capital of France?"}
EVENTS_EXAMPLE = 'data: {"content":"Par"}\n\ndata: {"content":"is."}\n\ndata: {"done":true}\n\n'
STREAM_RESPONSES: dict[int | str, dict[str, Any]] = ASK_ERRORS | {
    200: {
        "description": "The answer as it comes. A stream that breaks never ends like a good one: the text's connection "
        'is aborted; events end with `event: error`, whose data is `{"error": {"code", "message"}}`.',
        "content": {
            "text/plain": {"schema": {"type": "string"}, "example": "Paris."},
            "text/event-stream": {"schema": {"type": "string"}, "example": EVENTS_EXAMPLE},
        },
    }
}


def router(questions: Questions, authenticator: Authenticator) -> APIRouter:
    """`/api/ask`, `/api/streaming` and `/api/history`."""
    door = APIRouter(prefix="/api", tags=["ask"])
    body = {"requestBody": body_schema(AskBody, EXAMPLE)}

    @door.post(
        "/ask",
        summary="Ask, and wait for the answer",
        response_model=AnswerBody,
        responses=ASK_ERRORS,
        openapi_extra=body,
    )
    async def ask(request: Request) -> Response:
        """One answer. Failures that may pass are tried again for a moment first. Hanging up stops the LLM."""
        tenant_id = await authenticator.tenant(request)
        asked = await read_body(request, AskBody)
        answer = await while_connected(request, questions.ask(tenant_id, asked.question, asked.model))
        return json_response(200, {"answer": answer})

    @door.post(
        "/streaming",
        summary="Ask, and read the answer as it comes",
        response_model=None,
        responses=STREAM_RESPONSES,
        openapi_extra=body,
    )
    async def streaming(request: Request) -> Response:
        """Plain text, or with `Accept: text/event-stream` server-sent events: `{"content": …}`, in the end
        `{"done": true}`. The status waits for the first words, so 429, 502 and 503 arrive as statuses."""
        tenant_id = await authenticator.tenant(request)
        asked = await read_body(request, AskBody)
        words = await while_connected(request, questions.stream(tenant_id, asked.question, asked.model))
        if EVENT_STREAM in request.headers.get("accept", "").lower():
            return sse_response(word_events(words))
        return text_response(_text(words))

    @door.get(
        "/history",
        summary="What you asked, newest first",
        response_model=History,
        responses=KEY_ERRORS | {422: {"model": Problem, "description": "The limit is not 1 to 100"}},
    )
    async def history(request: Request, limit: Annotated[int, Query(ge=1, le=100)] = 10) -> Response:
        """Questions with their whole answers, asked and streamed; kept for `RETENTION_DAYS`."""
        tenant_id = await authenticator.tenant(request)
        items = [
            {"question": each.question, "answer": each.answer, "timestamp": rfc3339(each.at)}
            for each in await questions.history(tenant_id, limit)
        ]
        return json_response(200, {"items": items})

    return door


async def _text(words: AsyncGenerator[str, None]) -> AsyncGenerator[bytes, None]:
    try:
        async for piece in words:
            yield piece.encode()
    except ProviderError:
        raise Aborted from None
    finally:
        await words.aclose()
