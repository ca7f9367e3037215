"""How a callback reads. The bytes are made once, when the job ends, and never change."""

import dataclasses
import json
from datetime import UTC, datetime
from typing import Any, assert_never

from answerback.jobs.model import Ending, Job, Message
from answerback.kernel.errors import Failure
from answerback.reviews.model import Review


def rfc3339(epoch_ms: int) -> str:
    """RFC 3339 in UTC with milliseconds."""
    return datetime.fromtimestamp(epoch_ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def render(job: Job, ending: Ending, now: int) -> bytes:
    """The body of a job's callback; `now` is the ending's time in epoch milliseconds."""
    match job.request:
        case Message() as message:
            body = _message(job, message, ending, now)
        case Review() as review:
            body = _review(job, review, ending)
        case _:
            assert_never(job.request)
    return json.dumps(body, ensure_ascii=False, allow_nan=False).encode()


def _message(job: Job, request: Message, ending: Ending, now: int) -> dict[str, Any]:
    answer, failure = ending.answer, ending.failure
    body: dict[str, Any] = {
        "job_id": job.id,
        "status": ending.state.value,
        "response": answer.text if answer else None,
        "session_id": request.session_id,
        "seq": job.seq,
        "model": answer.model if answer else request.model,
        "usage": dataclasses.asdict(answer.usage) if answer and answer.usage else None,
        "metadata": request.metadata,
        "created_at": rfc3339(job.created_at),
        "completed_at": rfc3339(now),
    }
    if failure is not None:
        body["error"] = {"code": failure.code.value, "message": failure.message}
    return body


def _review(job: Job, request: Review, ending: Ending) -> dict[str, Any]:
    answer = ending.answer
    result = review_result(answer.text if answer else None, ending.failure)
    return {"job_id": job.id, "submission_id": request.submission_id, "ok": answer is not None, "result": result}


def review_result(answer: str | None, failure: Failure | None) -> dict[str, Any]:
    """The review, or why there is none."""
    if answer is None:
        return {"error": failure.message if failure else "there is no review"}
    result: dict[str, Any] = json.loads(answer)
    return result
