"""Door 1: a message in, 202 at once, the answer to the callback URL."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, model_validator
from starlette.requests import Request
from starlette.responses import Response

from answerback.accounts.auth import Authenticator
from answerback.http.bodies import StrictBody, body_schema, read_body
from answerback.http.errors import json_response
from answerback.http.fields import CallbackUrl, CheckUrl, Metadata, ModelName, no_nul, not_blank
from answerback.http.headers import REPLAYED, idempotency_key
from answerback.http.openapi import headers
from answerback.http.openapi_parts import ACCEPT_ERRORS, CALLBACK, CREATED, ENDED_AT, IDEMPOTENCY_KEY, JOB, USAGE, shown
from answerback.jobs.model import Message
from answerback.jobs.submit import Intake


class WebhookMessage(StrictBody):
    """A message to be answered later."""

    message: Annotated[str, StringConstraints(min_length=1, max_length=32_000), AfterValidator(not_blank)] = Field(
        description="What to ask the LLM."
    )
    callback_url: CallbackUrl = Field(
        description="Where the answer goes: http or https, no credentials in it, an address the service may call."
    )
    session_id: Annotated[str, StringConstraints(min_length=1, max_length=128), AfterValidator(not_blank)] | None = (
        Field(None, description="Names the conversation; without it the callback URL does.")
    )
    stateless: bool = Field(
        default=False, description="True: no memory is read or kept, and no order. Excludes session_id."
    )
    model: ModelName | None = Field(None, description="Which model answers; without it the service's default.")
    system: Annotated[str, StringConstraints(max_length=32_000), AfterValidator(no_nul)] | None = Field(
        None, description="The system prompt for this answer."
    )
    temperature: float | None = Field(None, ge=0, le=2, allow_inf_nan=False)
    max_tokens: int | None = Field(None, ge=1, le=10_000_000)
    metadata: Metadata | None = Field(None, description="Echoed in the callback; at most 16 KiB of JSON.")

    model_config = ConfigDict(
        json_schema_extra={
            "not": {
                "properties": {"stateless": {"const": True}, "session_id": {"type": "string"}},
                "required": ["stateless", "session_id"],
            }
        }
    )

    @model_validator(mode="after")
    def _one_memory(self) -> "WebhookMessage":
        if self.stateless and self.session_id is not None:
            raise ValueError("stateless excludes session_id: send one or the other")
        return self


class Accepted(BaseModel):
    """The message is stored and will be answered."""

    model_config = shown({"job_id": JOB, "status": "queued", "session_id": "customer-42", "seq": 2})

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

    model_config = shown(
        {
            "job_id": JOB,
            "status": "completed",
            "response": "It left the depot this morning.",
            "session_id": "customer-42",
            "seq": 2,
            "model": "openai/gpt-oss-20b:free",
            "usage": USAGE,
            "metadata": {"ticket": 1742},
            "created_at": CREATED,
            "completed_at": ENDED_AT,
        }
    )

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


def router(intake: Intake, authenticator: Authenticator, check_url: CheckUrl) -> APIRouter:
    """`POST /webhook`, with and without the slash."""
    door = APIRouter(tags=["webhook relay"])
    callbacks = APIRouter()

    @callbacks.post("{$request.body#/callback_url}", summary="The answer", **CALLBACK)
    def answer(body: Callback) -> None:
        """Signed. Answer with any 2xx; `webhook-id` stays the same over all attempts."""

    async def accept(request: Request) -> Response:
        """Stores the message and answers 202 at once; the LLM's answer goes to `callback_url`, signed, in the
        conversation's order. Idempotent 202 is heard nothing is lost."""
        tenant_id = await authenticator.tenant(request)
        key = idempotency_key(request)
        body = await read_body(request, WebhookMessage, check_url)
        accepted = await intake.accept(tenant_id, _message(body), body.callback_url, key)
        told = {"Location": f"/v1/jobs/{accepted.job_id}"}
        if not accepted.created:
            told.update(REPLAYED)
        reply = {
            "job_id": accepted.job_id,
            "status": "queued",
            "session_id": body.session_id,
            "seq": accepted.seq,
        }
        return json_response(202, reply, told)

    door.add_api_route(
        "/webhook",
        accept,
        methods=["POST"],
        status_code=202,
        summary="Send a message, hear the answer on your callback URL",
        response_model=Accepted,
        response_description="Stored; the answer will come",
        responses=ACCEPT_ERRORS | {202: {"headers": headers("Location")}},
        callbacks=callbacks.routes,
        openapi_extra={"parameters": [IDEMPOTENCY_KEY], "requestBody": body_schema(WebhookMessage, EXAMPLE)},
    )
    door.add_api_route("/webhook/", accept, methods=["POST"], include_in_schema=False)
    return door


def _message(body: WebhookMessage) -> Message:
    return Message(
        message=body.message,
        session_id=body.session_id,
        stateless=body.stateless,
        model=body.model,
        system=body.system,
        temperature=body.temperature,
        max_tokens=body.max_tokens,
        metadata=body.metadata,
    )
