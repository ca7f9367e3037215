"""Door 4: a review asked for, answered by an LLM that calls back (or by the chat provider), heard on a webhook."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints
from starlette.requests import Request
from starlette.responses import Response

from answerback.api.auth import Authenticator
from answerback.api.bodies import StrictBody, body_schema, read_body
from answerback.api.documents import ACCEPT_ERRORS, CALLBACK, IDEMPOTENCY_KEY, JOB_ERRORS, errors
from answerback.api.errors import json_response
from answerback.api.fields import JsonObject, Metadata, Text, not_blank
from answerback.api.headers import idempotency_key
from answerback.core.intake import Intake
from answerback.core.llm_callbacks import LlmCallbacks, Receipt
from answerback.domain.errors import CallbackRefused
from answerback.domain.review import FileRef, NotReviewed, Review, Reviewed, not_reviewed

Url = Annotated[Text, StringConstraints(min_length=1, max_length=2048)]
Page = Annotated[int, Field(ge=1, le=1_000_000)]


class FileRefBody(StrictBody):
    """A file to be reviewed."""

    url: Url = Field(description="Where the file is. Without LLM_API_URL the service fetches it itself: text or PDF.")
    pages: Annotated[list[Page], Field(min_length=1, max_length=1000)] | None = Field(
        None, description="Which pages count, from 1; without it all of them."
    )


class ReviewBody(StrictBody):
    """Work that was handed in and wants a review."""

    submission_id: Annotated[Text, StringConstraints(min_length=1, max_length=512), AfterValidator(not_blank)] = Field(
        description="Your name for it; comes back with the review."
    )
    file_refs: list[FileRefBody] = Field(max_length=100, description="The files to be reviewed.")
    student_id: Annotated[Text, StringConstraints(max_length=512)] | None = Field(
        None, description="Told to the LLM that answers by webhook; never to the chat provider."
    )
    metadata: Metadata | None = Field(None, description="Told to the LLM, such as the assignment; at most 16 KiB.")
    webhook_url: Url = Field(
        description="Where the review goes: http or https, no credentials in it, an address the service may call."
    )


class ReviewAccepted(BaseModel):
    """The review is stored and will be done."""

    job_id: str
    status: Literal["queued"]


class ReviewCallback(BaseModel):
    """What the webhook URL receives. `result` is the review, or `{"error": …}` where `ok` is false."""

    job_id: str
    submission_id: str
    ok: bool
    result: dict[str, Any]


class LlmAnswer(BaseModel):
    """What the LLM says: a review, or why there is none. Fields it adds are ignored."""

    model_config = ConfigDict(strict=True, frozen=True)

    ok: bool
    result: JsonObject | None = Field(None, description="The review, where `ok` is true; any object.")
    error: str | None = Field(None, description="Why there is none, where `ok` is false.")

    def said(self) -> Reviewed | NotReviewed:
        return Reviewed(self.result or {}) if self.ok else not_reviewed(self.error)


class Received(BaseModel):
    """The answer is stored. `relayed`: whether your callback to the service has already succeeded."""

    received: Literal[True]
    relayed: bool


EXAMPLE = {
    "submission_id": "essay-17",
    "file_refs": [{"url": "https://example.com/essay.pdf", "pages": [1, 2]}],
    "student_id": "s-42",
    "metadata": {"assignment": "Describe the water cycle."},
    "webhook_url": "https://example.com/reviews",
}
ANSWER_EXAMPLE = {"ok": True, "result": {"score": 0.8, "feedback": "Clear and complete; name your sources."}}
SIMULATED = LlmAnswer(ok=True, result={"score": 1.0, "feedback": "A simulated review."})
ANSWER_ERRORS = JOB_ERRORS | errors(
    _404="No such review",
    _409="The review has ended otherwise: answered differently, timed out, cancelled or expired",
    _413="The body is too large",
    _422="A field is wrong; each is named",
)


def router(intake: Intake, llm_callbacks: LlmCallbacks, authenticator: Authenticator, *, simulation: bool) -> APIRouter:
    """`/v1/reviews`, `/v1/llm/callback/{job_id}`, and with `simulation` also `/simulate-llm/{job_id}`."""
    door = APIRouter(tags=["reviews"])
    callbacks = APIRouter()

    @callbacks.post("{$request.body#/webhook_url}", summary="The review", **CALLBACK)
    def review_callback(body: ReviewCallback) -> None:
        """Signed. Answer with any 2xx; `webhook-id` stays the same over all attempts."""

    @door.post(
        "/v1/reviews",
        status_code=202,
        summary="Ask for a review, hear it on your webhook",
        response_model=ReviewAccepted,
        responses=ACCEPT_ERRORS | errors(_429="The rate limit is used up; `Retry-After` says when to try again"),
        callbacks=callbacks.routes,
        openapi_extra={"parameters": [IDEMPOTENCY_KEY], "requestBody": body_schema(ReviewBody, EXAMPLE)},
    )
    async def accept(request: Request) -> Response:
        """Stores the request and answers 202 at once; the review goes to `webhook_url`, signed. It is done by the LLM
        at LLM_API_URL, which answers by webhook; where there is none, by the chat provider, which reads the files and
        gives `{"score": 0..1, "feedback": text}`."""
        tenant_id = await authenticator.tenant(request)
        key = idempotency_key(request)
        body = await read_body(request, ReviewBody)
        try:
            accepted = await intake.accept(tenant_id, _review(body), body.webhook_url, key)
        except CallbackRefused as refusal:
            raise refusal.named("webhook_url") from None
        headers = {"Location": f"/v1/jobs/{accepted.job_id}"}
        if not accepted.created:
            headers["Idempotent-Replayed"] = "true"
        return json_response(202, {"job_id": accepted.job_id, "status": "queued"}, headers)

    @door.post(
        "/v1/llm/callback/{job_id}",
        summary="For the LLM: the review",
        response_model=Received,
        responses=ANSWER_ERRORS | errors(_401="The token is missing, or is not the job's"),
        openapi_extra={"requestBody": body_schema(LlmAnswer, ANSWER_EXAMPLE)},
    )
    async def llm_callback(
        request: Request,
        job_id: str,
        token: Annotated[str, Query(description="Comes with the job, as a part of its `callback_url`.")] = "",
    ) -> Response:
        """Where the LLM at LLM_API_URL answers: it was sent `{"job_id", "callback_url", "payload": {"submission_id",
        "file_refs", "student_id", "metadata"}}` and calls back to that `callback_url`, which is all the key it needs.
        The same answer again changes nothing and is told 200 again."""
        await llm_callbacks.authorize(job_id, token)
        answer = await read_body(request, LlmAnswer)
        return _received(await llm_callbacks.receive(job_id, answer.said()))

    if simulation:
        _add_simulation(door, llm_callbacks, authenticator)
    return door


def _add_simulation(door: APIRouter, llm_callbacks: LlmCallbacks, authenticator: Authenticator) -> None:
    @door.post(
        "/simulate-llm/{job_id}",
        summary="Answer in the LLM's place",
        response_model=Received,
        responses=ANSWER_ERRORS,
        openapi_extra={"requestBody": body_schema(LlmAnswer, ANSWER_EXAMPLE) | {"required": False}},
    )
    async def simulate(request: Request, job_id: str) -> Response:
        """For trying out an integration without that LLM; only with ENABLE_SIMULATION=true. Without a body it gives a
        full score."""
        tenant_id = await authenticator.tenant(request)
        answer = await read_body(request, LlmAnswer) if await request.body() else SIMULATED
        return _received(await llm_callbacks.simulate(tenant_id, job_id, answer.said()))


def _received(receipt: Receipt) -> Response:
    return json_response(200, {"received": True, "relayed": receipt.relayed})


def _review(body: ReviewBody) -> Review:
    files = tuple(FileRef(each.url, None if each.pages is None else tuple(each.pages)) for each in body.file_refs)
    return Review(body.submission_id, files, body.student_id, body.metadata)
