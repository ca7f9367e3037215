"""How a callback reads. The bytes are made once, when the job ends, and never change."""

import dataclasses
import json
from datetime import UTC, datetime
from typing import Any

from answerback.domain.job import Ending, Job


def rfc3339(epoch_ms: int) -> str:
    """RFC 3339 in UTC with milliseconds."""
    return datetime.fromtimestamp(epoch_ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def render(job: Job, ending: Ending, now: int) -> bytes:
    """The body of a job's callback; `now` is the ending's time in epoch milliseconds."""
    request, answer, failure = job.request, ending.answer, ending.failure
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
    return json.dumps(body, ensure_ascii=False, allow_nan=False).encode()
