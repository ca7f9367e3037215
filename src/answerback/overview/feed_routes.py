"""What goes on, as it changes."""

from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import Response

from answerback.accounts.auth import Authenticator
from answerback.http.request_log import ENDLESS
from answerback.http.sse import EVENT_STREAM, named_event, sse_response
from answerback.jobs.bodies import JobBody, job_body
from answerback.jobs.model import JobFilter
from answerback.jobs.store import JobStore
from answerback.kernel.ids import EVERY_TENANT
from answerback.overview.bodies import Answering, overview_body
from answerback.overview.feed import Events, Feeds
from answerback.overview.overviews import Overviews
from answerback.overview.provider_reports import ProviderReports
from answerback.overview.routes import OVERVIEW_ERRORS, TenantFilter, shown_tenant

NEWEST = 25

FEED: dict[str, Any] = {
    "description": "A stream of events that does not end",
    "content": {
        EVENT_STREAM: {
            "schema": {
                "type": "string",
                "description": "`event: overview` with the body of `GET /v1/overview`, and `event: jobs` with the "
                f"newest {NEWEST} `items` of `GET /v1/jobs`: each first as it is, then within a second or two after "
                "it has changed; more seldom while the service is busy, or many tenants have feeds. A comment where "
                "nothing came for long.",
            },
            "example": 'event: overview\ndata: {"mock":false,"default_model":"openai/gpt-oss-20b:free"}\n\n'
            'event: jobs\ndata: {"items":[]}\n\n',
        }
    },
}


class NewestJobs(BaseModel):
    """The newest jobs, as lists show them."""

    items: list[JobBody]


def router(
    feeds: Feeds,
    overviews: Overviews,
    jobs: JobStore,
    providers: ProviderReports,
    answering: Answering,
    authenticator: Authenticator,
) -> APIRouter:
    """`/v1/feed`"""
    routes = APIRouter(prefix="/v1", tags=["overview"])

    @routes.get(
        "/feed",
        summary="What goes on, as it changes",
        response_class=Response,
        responses={**OVERVIEW_ERRORS, 200: FEED},
    )
    async def get_feed(request: Request, tenant: TenantFilter = None) -> Response:
        """Server-sent events: the overview, and the newest jobs. An operator sees those of all tenants, or of the
        tenant that it asks for. Open as many as there are pages: they cost hardly more
        than one. It does not count against the rate."""
        caller = await authenticator.polling_caller(request, tenant)
        seen, operator = shown_tenant(caller, tenant), caller.operator
        request.scope[ENDLESS] = True

        async def make() -> Events:
            standings = await providers.standings()
            at_a_glance = overview_body(answering, standings, await overviews.of(seen), operator=operator)
            newest = await jobs.list(JobFilter(seen or EVERY_TENANT), None, NEWEST)
            shown = NewestJobs(items=[job_body(record, operator=operator) for record in newest.records])
            return {"overview": named_event("overview", at_a_glance), "jobs": named_event("jobs", shown)}

        async def check() -> None:
            await authenticator.check(request)

        events = feeds.open(caller.tenant_id, (seen, operator), make, check)
        return sse_response(events)

    return routes
