"""How the providers do, over HTTP."""

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import Request
from starlette.responses import Response

from answerback.accounts.auth import Authenticator
from answerback.http.openapi_parts import KEY_ERRORS
from answerback.http.responses import Time, respond
from answerback.llm.standing import Standing
from answerback.overview.bodies import ProviderStanding, standing_facts
from answerback.overview.provider_reports import ProviderReports

UNTIL = "2026-01-01T12:00:30.000Z"


class RestBody(BaseModel):
    """For so long the provider is asked last, or where it is the only one not at all: for one model, or (null) for
    any."""

    model: str | None = Field(examples=["openai/gpt-oss-20b:free"])
    until: Time = Field(examples=[UNTIL])
    reason: str = Field(description="The error code of the call that failed.", examples=["upstream_rate_limited"])


class ProviderBody(ProviderStanding):
    """A provider. `failure_rate` and `latency_ms_p50` (the median of answers, to two digits) are those of the calls of
    all tenants in the last 15 minutes, give or take one. How many those were, `calls` and `failures`, is shown to
    operators, and so is `last_error`."""

    models: list[str] | None = Field(
        description="Those that routes ask it for, in their order; null: any.", examples=[["openai/gpt-oss-20b:free"]]
    )
    rests: list[RestBody] = Field(description="`resting_until` is when the last of them ends.")
    failure_rate: float | None = Field(description="Of each call; null without one.", examples=[0.01])
    calls: int | None = Field(examples=[None])
    failures: int | None = Field(examples=[None])
    latency_ms_p50: int | None = Field(description="Null without an answer.", examples=[840])
    last_error: str | None = Field(examples=[None])


class RouteStep(BaseModel):
    """A provider, and the model that it is asked for."""

    model_config = ConfigDict(from_attributes=True)

    provider: str = Field(examples=["openrouter"])
    model: str = Field(examples=["openai/gpt-oss-20b:free"])


class RouteBody(BaseModel):
    """A model's name that stands for several, asked in the order of the `steps` until one answers; `default`: also
    where a request names no model."""

    name: str = Field(examples=["smart"])
    default: bool = Field(examples=[True])
    steps: list[RouteStep]


class ProviderList(BaseModel):
    """`items` are in the order in which the default route asks them. `routes` are those of the settings, the default
    one first; none where one provider is asked for every model."""

    items: list[ProviderBody]
    routes: list[RouteBody]


def router(providers: ProviderReports, authenticator: Authenticator) -> APIRouter:
    """`/v1/providers`"""
    routes = APIRouter(prefix="/v1", tags=["overview"])

    @routes.get("/providers", summary="How the providers do", response_model=ProviderList, responses=KEY_ERRORS)
    async def list_providers(request: Request) -> Response:
        """Which models they are asked for, whether they answer, and which of them rest: as all processes have seen it,
        some seconds late. It does not count against the rate."""
        caller = await authenticator.polling_caller(request)
        items = [_body(each, operator=caller.operator) for each in await providers.standings()]
        routed = enumerate(providers.health.routes.items())
        named = [RouteBody(name=name, default=not place, steps=steps) for place, (name, steps) in routed]
        return respond(200, ProviderList(items=items, routes=named))

    return routes


def _body(standing: Standing, *, operator: bool) -> ProviderBody:
    more = {
        "models": standing.models,
        "rests": [RestBody(model=each.model, until=each.until, reason=each.code.value) for each in standing.rests],
        "failure_rate": round(standing.failures / standing.calls, 2) if standing.calls else None,
        "calls": standing.calls if operator else None,
        "failures": standing.failures if operator else None,
        "latency_ms_p50": standing.latency_ms_p50,
        "last_error": standing.last_error if operator else None,
    }
    return ProviderBody.model_validate(standing_facts(standing, operator=operator) | more)
