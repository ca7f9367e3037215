"""The body of an overview: its models are both the documentation and the bytes."""

from collections.abc import Sequence
from dataclasses import dataclass

from pydantic import BaseModel, Field

from answerback.http.openapi_parts import USAGE
from answerback.http.responses import Time
from answerback.jobs.kind import JobState
from answerback.llm.standing import Standing
from answerback.overview.model import Overview
from answerback.webhooks.model import DeliveryState

AT = "2026-01-01T12:00:00.000Z"


@dataclass(frozen=True, slots=True)
class Answering:
    """Who answers: the mock or an LLM, and by which model where a request names none."""

    mock: bool
    default_model: str


class ProviderStanding(BaseModel):
    """A provider, as all processes have seen it, some seconds late. It is not reachable once a call found it away
    or refusing the service itself, or three in a row timed out or failed in it; `error` says why, to operators."""

    name: str = Field(examples=["openrouter"])
    reachable: bool | None = Field(description="Null until a call has shown it.", examples=[True])
    since: Time | None = Field(description="Since when it has been so.", examples=[AT])
    error: str | None = Field(examples=[None])
    resting_until: Time | None = Field(description="Until when it is asked last, or not at all.", examples=[None])
    reason: str | None = Field(description="Why it rests: the error code of a call that failed.", examples=[None])


def standing_facts(standing: Standing, *, operator: bool) -> dict[str, object]:
    """The fields of a `ProviderStanding`; `operator`: whether an operator will see them."""
    last = max(standing.rests, key=lambda rest: rest.until, default=None)
    return {
        "name": standing.name,
        "reachable": standing.reachable,
        "since": standing.since,
        "error": standing.error if operator else None,
        "resting_until": None if last is None else last.until,
        "reason": None if last is None else last.code.value,
    }


class WaitingJobs(BaseModel):
    """Jobs that have not ended, by state."""

    queued: int = Field(examples=[3])
    running: int = Field(examples=[2])
    held: int = Field(description="Behind an earlier one of their conversations.", examples=[0])
    scheduled: int = Field(description="Until they are tried again.", examples=[0])
    awaiting: int = Field(description="The callback of an LLM.", examples=[0])
    quarantined: int = Field(examples=[0])


class OwedCallbacks(BaseModel):
    """Callbacks: `owed` are all that have not ended. `held` wait behind another of their conversations; of one tenant
    only those to the callback URLs of requests are counted. `dead` ones are sent no more, unless you ask for it."""

    owed: int = Field(examples=[1])
    pending: int = Field(examples=[1])
    held: int = Field(examples=[0])
    sending: int = Field(description="At their receivers, who have not answered yet.", examples=[0])
    dead: int = Field(examples=[0])


class MinuteBody(BaseModel):
    """Jobs that ended in one minute; those that were cancelled are not among the failed."""

    minute: Time
    completed: int = Field(examples=[12])
    failed: int = Field(examples=[0])


class FailureCount(BaseModel):
    """Jobs, and calls whose clients waited, that failed with this code. The calls are not listed as jobs."""

    code: str = Field(examples=["upstream_timeout"])
    count: int = Field(examples=[3])
    calls: int = Field(description="How many of `count` were calls whose clients waited.", examples=[1])


class Tokens(BaseModel):
    """Tokens, as the upstreams counted them."""

    prompt: int = Field(examples=[USAGE["prompt_tokens"]])
    completion: int = Field(examples=[USAGE["completion_tokens"]])
    total: int = Field(examples=[USAGE["total_tokens"]])


class OverviewBody(BaseModel):
    """What goes on. What waits is at most some seconds old; ends of jobs are counted a few seconds later, and a killed
    process forgets those it had not counted."""

    mock: bool = Field(description="Whether the mock answers in place of an LLM.", examples=[False])
    default_model: str = Field(
        description="The model that answers requests which name none.", examples=["openai/gpt-oss-20b:free"]
    )
    providers: list[ProviderStanding]
    jobs: WaitingJobs
    oldest_queued_seconds: float | None = Field(
        description="For how long the next queued job has been due; null where none is queued.", examples=[0.2]
    )
    callbacks: OwedCallbacks
    minutes: list[MinuteBody] = Field(description="The last 60, oldest first; the last one is not over yet.")
    failures: list[FailureCount] = Field(description="Of the last 24 hours, the most frequent first.")
    tokens_today: Tokens = Field(description="Of the jobs that were answered since midnight, UTC.")


def overview_body(
    answering: Answering, standings: Sequence[Standing], seen: Overview, *, operator: bool
) -> OverviewBody:
    """`operator`: whether an operator will see it."""
    waiting, owed, today = seen.depth.jobs, seen.depth.deliveries, seen.today
    pending, held, sending = (owed[each] for each in (DeliveryState.PENDING, DeliveryState.HELD, DeliveryState.SENDING))
    return OverviewBody(
        mock=answering.mock,
        default_model=answering.default_model,
        providers=[ProviderStanding.model_validate(standing_facts(each, operator=operator)) for each in standings],
        jobs=WaitingJobs(**waiting),
        oldest_queued_seconds=round(seen.depth.oldest_job_seconds, 3) if waiting[JobState.QUEUED] else None,
        callbacks=OwedCallbacks(
            owed=pending + held + sending,
            pending=pending,
            held=held,
            sending=sending,
            dead=owed[DeliveryState.DEAD],
        ),
        minutes=[MinuteBody(minute=each.at, completed=each.completed, failed=each.failed) for each in seen.minutes],
        failures=[
            FailureCount(code=code, count=count, calls=seen.failed_calls[code]) for code, count in seen.failures.items()
        ],
        tokens_today=Tokens(
            prompt=today.prompt_tokens,
            completion=today.completion_tokens,
            total=today.prompt_tokens + today.completion_tokens,
        ),
    )
