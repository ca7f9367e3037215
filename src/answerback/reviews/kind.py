"""The kind `review`: files to be judged, by an LLM that answers by webhook or by the chat provider."""

import dataclasses
import json
from collections.abc import Mapping
from typing import Any, Protocol

from pydantic import TypeAdapter, ValidationError

from answerback.jobs.kind import (
    Claimed,
    Description,
    Effects,
    Ending,
    Event,
    Job,
    JobState,
    Queue,
    Unreadable,
)
from answerback.jobs.outcome import Awaiting, Completed, Outcome
from answerback.kernel.errors import AnyFailure
from answerback.kernel.json import Json
from answerback.kernel.retry import RetrySchedule
from answerback.reviews.bodies import ReviewCallback
from answerback.reviews.model import FileRef, Review

KIND = "review"
STORED = TypeAdapter(Review)


class Reviewer(Protocol):
    """Does reviews, by webhook or by chat as the settings say. `retries` says when a failed attempt is made again."""

    retries: RetrySchedule

    async def check(self, review: Review, tenant_id: str) -> None:
        """Runs before the 202. Raises InvalidField."""

    async def review(self, job_id: str, tenant_id: str, review: Review, timeout: float) -> Completed | Awaiting:
        """One attempt; a call to an LLM may take `timeout` seconds. Raises ProviderError."""

    async def close(self) -> None: ...


class ReviewKind:
    """Implements `Kind[Review]`. Its result is `{"model", "usage", "result": the review}`. `timeout` bounds one call to
    the LLM, in seconds."""

    name = KIND
    queue = Queue.INTERACTIVE

    def __init__(self, reviewer: Reviewer, timeout: float, callback_retries: RetrySchedule | None = None) -> None:
        self._reviewer = reviewer
        self._timeout = timeout
        self.retries = reviewer.retries
        self.callback_retries = callback_retries

    def encode(self, args: Review) -> str:
        return json.dumps(dataclasses.asdict(args))

    def decode(self, raw: str) -> Review:
        try:
            return STORED.validate_json(raw, strict=True, extra="forbid")
        except ValidationError as error:
            raise Unreadable(str(error)) from error

    async def check(self, args: Review, tenant_id: str, conversation_key: str | None) -> None:  # noqa: ARG002
        await self._reviewer.check(args, tenant_id)

    async def run(self, claim: Claimed[Review]) -> Outcome:
        timeout = max(0.001, min(self._timeout, claim.seconds_left))
        return await self._reviewer.review(claim.id, claim.tenant_id, claim.job.args, timeout)

    def effects(self, job: Job[Review | None], ending: Ending) -> Effects:
        data = ReviewCallback(
            job_id=job.id,
            submission_id=job.args.submission_id if job.args else "",
            ok=ending.state is JobState.COMPLETED,
            result=review_result(ending),
        )
        return Effects(events=(Event(f"{KIND}.{ending.state}", vars(data)),))

    def redact(self, args: Review) -> Review:  # noqa: ARG002 (nothing of it is left)
        return Review("", ())

    def describe(self, job: Job[Review], ending: Ending | None) -> Description:
        review, done = job.args, (ending.result if ending else None) or {}
        return Description(
            summary={
                "submission_id": review.submission_id,
                "student_id": review.student_id,
                "ok": None if ending is None else ending.state is JobState.COMPLETED,
                "model": done.get("model"),
                "usage": done.get("usage"),
            },
            details={
                "metadata": review.metadata,
                "file_refs": [_file_body(each) for each in review.file_refs],
                "result": None if ending is None else review_result(ending),
            },
        )


def review_result(ending: Ending) -> Mapping[str, Json]:
    """The review, or why there is none."""
    if ending.result is not None:
        result: Mapping[str, Json] = ending.result.get("result", {})
        return result
    return {"error": _reason(ending.failure)}


def _reason(failure: AnyFailure | None) -> str:
    return failure.message if failure else "there is no review"


def _file_body(ref: FileRef) -> dict[str, Any]:
    return {"url": ref.url, "pages": None if ref.pages is None else list(ref.pages)}
