"""What goes on, over HTTP."""

from typing import Annotated

from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import Response

from answerback.accounts.auth import Authenticator
from answerback.accounts.model import Caller
from answerback.http.fields import EMPTY_IS_ABSENT, Name
from answerback.http.openapi_parts import QUERY_ERRORS, errors
from answerback.http.responses import respond
from answerback.overview.bodies import Answering, OverviewBody, overview_body
from answerback.overview.model import ALL_TENANTS
from answerback.overview.overviews import Overviews
from answerback.overview.provider_reports import ProviderReports

TenantFilter = Annotated[
    Name | None,
    EMPTY_IS_ABSENT,
    Query(description="This tenant's instead: for operators, who see all tenants together without it."),
]
OVERVIEW_ERRORS = QUERY_ERRORS | errors(_403="`tenant` is for operators")


def router(
    overviews: Overviews, providers: ProviderReports, answering: Answering, authenticator: Authenticator
) -> APIRouter:
    """`/v1/overview`"""
    routes = APIRouter(prefix="/v1", tags=["overview"])

    @routes.get("/overview", summary="What goes on", response_model=OverviewBody, responses=OVERVIEW_ERRORS)
    async def get_overview(request: Request, tenant: TenantFilter = None) -> Response:
        """What waits, how jobs ended lately, and whether the LLM answers: your tenant's; an operator sees all tenants
        together. It does not count against the rate."""
        caller = await authenticator.polling_caller(request, tenant)
        seen = await overviews.of(shown_tenant(caller, tenant))
        standings = await providers.standings()
        return respond(200, overview_body(answering, standings, seen, operator=caller.operator))

    return routes


def shown_tenant(caller: Caller, asked: str | None) -> str:
    """Whose overview the caller sees."""
    return asked or (ALL_TENANTS if caller.operator else caller.tenant_id)
