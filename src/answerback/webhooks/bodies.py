"""The bodies of deliveries and attempts."""

from pydantic import BaseModel, ConfigDict, Field

from answerback.http.openapi_parts import DELIVERY, ENDED_AT, JOB
from answerback.http.responses import Time, is_none
from answerback.webhooks.model import DeliveryState


class AttemptBody(BaseModel):
    """An attempt at a job or at a delivery. `http_status` is what the receiver answered, or the LLM that refused or
    failed; `response_snippet` is the receiver's. `remark` is shown to operators only."""

    model_config = ConfigDict(from_attributes=True)

    number: int = Field(examples=[1])
    status: str = Field(examples=["delivered"])
    started_at: Time
    finished_at: Time = Field(examples=[ENDED_AT])
    duration_ms: int | None = Field(examples=[20])
    http_status: int | None = Field(examples=[200])
    error: str | None = Field(examples=[None])
    response_snippet: str | None = Field(validation_alias="snippet", examples=["ok"])
    remark: str | None = Field(
        None,
        description="For operators: what went wrong, and at which provider.",
        examples=[None],
        exclude_if=is_none,
    )


class DeliverySummary(BaseModel):
    """A callback that a job owes, as lists of jobs show it. `id` is its `webhook-id`; `held_by` is the job whose
    callback goes out before this one; `next_attempt_at` is null once nothing is due, and, where the receiver did not
    respond, when that is tried next, perhaps with another callback. A `status` that is not listed is a newer version's,
    during an upgrade."""

    model_config = ConfigDict(from_attributes=True)

    id: str = Field(examples=[DELIVERY])
    job_id: str = Field(examples=[JOB])
    status: DeliveryState | str = Field(validation_alias="state", examples=["delivered"])
    held_by: str | None = Field(examples=[None])
    url: str = Field(examples=["https://example.com/callback"])
    attempt: int = Field(examples=[1])
    next_attempt_at: Time | None = Field(examples=[None])
    delivered_at: Time | None = Field(examples=[ENDED_AT])


class DeliveryBody(DeliverySummary):
    """A callback that a job owes, with its attempts; or an event, to the webhook endpoint that `endpoint_id` names."""

    endpoint_id: str | None = Field(description="Null for the callback URL of the request.", examples=[None])
    erased: bool = Field(
        default=False,
        description="True, and there only then, where its body was erased with its conversation: it cannot be resent.",
        exclude_if=lambda value: not value,
    )
    attempts: list[AttemptBody]
