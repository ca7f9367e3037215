"""Showing, cancelling and retrying jobs."""

import re
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import AfterValidator, Field
from starlette.requests import Request
from starlette.responses import Response

from answerback.accounts.auth import Authenticator
from answerback.accounts.model import Caller
from answerback.http.caller import AskedTenantOrAll
from answerback.http.fields import EMPTY_IS_ABSENT, MomentInQuery, Name, PageSize, epoch_ms, no_nul
from answerback.http.idempotent_routes import Idempotent
from answerback.http.known_queries import KNOWN_QUERIES
from answerback.http.openapi import headers
from answerback.http.openapi_parts import (
    IDEMPOTENCY_KEY,
    JOB_ERRORS,
    QUERY_ERRORS,
    TENANT_ERRORS,
    JobId,
    conflict,
    errors,
    invalid,
)
from answerback.http.responses import respond
from answerback.jobs.bodies import JobDetails, JobPage, Retried, job_body, job_details, retried_body
from answerback.jobs.canceller import Canceller
from answerback.jobs.kind import JobState
from answerback.jobs.model import JobFilter
from answerback.jobs.store import JobStore
from answerback.jobs.submit import Submitter
from answerback.kernel.ids import EVERY_TENANT
from answerback.kernel.instruments import Instruments
from answerback.kernel.shares import Shares
from answerback.kernel.turns import Turns
from answerback.webhooks.model import DeliveryState

ID_PATTERN = re.compile("job_[0-9a-f]{32}")

DEFAULT_PAGE_SIZE = 20
LISTS_AT_ONCE = 2
"""How many pages are read and written at a time, in turn between tenants: each is milliseconds of the event loop, for
which whatever comes behind it waits."""

# What limits a value stands inside: an empty one has become None when the outer constraints are checked.
StateFilter = Annotated[JobState | None, EMPTY_IS_ABSENT, Query(description="Only jobs in this state.")]
KindFilter = Annotated[
    Name | None,
    EMPTY_IS_ABSENT,
    Query(description="Only jobs of this kind.", examples=["message"]),
]
ConversationFilter = Annotated[
    Annotated[str, Field(max_length=2048), AfterValidator(no_nul)] | None,
    EMPTY_IS_ABSENT,
    Query(description="Only this conversation's: its session_id, or its callback URL."),
]
DeliveryFilter = Annotated[
    DeliveryState | None,
    EMPTY_IS_ABSENT,
    Query(description="Only jobs whose delivery to their own callback URL is in this state."),
]
ModelFilter = Annotated[
    Annotated[str, Field(max_length=256), AfterValidator(no_nul)] | None,
    EMPTY_IS_ABSENT,
    Query(description="Only jobs of this model: the one that answered, before that the one asked for."),
]
ErrorFilter = Annotated[
    Annotated[str, Field(max_length=256), AfterValidator(no_nul)] | None,
    EMPTY_IS_ABSENT,
    Query(description="Only jobs whose error has this in its code or message, in upper or lower case."),
]
KeyFilter = Annotated[
    Name | None,
    EMPTY_IS_ABSENT,
    Query(description="Only jobs that the key of this id sent."),
]
SinceFilter = Annotated[
    MomentInQuery | None, EMPTY_IS_ABSENT, Query(description="Only jobs accepted then or later, in RFC 3339.")
]
UntilFilter = Annotated[
    MomentInQuery | None, EMPTY_IS_ABSENT, Query(description="Only jobs accepted before, in RFC 3339.")
]


def _job_id(value: str) -> str:
    if not ID_PATTERN.fullmatch(value):
        raise ValueError("must be the id of a job, as in `next` of a page")
    return value


Before = Annotated[
    Annotated[str, AfterValidator(_job_id)] | None,
    EMPTY_IS_ABSENT,
    Query(description="Only older jobs than this one: the `next` of a page."),
]

LIST_ERRORS = QUERY_ERRORS | TENANT_ERRORS
CANCEL_ERRORS = (
    JOB_ERRORS
    | TENANT_ERRORS
    | conflict("The job has ended otherwise", "this job is completed already and cannot be cancelled")
)
RETRY_RESPONSES = (
    JOB_ERRORS
    | TENANT_ERRORS
    | conflict(
        "The job has not ended, or completed",
        "only a failed, cancelled or expired job can be retried; this one is running",
    )
    | invalid(
        "Its callback URL is refused now",
        "callback_url",
        "callback_url's address '10.0.0.1' may not be called: it is a private address; an operator can open networks "
        "with CALLBACK_ALLOWED_NETWORKS",
        "callback_refused",
    )
    | errors(_429="Its conversation is full, or more requests than your rate allows")
    | {202: {"headers": headers("Location")}}
)


def router(
    store: JobStore,
    submitter: Submitter,
    canceller: Canceller,
    authenticator: Authenticator,
    instruments: Instruments,
    idempotent: Idempotent,
) -> APIRouter:
    """`/v1/jobs…`."""
    routes = APIRouter(prefix="/v1", tags=["jobs"])
    _add_list(routes, store, authenticator)
    _add_get(routes, store, authenticator)
    _add_cancel(routes, store, canceller, authenticator, instruments)
    _add_retry(routes, store, submitter, authenticator, idempotent)
    return routes


def _add_list(routes: APIRouter, store: JobStore, authenticator: Authenticator) -> None:
    turns = Turns(Shares(LISTS_AT_ONCE, LISTS_AT_ONCE))

    @routes.get(
        "/jobs",
        summary="Your jobs, newest first",
        response_model=JobPage,
        responses=LIST_ERRORS,
        dependencies=KNOWN_QUERIES,
    )
    async def list_jobs(
        request: Request,
        status: StateFilter = None,
        kind: KindFilter = None,
        session_id: ConversationFilter = None,
        delivery: DeliveryFilter = None,
        model: ModelFilter = None,
        error: ErrorFilter = None,
        key: KeyFilter = None,
        since: SinceFilter = None,
        until: UntilFilter = None,
        limit: PageSize = DEFAULT_PAGE_SIZE,
        before: Before = None,
        tenant: AskedTenantOrAll = None,
    ) -> Response:
        """Long fields, such as an answer, are shown by single jobs only."""
        caller = await authenticator.caller(request, tenant)
        tenant_id = tenant or caller.tenant_id
        first, last = (None if each is None else epoch_ms(each) for each in (since, until))
        wanted = JobFilter(tenant_id, status, kind, session_id, delivery, model, error, first, last, key)
        await turns.wait(tenant_id)
        try:
            page = await store.list(wanted, before, limit or DEFAULT_PAGE_SIZE)
            items = [job_body(record, operator=caller.operator) for record in page.records]
            return respond(200, JobPage(items=items, next=page.following))
        finally:
            turns.give(tenant_id)


def _add_get(routes: APIRouter, store: JobStore, authenticator: Authenticator) -> None:
    @routes.get("/jobs/{job_id}", summary="One job", response_model=JobDetails, responses=JOB_ERRORS | LIST_ERRORS)
    async def get_job(request: Request, job_id: JobId, tenant: AskedTenantOrAll = None) -> Response:
        """State, answer, every attempt, and the deliveries with their attempts. An operator sees any tenant's."""
        caller = await authenticator.caller(request, tenant)
        tenant_id = await _owner(store, caller, tenant, job_id)
        return respond(200, job_details(await store.get(tenant_id, job_id), operator=caller.operator))


async def _owner(store: JobStore, caller: Caller, asked: str | None, job_id: str) -> str:
    """Whose job is meant: the tenant's that is asked for, else the caller's; an operator without a choice means it
    whosever it is. Raises NotFound."""
    if asked and asked != EVERY_TENANT:
        return asked
    return await store.owner(job_id) if caller.operator else caller.tenant_id


def _add_cancel(
    routes: APIRouter, store: JobStore, canceller: Canceller, authenticator: Authenticator, instruments: Instruments
) -> None:
    @routes.post("/jobs/{job_id}/cancel", summary="Cancel a job", response_model=JobDetails, responses=CANCEL_ERRORS)
    async def cancel_job(request: Request, job_id: JobId, tenant: AskedTenantOrAll = None) -> Response:
        """Ends it at once, whatever it is doing; the callback says `cancelled`. Cancelling twice is no error."""
        caller = await authenticator.caller(request, tenant)
        tenant_id = await _owner(store, caller, tenant, job_id)
        await canceller.cancel(tenant_id, job_id, by_operator=tenant_id != caller.tenant_id)
        record = await store.get(tenant_id, job_id)
        for owed in record.deliveries:
            if owed.held_by is not None:
                instruments.log.info("callback_held", job=job_id, delivery=owed.id, behind=owed.held_by)
        return respond(200, job_details(record, operator=caller.operator))


def _add_retry(
    routes: APIRouter, store: JobStore, submitter: Submitter, authenticator: Authenticator, idempotent: Idempotent
) -> None:
    @routes.post(
        "/jobs/{job_id}/retry",
        status_code=202,
        summary="Ask again what failed, expired or was cancelled",
        response_model=Retried,
        responses=RETRY_RESPONSES,
        openapi_extra={"parameters": [IDEMPOTENCY_KEY]},
    )
    async def retry_job(request: Request, job_id: JobId, tenant: AskedTenantOrAll = None) -> Response:
        """Accepts the same arguments as a new job at the end of its conversation. The old job keeps its ending and its
        callback. Retrying twice gives the same new job."""
        caller = await authenticator.caller(request, tenant)
        tenant_id = await _owner(store, caller, tenant, job_id)
        await request.body()

        async def retry() -> Response:
            accepted = await submitter.retry(tenant_id, job_id, caller.key_id)
            record = await store.get(tenant_id, accepted.job_id)
            return respond(202, retried_body(record), {"Location": f"/v1/jobs/{accepted.job_id}"})

        return await idempotent(request, tenant_id, None, retry)
