"""The bodies of reviews: the 202, the callback, the receipt for the LLM."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import BaseModel, Field

from answerback.http.openapi_parts import JOB
from answerback.jobs.kind import ENDED, JobState
from answerback.kernel.json import Json

VERDICT = {"score": 0.8, "feedback": "Clear and complete; name your sources."}
"""A review, for examples."""


class ReviewAccepted(BaseModel):
    """The review is stored and will be done."""

    job_id: str = Field(examples=[JOB])
    status: Literal["queued"]


@dataclass
class ReviewCallback:
    """What the webhook URL receives. `result` is the review, or `{"error": …}` where `ok` is false."""

    # A dataclass, whose `vars` are the callback: a model would validate and copy what is checked already.
    job_id: Annotated[str, Field(examples=[JOB])]
    submission_id: Annotated[str, Field(examples=["essay-17"])]
    ok: Annotated[bool, Field(examples=[True])]
    result: Annotated[Mapping[str, Json], Field(examples=[VERDICT])]


class Received(BaseModel):
    """The answer is stored. `relayed`: whether your callback to the service has already succeeded."""

    received: Literal[True]
    relayed: bool = Field(examples=[False])


def samples() -> Mapping[str, Mapping[str, Json]]:
    """A callback of each type of event."""
    return {f"review.{end}": vars(_sample(end is JobState.COMPLETED)) for end in sorted(ENDED)}


def _sample(ok: bool) -> ReviewCallback:
    result = VERDICT if ok else {"error": "this is a sample"}
    return ReviewCallback(job_id=JOB, submission_id="essay-17", ok=ok, result=result)
