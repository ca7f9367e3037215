"""The bodies of the webhook relay: the 202 and the callback."""

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from answerback.http.errors import ErrorBody
from answerback.http.openapi_parts import ENDED_AT, JOB, USAGE
from answerback.http.responses import Time, is_none, plain
from answerback.jobs.kind import ENDED, JobState
from answerback.kernel.json import Json
from answerback.kernel.usage import Usage

CREATED_AT_MS = 1_767_268_800_000
"""When the job of a sample was created: 2026-01-01T12:00:00Z."""


class AcceptedMessage(BaseModel):
    """The message is stored and will be answered."""

    job_id: str = Field(examples=[JOB])
    status: Literal["queued"]
    session_id: str | None = Field(examples=["customer-42"])
    seq: int | None = Field(
        description="The message's place in its conversation; null for a stateless one.", examples=[2]
    )


def _with_example(schema: dict[str, Any]) -> None:
    """Makes an example of the fields that have one: the others are absent from most callbacks."""
    fields = schema["properties"].items()
    schema["examples"] = [{name: field["examples"][0] for name, field in fields if "examples" in field}]


class Callback(BaseModel):
    """What the callback URL receives: the answer, or why there is none."""

    model_config = ConfigDict(json_schema_extra=_with_example)

    job_id: str = Field(examples=[JOB])
    status: Literal["completed", "failed", "cancelled", "expired"] = Field(examples=["completed"])
    response: str | None = Field(examples=["It left the depot this morning."])
    finish_reason: str | None = Field(
        description="Why the answer ends: `stop`, `length` (it was cut), `tool_calls` or `content_filter`.",
        examples=["stop"],
    )
    session_id: str | None = Field(examples=["customer-42"])
    seq: int | None = Field(examples=[2])
    model: str | None = Field(examples=["openai/gpt-oss-20b:free"])
    usage: Usage | None = Field(examples=[USAGE])
    metadata: dict[str, Any] | None = Field(examples=[{"ticket": 1742}])
    created_at: Time
    completed_at: Time = Field(examples=[ENDED_AT])
    tool_calls: list[dict[str, Any]] | None = Field(
        None,
        description="The tools that the answer calls, as OpenAI has them; send `tool_outputs` next.",
        exclude_if=is_none,
    )
    error: ErrorBody | None = Field(None, exclude_if=is_none)


def samples() -> Mapping[str, Mapping[str, Json]]:
    """A callback of each type of event."""
    return {f"message.{end}": plain(_sample(end)) for end in sorted(ENDED)}


def _sample(end: JobState) -> Callback:
    answered = end is JobState.COMPLETED
    return Callback(
        job_id=JOB,
        status=end.value,
        response="It left the depot this morning." if answered else None,
        finish_reason="stop" if answered else None,
        session_id="customer-42",
        seq=2,
        model="openai/gpt-oss-20b:free",
        usage=USAGE if answered else None,
        metadata={"ticket": 1742},
        created_at=CREATED_AT_MS,
        completed_at=CREATED_AT_MS + 1250,
        error=None if answered else ErrorBody(code=end.value, message="this is a sample"),
    )
