"""The list of models, and the answer to a prompt with its tokens and latency."""

from typing import Annotated, Any

from fastapi import APIRouter
from pydantic import AfterValidator, BaseModel, Field, RootModel, StringConstraints
from starlette.requests import Request
from starlette.responses import Response

from answerback.accounts.auth import Authenticator
from answerback.generate.generate import Generation
from answerback.http.bodies import StrictBody, body_schema, read_body
from answerback.http.fields import ModelName, not_blank
from answerback.http.idempotent_routes import Idempotent
from answerback.http.openapi_parts import ASK_ERRORS, EVENTS, IDEMPOTENCY_KEY, KEY_ERRORS, errors
from answerback.http.responses import respond
from answerback.http.sse import sse_response, word_events
from answerback.kernel.json import Json
from answerback.llm.asking import Timed
from answerback.llm.catalog import Catalog
from answerback.llm.model import FinishReason


class GenerateBody(StrictBody):
    """A prompt to be answered at once."""

    prompt: Annotated[str, StringConstraints(min_length=1, max_length=32_000), AfterValidator(not_blank)] = Field(
        description="What to ask the LLM."
    )
    model: ModelName | None = Field(None, description="One of `GET /models`; without it the service's default.")
    max_tokens: int = Field(512, ge=1, le=10_000_000, description="How long the answer may become.")
    temperature: float | None = Field(None, ge=0, le=2, allow_inf_nan=False)
    stream: bool = Field(default=False, description="True: the answer comes as server-sent events.")


class Generated(BaseModel):
    """An answer."""

    response: str = Field(examples=["Paris."])
    finish_reason: FinishReason = Field(
        description="How the answer ends; `length`: it was cut, `max_tokens` may be too small.", examples=["stop"]
    )
    model: str = Field(description="The one that answered.", examples=["openai/gpt-oss-20b:free"])
    tokens_used: int | None = Field(
        description="Prompt and answer; null where the upstream counts none.", examples=[11]
    )
    latency_seconds: float = Field(
        description="The LLM's own time: waits between tries are left out.", examples=[0.8123]
    )


class ListedModel(BaseModel):
    id: str = Field(examples=["openai/gpt-oss-20b:free"])
    name: str = Field(examples=["OpenAI: gpt-oss-20b (free)"])
    description: str = Field(examples=["An open-weight model of 21 billion parameters."])


class ListedModels(RootModel[list[ListedModel]]):
    """Every model once."""


EXAMPLE = {"prompt": "What is the capital of France?", "model": "openai/gpt-oss-20b:free", "max_tokens": 512}
MODELS_ERRORS = KEY_ERRORS | errors(
    _429="The upstream's rate limit, and no list is kept from before; `Retry-After` says when to try again",
    _502="The upstream failed or answered with nonsense, and no list is kept from before",
    _503="The upstream cannot be reached and no list is kept from before, or the database cannot be; try again",
)
GENERATE_RESPONSES: dict[int | str, dict[str, Any]] = ASK_ERRORS | {
    200: {
        "model": Generated,
        "description": "The answer; with `stream: true` as events.",
        "content": {"text/event-stream": EVENTS},
    }
}


def router(generation: Generation, catalog: Catalog, authenticator: Authenticator, idempotent: Idempotent) -> APIRouter:
    """`GET /models` and `POST /generate`."""
    router = APIRouter(tags=["generate"])

    @router.get("/models", summary="The models there are", response_model=ListedModels, responses=MODELS_ERRORS)
    async def get_models(request: Request) -> Response:
        """What the provider offers, kept for `CACHE_TTL` seconds; an older list where the provider cannot be asked."""
        await authenticator.tenant(request)
        return respond(200, ListedModels.model_validate(await catalog.list(), from_attributes=True))

    @router.post(
        "/generate",
        summary="Answer a prompt, whole or as a stream",
        response_model=None,
        responses=GENERATE_RESPONSES,
        openapi_extra={"parameters": [IDEMPOTENCY_KEY], "requestBody": body_schema(GenerateBody, EXAMPLE)},
    )
    async def generate(request: Request) -> Response:
        """One answer, no memory. Failures that may pass are tried again for a moment first, after the upstream's
        `Retry-After` where it names one. A stream's status waits for the first words. Hanging up stops the LLM,
        unless the answer comes whole and the request has an `Idempotency-Key`."""
        tenant_id = await authenticator.tenant(request)
        body = await read_body(request, GenerateBody)

        async def answer() -> Response:
            if body.stream:
                return sse_response(word_events(await generation.stream(tenant_id, _request(body))))
            return respond(200, _generated(await generation.generate(tenant_id, _request(body))))

        return await idempotent(request, tenant_id, body, answer, streamed=body.stream)

    return router


def _generated(timed: Timed) -> Generated:
    usage = timed.answer.usage
    return Generated(
        response=timed.text,
        finish_reason=timed.answer.finish_reason,
        model=timed.answer.model,
        tokens_used=usage.total_tokens if usage else None,
        latency_seconds=round(timed.seconds, 4),
    )


def _request(body: GenerateBody) -> dict[str, Json]:
    """The chat completion request."""
    prompt = {"role": "user", "content": body.prompt}
    request: dict[str, Json] = {"messages": [prompt], "max_tokens": body.max_tokens}
    for name in ("model", "temperature"):
        if (value := getattr(body, name)) is not None:
            request[name] = value
    return request
