"""Asking for reviews, and taking the answers of an LLM that calls back."""

from collections.abc import Sequence
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import AfterValidator, ConfigDict, Field, StringConstraints
from starlette.requests import Request
from starlette.responses import Response

from answerback.accounts.auth import Authenticator
from answerback.http.bodies import Body, StrictBody, body_schema, read_body
from answerback.http.fields import (
    CallbackUrl,
    CheckUrl,
    FetchedUrl,
    JsonObject,
    Metadata,
    WebUrl,
    at_most,
    no_nul,
    not_blank,
)
from answerback.http.headers import REPLAYED, idempotency_key
from answerback.http.openapi import KEYLESS, headers
from answerback.http.openapi_parts import (
    ACCEPT_ERRORS,
    CALLBACK,
    IDEMPOTENCY_KEY,
    JOB,
    JOB_ERRORS,
    NOT_JSON,
    JobId,
    conflict,
    errors,
    not_found,
)
from answerback.http.responses import respond
from answerback.jobs.model import Submission
from answerback.jobs.submit import Submitter
from answerback.reviews.bodies import VERDICT, Received, ReviewAccepted, ReviewCallback
from answerback.reviews.kind import ReviewKind
from answerback.reviews.llm_callbacks import LlmCallbacks
from answerback.reviews.model import (
    MAX_CHARS,
    MAX_FILE_BYTES,
    MAX_FILES,
    MAX_PAGES,
    FileRef,
    NotReviewed,
    Review,
    Reviewed,
    not_reviewed,
)

LIMITS = (
    f"Each may have {MAX_FILE_BYTES // 2**20} MiB and a PDF {MAX_PAGES} pages (or fewer named with `pages`); together "
    f"they may hold {MAX_CHARS:,} characters of text."
)

MAX_REFS = 100
Page = Annotated[int, Field(ge=1, le=1_000_000)]


class FileRefBody(StrictBody):
    """A file to be reviewed."""

    url: WebUrl = Field(description="Where the file is, for the LLM at LLM_API_URL to fetch.")
    pages: Annotated[list[Page], Field(min_length=1, max_length=1000)] | None = Field(
        None, description="Which pages count, from 1; without it all of them."
    )


class ReadFileBody(FileRefBody):
    """A file to be reviewed that the service itself reads."""

    url: FetchedUrl = Field(
        description="Where the file is: text, or PDF. No credentials in it, an address the service may call."
    )


class ReviewBody(StrictBody):
    """Work to be reviewed."""

    submission_id: Annotated[str, StringConstraints(min_length=1, max_length=512), AfterValidator(not_blank)] = Field(
        description="Your name for it; comes back with the review."
    )
    file_refs: Annotated[Sequence[FileRefBody], at_most(MAX_REFS)] = Field(
        max_length=MAX_REFS, description="The files to be reviewed."
    )
    student_id: Annotated[str, StringConstraints(max_length=512), AfterValidator(no_nul)] | None = Field(
        None, description="Sent to the LLM that answers by webhook; never to the chat provider."
    )
    metadata: Metadata | None = Field(None, description="Sent to the LLM, such as the assignment; at most 16 KiB.")
    webhook_url: CallbackUrl = Field(
        description="Where the review goes: http or https, no credentials in it, an address the service may call."
    )


class ReadReviewBody(ReviewBody):
    """Work whose files the service itself reads."""

    file_refs: Annotated[Sequence[ReadFileBody], at_most(MAX_FILES)] = Field(
        min_length=1, max_length=MAX_FILES, description=f"The files to be reviewed. {LIMITS}"
    )


class LlmAnswer(Body):
    """What the LLM says: a review, or why there is none. Fields it adds are ignored."""

    model_config = ConfigDict(strict=True, frozen=True)

    ok: bool
    result: JsonObject | None = Field(None, description="The review, where `ok` is true; any object.")
    error: str | None = Field(None, description="Why there is none, where `ok` is false.")

    def said(self) -> Reviewed | NotReviewed:
        return Reviewed(self.result or {}) if self.ok else not_reviewed(self.error)


EXAMPLE = {
    "submission_id": "essay-17",
    "file_refs": [{"url": "https://example.com/essay.pdf", "pages": [1, 2]}],
    "student_id": "s-42",
    "metadata": {"assignment": "Describe the water cycle."},
    "webhook_url": "https://example.com/reviews",
}
ANSWER_EXAMPLE = {"ok": True, "result": VERDICT}
SIMULATED = LlmAnswer(ok=True, result={"score": 1.0, "feedback": "A simulated review."})
REVIEW_UNKNOWN = not_found(f"there is no review '{JOB}'", "No such review")
ANSWER_ERRORS = (
    errors(
        _401="The token is missing, or is not the job's",
        _413="The body is too large",
        _415=NOT_JSON,
        _422="A field is wrong; each is named",
        _503="The database cannot be reached now; try again",
    )
    | REVIEW_UNKNOWN
    | conflict(
        "The review has ended otherwise: answered differently, timed out, cancelled or expired",
        "this review is failed (llm_callback_timeout) already; the answer came too late and was not used",
    )
)


def router(
    kind: ReviewKind,
    submitter: Submitter,
    llm_callbacks: LlmCallbacks,
    authenticator: Authenticator,
    check_url: CheckUrl,
    *,
    reads_files: bool,
    simulation: bool,
) -> APIRouter:
    """`/v1/reviews`, `/v1/llm/callback/{job_id}`, and with `simulation` also `/simulate-llm/{job_id}`. `reads_files`:
    the service itself reads the files, and refuses at once requests that it could not serve."""
    routes = APIRouter(tags=["reviews"])
    _add_requests(routes, kind, submitter, authenticator, check_url, ReadReviewBody if reads_files else ReviewBody)
    _add_answers(routes, llm_callbacks)
    if simulation:
        _add_simulation(routes, llm_callbacks, authenticator)
    return routes


def _add_requests(
    routes: APIRouter,
    kind: ReviewKind,
    submitter: Submitter,
    authenticator: Authenticator,
    check_url: CheckUrl,
    asked: type[ReviewBody],
) -> None:
    callbacks = APIRouter()

    @callbacks.post("{$request.body#/webhook_url}", summary="The review", **CALLBACK)
    def review_ended(body: ReviewCallback) -> None:
        """Signed. Answer with any 2xx; `webhook-id` stays the same over all attempts."""

    @routes.post(
        "/v1/reviews",
        status_code=202,
        summary="Ask for a review, hear it on your webhook",
        response_model=ReviewAccepted,
        response_description="Stored; the review will come",
        responses=ACCEPT_ERRORS
        | errors(_429="The rate limit is used up; `Retry-After` says when to try again")
        | {202: {"headers": headers("Location")}},
        callbacks=callbacks.routes,
        openapi_extra={"parameters": [IDEMPOTENCY_KEY], "requestBody": body_schema(asked, EXAMPLE)},
    )
    async def create_review(request: Request) -> Response:
        """Stores the request and answers 202 at once; the review goes to `webhook_url`, signed. It is done by the LLM
        at LLM_API_URL, which answers by webhook; where there is none, by the chat provider, which reads the files and
        gives `{"score": 0..1, "feedback": text}`."""
        caller = await authenticator.caller(request)
        key = idempotency_key(request)
        body = await read_body(request, asked, check_url)
        accepted = await submitter.submit(
            Submission(
                kind=kind,
                args=_review(body),
                tenant_id=caller.tenant_id,
                callback_url=body.webhook_url,
                idempotency_key=key,
                url_field="webhook_url",
                key_id=caller.key_id,
            )
        )
        again = {} if accepted.created else REPLAYED
        reply = ReviewAccepted(job_id=accepted.job_id, status="queued")
        return respond(202, reply, {"Location": f"/v1/jobs/{accepted.job_id}", **again})


def _add_answers(routes: APIRouter, llm_callbacks: LlmCallbacks) -> None:
    @routes.post(
        "/v1/llm/callback/{job_id}",
        summary="For the LLM: the review",
        response_model=Received,
        responses=ANSWER_ERRORS,
        openapi_extra={"requestBody": body_schema(LlmAnswer, ANSWER_EXAMPLE), **KEYLESS},
    )
    async def receive_review(
        request: Request,
        job_id: JobId,
        token: Annotated[str, Query(description="Comes with the job, as a part of its `callback_url`.")] = "",
    ) -> Response:
        """Where the LLM at LLM_API_URL answers: it was sent `{"job_id", "callback_url", "payload": {"submission_id",
        "file_refs", "student_id", "metadata"}}` and calls back to that `callback_url`, which is all the key it needs.
        The same answer again changes nothing and gets 200 again."""
        await llm_callbacks.authorize(job_id, token)
        answer = await read_body(request, LlmAnswer)
        relayed = await llm_callbacks.receive(job_id, answer.said())
        return respond(200, Received(received=True, relayed=relayed))


def _add_simulation(routes: APIRouter, llm_callbacks: LlmCallbacks, authenticator: Authenticator) -> None:
    @routes.post(
        "/simulate-llm/{job_id}",
        summary="Answer in the LLM's place",
        response_model=Received,
        responses=JOB_ERRORS | ANSWER_ERRORS | errors(_401="No key, or one that is not valid"),
        openapi_extra={"requestBody": body_schema(LlmAnswer, ANSWER_EXAMPLE) | {"required": False}},
    )
    async def simulate_llm(request: Request, job_id: JobId) -> Response:
        """For trying out an integration without that LLM; only with ENABLE_SIMULATION=true. Without a body it gives a
        full score."""
        tenant_id = await authenticator.tenant(request)
        answer = await read_body(request, LlmAnswer) if await request.body() else SIMULATED
        relayed = await llm_callbacks.simulate(tenant_id, job_id, answer.said())
        return respond(200, Received(received=True, relayed=relayed))


def _review(body: ReviewBody) -> Review:
    files = tuple(FileRef(each.url, None if each.pages is None else tuple(each.pages)) for each in body.file_refs)
    return Review(body.submission_id, files, body.student_id, body.metadata)
