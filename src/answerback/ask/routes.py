"""Questions answered at once, whole or as the answer comes; and the history of both."""

from collections.abc import AsyncGenerator
from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import AfterValidator, BaseModel, Field, StringConstraints
from starlette.requests import Request
from starlette.responses import Response

from answerback.accounts.auth import Authenticator
from answerback.ask.ask import Questions
from answerback.http.bodies import StrictBody, body_schema, read_body
from answerback.http.fields import DIGITS, ModelName, not_blank
from answerback.http.headers import accepts
from answerback.http.idempotent_routes import Idempotent
from answerback.http.known_queries import KNOWN_QUERIES
from answerback.http.openapi_parts import ASK_ERRORS, EVENTS, IDEMPOTENCY_KEY, KEY_ERRORS, errors
from answerback.http.responses import Time, is_none, respond
from answerback.http.sse import EVENT_STREAM, sse_response, text_response, word_events
from answerback.llm.model import FinishReason


class AskBody(StrictBody):
    """A question to be answered at once."""

    question: Annotated[str, StringConstraints(min_length=1, max_length=5000), AfterValidator(not_blank)] = Field(
        description="What to ask the LLM."
    )
    model: ModelName | None = Field(None, description="Which model answers; without it the service's default.")


def _is_stop(value: object) -> bool:
    return value == "stop"


class AnswerBody(BaseModel):
    answer: str = Field(examples=["Paris."])
    finish_reason: FinishReason = Field(
        "stop",
        description="There only where it is not `stop`: `length` is an answer that was cut.",
        exclude_if=_is_stop,
    )


class HistoryItem(BaseModel):
    question: str = Field(examples=["What is the capital of France?"])
    answer: str = Field(examples=["Paris."])
    finish_reason: str = Field(description="How the answer ends; `length`: it was cut.", examples=["stop"])
    timestamp: Time = Field(description="When it was answered.")


class History(BaseModel):
    """Newest first."""

    items: list[HistoryItem]
    next: int | None = Field(
        None,
        description="Goes into `before` for older questions; there only if there are some.",
        examples=[1742],
        exclude_if=is_none,
    )


STREAM_RESPONSES: dict[int | str, dict[str, Any]] = ASK_ERRORS | {
    200: {
        "description": "The answer as it comes. A stream that breaks never ends like a good one: the text's connection "
        'is aborted; events end with `event: error`, whose data is `{"error": {"code", "message"}}`.',
        "content": {
            "text/plain": {"schema": {"type": "string"}, "example": "Paris."},
            "text/event-stream": EVENTS,
        },
    }
}
BODY = {
    "parameters": [IDEMPOTENCY_KEY],
    "requestBody": body_schema(AskBody, {"question": "What is the capital of France?"}),
}


def router(questions: Questions, authenticator: Authenticator, idempotent: Idempotent) -> APIRouter:
    """`/api/ask`, `/api/streaming` and `/api/history`."""
    router = APIRouter(prefix="/api", tags=["ask"])
    _add_ask(router, questions, authenticator, idempotent)
    _add_streaming(router, questions, authenticator, idempotent)
    _add_history(router, questions, authenticator)
    return router


def _add_ask(router: APIRouter, questions: Questions, authenticator: Authenticator, idempotent: Idempotent) -> None:
    @router.post(
        "/ask",
        summary="Ask, and wait for the answer",
        response_model=AnswerBody,
        responses=ASK_ERRORS,
        openapi_extra=BODY,
    )
    async def ask(request: Request) -> Response:
        """One answer. Failures that may pass are tried again for a moment first. Hanging up stops the LLM, unless the
        question has an `Idempotency-Key`."""
        tenant_id = await authenticator.tenant(request)
        body = await read_body(request, AskBody)

        async def answer() -> Response:
            timed = await questions.ask(tenant_id, body.question, body.model)
            return respond(200, AnswerBody(answer=timed.text, finish_reason=timed.answer.finish_reason))

        return await idempotent(request, tenant_id, body, answer)


def _add_streaming(
    router: APIRouter, questions: Questions, authenticator: Authenticator, idempotent: Idempotent
) -> None:
    @router.post(
        "/streaming",
        summary="Ask, and read the answer as it comes",
        response_class=Response,
        responses=STREAM_RESPONSES,
        openapi_extra=BODY,
    )
    async def ask_streaming(request: Request) -> Response:
        """Plain text, or with `Accept: text/event-stream` server-sent events: `{"content": …}`, in the end
        `{"done": true}`, with a `finish_reason` where it is not `stop`. The status waits for the first words, so 429,
        502 and 503 arrive as statuses."""
        tenant_id = await authenticator.tenant(request)
        body = await read_body(request, AskBody)
        as_events = accepts(request, EVENT_STREAM)

        async def answer() -> Response:
            text = await questions.stream(tenant_id, body.question, body.model)
            return sse_response(word_events(text)) if as_events else text_response(_encoded(text.pieces))

        return await idempotent(request, tenant_id, [body, as_events], answer, streamed=True)


def _add_history(router: APIRouter, questions: Questions, authenticator: Authenticator) -> None:
    @router.get(
        "/history",
        summary="What you asked, newest first",
        response_model=History,
        responses=KEY_ERRORS | errors(_422="The limit is not 1 to 100, or `before` is not a number"),
        dependencies=KNOWN_QUERIES,
    )
    async def get_history(
        request: Request,
        limit: Annotated[
            Annotated[int, Field(ge=1, le=100), DIGITS],
            Query(description="How many at most; fewer come where answers are long."),
        ] = 10,
        before: Annotated[
            Annotated[int, Field(ge=1, lt=2**62), DIGITS] | None,
            Query(description="Only older questions: the `next` of a page."),
        ] = None,
    ) -> Response:
        """Questions with their whole answers, asked and streamed; kept for `RETENTION_DAYS`."""
        tenant_id = await authenticator.tenant(request)
        page = await questions.history(tenant_id, limit, before)
        items = [
            HistoryItem(question=each.question, answer=each.answer, finish_reason=each.finish_reason, timestamp=each.at)
            for each in page.questions
        ]
        return respond(200, History(items=items, next=page.older))


async def _encoded(words: AsyncGenerator[str, None]) -> AsyncGenerator[bytes, None]:
    try:
        async for piece in words:
            yield piece.encode()
    finally:
        await words.aclose()
