"""How the webhook relay reads and writes: the 202, the callback."""

from typing import Any, Literal

from pydantic import BaseModel, Field

from answerback.http.openapi_parts import CREATED, ENDED_AT, JOB, USAGE
from answerback.http.responses import shown


class AcceptedMessage(BaseModel):
    """The message is stored and will be answered."""

    job_id: str
    status: Literal["queued"]
    session_id: str | None
    seq: int | None = Field(description="The message's place in its conversation; null for a stateless one.")

    model_config = shown({"job_id": JOB, "status": "queued", "session_id": "customer-42", "seq": 2})


class Usage(BaseModel):
    """Tokens, as the upstream counted them."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int


class CallbackError(BaseModel):
    code: str
    message: str


def _is_none(value: object) -> bool:
    return value is None


class Callback(BaseModel):
    """What the callback URL receives: the answer, or why there is none."""

    job_id: str
    status: Literal["completed", "failed", "cancelled", "expired"]
    response: str | None
    finish_reason: str | None = Field(
        description="Why the answer ends: `stop`, `length` (it was cut), `tool_calls` or `content_filter`."
    )
    session_id: str | None
    seq: int | None
    model: str | None
    usage: Usage | None
    metadata: dict[str, Any] | None
    created_at: str
    completed_at: str
    tool_calls: list[dict[str, Any]] | None = Field(
        None,
        description="The tools that the answer calls, as OpenAI has them; send `tool_outputs` next.",
        exclude_if=_is_none,
    )
    error: CallbackError | None = Field(None, exclude_if=_is_none)

    model_config = shown(
        {
            "job_id": JOB,
            "status": "completed",
            "response": "It left the depot this morning.",
            "finish_reason": "stop",
            "session_id": "customer-42",
            "seq": 2,
            "model": "openai/gpt-oss-20b:free",
            "usage": USAGE,
            "metadata": {"ticket": 1742},
            "created_at": CREATED,
            "completed_at": ENDED_AT,
        }
    )
