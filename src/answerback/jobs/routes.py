"""What became of jobs, and cancelling and retrying them."""

from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import AfterValidator, BaseModel, Field
from starlette.requests import Request
from starlette.responses import Response

from answerback.accounts.auth import Authenticator
from answerback.http.errors import json_response
from answerback.http.fields import no_nul
from answerback.http.openapi import headers
from answerback.http.openapi_parts import JOB, JOB_ERRORS, KEY_ERRORS, JobId, conflict, errors, shown
from answerback.jobs.bodies import JobBody, JobDetails, job_body, job_details
from answerback.jobs.control import Control
from answerback.jobs.model import JobState, Message
from answerback.jobs.ports import Store
from answerback.jobs.submit import Intake

ID_PATTERN = "^job_[0-9a-f]{32}$"


class JobPage(BaseModel):
    """Newest first; `next` goes into `before` for the page after, null on the last. What may be long (`response`,
    `result`, `metadata`, `file_refs`) is told by `GET /v1/jobs/{job_id}` only."""

    items: list[JobBody]
    next: str | None = Field(examples=[JOB])


class Retried(BaseModel):
    """The message is accepted once more, as a job of its own."""

    model_config = shown(
        {"job_id": JOB, "status": "queued", "session_id": "customer-42", "seq": 3, "retry_of": JOB[:-1] + "0"}
    )

    job_id: str
    status: str
    session_id: str | None
    seq: int | None
    retry_of: str


RETRY_ERRORS = (
    JOB_ERRORS
    | conflict(
        "The job has not ended, or completed",
        "only a failed, cancelled or expired job can be retried; this one is running",
    )
    | errors(
        _422="Its callback URL is refused now",
        _429="Its conversation is full, or more requests than your rate allows",
    )
)


def router(store: Store, intake: Intake, control: Control, authenticator: Authenticator) -> APIRouter:
    """`/v1/jobs…`."""
    door = APIRouter(prefix="/v1", tags=["jobs"])
    _add_looking(door, store, authenticator)
    _add_ending_and_beginning(door, intake, control, authenticator)
    return door


def _add_looking(door: APIRouter, store: Store, authenticator: Authenticator) -> None:
    @door.get("/jobs", summary="Your jobs, newest first", response_model=JobPage, responses=KEY_ERRORS)
    async def list_jobs(
        request: Request,
        status: Annotated[JobState | None, Query(description="Only jobs that stand there.")] = None,
        session_id: Annotated[
            Annotated[str, AfterValidator(no_nul)] | None,
            Query(max_length=2048, description="Only this conversation's: its session_id, or its callback URL."),
        ] = None,
        limit: Annotated[int, Query(ge=1, le=100, description="How many at most.")] = 20,
        before: Annotated[
            str | None, Query(pattern=ID_PATTERN, description="Only older jobs than this one: the `next` of a page.")
        ] = None,
    ) -> Response:
        """Without what may be long: `response`, `result`, `metadata` and `file_refs` are told of single jobs only."""
        tenant_id = await authenticator.tenant(request)
        records = await store.list_jobs(tenant_id, status, session_id, before, limit + 1)
        page = records[:limit]
        following = page[-1].job.id if len(records) > limit else None
        return json_response(200, {"items": [job_body(record) for record in page], "next": following})

    @door.get("/jobs/{job_id}", summary="One job", response_model=JobDetails, responses=JOB_ERRORS)
    async def get_job(request: Request, job_id: JobId) -> Response:
        """State, answer, every attempt, and the delivery with its attempts."""
        tenant_id = await authenticator.tenant(request)
        return json_response(200, job_details(await store.get_job(tenant_id, job_id)))


def _add_ending_and_beginning(door: APIRouter, intake: Intake, control: Control, authenticator: Authenticator) -> None:
    @door.post(
        "/jobs/{job_id}/cancel",
        summary="Cancel a job",
        response_model=JobDetails,
        responses=JOB_ERRORS
        | conflict("The job has ended otherwise", "this job is completed already and cannot be cancelled"),
    )
    async def cancel(request: Request, job_id: JobId) -> Response:
        """Ends it at once, whatever it is doing; the callback says `cancelled`. Cancelling twice is no error."""
        tenant_id = await authenticator.tenant(request)
        return json_response(200, job_details(await control.cancel(tenant_id, job_id)))

    @door.post(
        "/jobs/{job_id}/retry",
        status_code=202,
        summary="Ask again what failed, expired or was cancelled",
        response_model=Retried,
        responses=RETRY_ERRORS | {202: {"headers": headers("Location")}},
    )
    async def retry(request: Request, job_id: JobId) -> Response:
        """Accepts the same message as a new job at the end of its conversation's line. The old job keeps its ending
        and its callback. Retrying twice gives the same new job."""
        tenant_id = await authenticator.tenant(request)
        source, accepted = await intake.retry(tenant_id, job_id)
        reply = {
            "job_id": accepted.job_id,
            "status": "queued",
            "session_id": source.request.session_id if isinstance(source.request, Message) else None,
            "seq": accepted.seq,
            "retry_of": job_id,
        }
        return json_response(202, reply, {"Location": f"/v1/jobs/{accepted.job_id}"})
