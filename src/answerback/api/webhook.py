"""Door 1: a message in, 202 at once, the answer to the callback URL."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter
from pydantic import AfterValidator, BaseModel, Field, StringConstraints, model_validator
from starlette.requests import Request
from starlette.responses import Response

from answerback.api.auth import Authenticator
from answerback.api.bodies import StrictBody, body_schema, read_body
from answerback.api.documents import ACCEPT_ERRORS, CALLBACK, IDEMPOTENCY_KEY
from answerback.api.errors import json_response
from answerback.api.fields import Metadata, ModelName, Text, not_blank
from answerback.api.headers import idempotency_key
from answerback.core.intake import Intake
from answerback.domain.job import Message


class WebhookMessage(StrictBody):
    """A message to be answered later."""

    message: Annotated[Text, StringConstraints(min_length=1, max_length=32_000), AfterValidator(not_blank)] = Field(
        description="What to ask the LLM."
    )
    callback_url: Annotated[Text, StringConstraints(min_length=1, max_length=2048)] = Field(
        description="Where the answer goes: http or https, no credentials in it, an address the service may call."
    )
    session_id: Annotated[Text, StringConstraints(min_length=1, max_length=128), AfterValidator(not_blank)] | None = (
        Field(None, description="Names the conversation; without it the callback URL does.")
    )
    stateless: bool = Field(
        default=False, description="True: no memory is read or kept, and no order. Excludes session_id."
    )
    model: ModelName | None = Field(None, description="Which model answers; without it the service's default.")
    system: Annotated[Text, StringConstraints(max_length=32_000)] | None = Field(
        None, description="The system prompt for this answer."
    )
    temperature: float | None = Field(None, ge=0, le=2, allow_inf_nan=False)
    max_tokens: int | None = Field(None, ge=1, le=10_000_000)
    metadata: Metadata | None = Field(None, description="Echoed in the callback; at most 16 KiB of JSON.")

    @model_validator(mode="after")
    def _one_memory(self) -> "WebhookMessage":
        if self.stateless and self.session_id is not None:
            raise ValueError("stateless excludes session_id: send one or the other")
        return self


class Accepted(BaseModel):
    """The message is stored and will be answered."""

    job_id: str
    status: Literal["queued"]
    session_id: str | None
    seq: int | None = Field(description="The message's place in its conversation; null for a stateless one.")


class Usage(BaseModel):
    prompt_tokens: int
    completion_tokens: int
    total_tokens: int


class CallbackError(BaseModel):
    code: str
    message: str


class Callback(BaseModel):
    """What the callback URL receives: the answer, or why there is none."""

    job_id: str
    status: Literal["completed", "failed", "cancelled", "expired"]
    response: str | None
    session_id: str | None
    seq: int | None
    model: str | None
    usage: Usage | None
    metadata: dict[str, Any] | None
    created_at: str
    completed_at: str
    error: CallbackError | None = None


EXAMPLE = {
    "message": "Where is my parcel?",
    "callback_url": "https://example.com/callback",
    "session_id": "customer-42",
}


def router(intake: Intake, authenticator: Authenticator) -> APIRouter:
    """`POST /webhook`, with and without the slash."""
    door = APIRouter(tags=["webhook relay"])
    callbacks = APIRouter()

    @callbacks.post("{$request.body#/callback_url}", summary="The answer", **CALLBACK)
    def answer(body: Callback) -> None:
        """Signed. Answer with any 2xx; `webhook-id` stays the same over all attempts."""

    async def accept(request: Request) -> Response:
        """Stores the message and answers 202 at once; the LLM's answer goes to `callback_url`, signed, in the
        conversation's order. Once 202 is heard nothing is lost."""
        tenant_id = await authenticator.tenant(request)
        key = idempotency_key(request)
        body = await read_body(request, WebhookMessage)
        message = Message(
            message=body.message,
            session_id=body.session_id,
            stateless=body.stateless,
            model=body.model,
            system=body.system,
            temperature=body.temperature,
            max_tokens=body.max_tokens,
            metadata=body.metadata,
        )
        accepted = await intake.accept(tenant_id, message, body.callback_url, key)
        headers = {"Location": f"/v1/jobs/{accepted.job_id}"}
        if not accepted.created:
            headers["Idempotent-Replayed"] = "true"
        reply = {
            "job_id": accepted.job_id,
            "status": "queued",
            "session_id": body.session_id,
            "seq": accepted.seq,
        }
        return json_response(202, reply, headers)

    door.add_api_route(
        "/webhook",
        accept,
        methods=["POST"],
        status_code=202,
        summary="Send a message, hear the answer on your callback URL",
        response_model=Accepted,
        responses=ACCEPT_ERRORS,
        callbacks=callbacks.routes,
        openapi_extra={"parameters": [IDEMPOTENCY_KEY], "requestBody": body_schema(WebhookMessage, EXAMPLE)},
    )
    door.add_api_route("/webhook/", accept, methods=["POST"], include_in_schema=False)
    return door
