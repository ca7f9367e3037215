"""`/v1/webhook_endpoints` and `/v1/webhook_event_types`, as OpenAI's."""

import re
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Query
from pydantic import AfterValidator, BaseModel, Field
from starlette.requests import Request
from starlette.responses import Response

from answerback.http.bodies import body_schema, read_body
from answerback.http.caller import TenantOf
from answerback.http.fields import DIGITS, EMPTY_IS_ABSENT
from answerback.http.idempotent_routes import Idempotent
from answerback.http.openai_errors import OPENAI_KEY_ERRORS, OpenAIRoute, openai_errors, openai_refusal
from answerback.http.openapi_parts import IDEMPOTENCY_KEY, NOT_JSON
from answerback.http.responses import NO_STORE, respond
from answerback.kernel.errors import CallbackRefused
from answerback.webhooks.endpoints.bodies import (
    ENDPOINT_ID,
    EndpointBody,
    EndpointChanges,
    EndpointDeleted,
    EndpointList,
    EndpointTested,
    EndpointWithSecret,
    EventTypeList,
    NewEndpoint,
    Rotation,
    TestedType,
    endpoint_body,
    endpoint_list,
    endpoint_with_secret,
)
from answerback.webhooks.endpoints.event_types import EventTypes
from answerback.webhooks.endpoints.store import EndpointStore
from answerback.webhooks.endpoints.trial import Trial
from answerback.webhooks.sending.guard import AddressGuard
from answerback.webhooks.signing.secrets import SigningSecrets

DEFAULT_PAGE_SIZE, MAX_PAGE_SIZE = 20, 100

_ID = re.compile(r"whe_[0-9a-f]{12}7[0-9a-f]{3}[89ab][0-9a-f]{15}")
"""A UUIDv7, as `kernel/ids.py` makes it."""


def _is_id(value: str) -> str:
    """Also of one that was deleted meanwhile: the page behind it is still there."""
    if not _ID.fullmatch(value):
        raise ValueError("must be the id of a webhook endpoint")
    return value


EndpointId = Annotated[str, Path(description="A webhook endpoint's id.", examples=[ENDPOINT_ID])]
After = Annotated[
    Annotated[str, AfterValidator(_is_id)] | None,
    EMPTY_IS_ABSENT,
    Query(description="Only those after this one: the `last_id` of a page."),
]
Limit = Annotated[
    Annotated[int, Field(ge=1, le=MAX_PAGE_SIZE), DIGITS] | None,
    EMPTY_IS_ABSENT,
    Query(description="How many a page has at most."),
]
Order = Annotated[
    Literal["asc", "desc"] | None,
    EMPTY_IS_ABSENT,
    Query(description="By the time of creation."),
]

_ONE_ERRORS = OPENAI_KEY_ERRORS | openai_refusal(
    404, "No such endpoint among yours", "not_found", f"there is no webhook endpoint '{ENDPOINT_ID}'"
)
_PARAMETER_ERRORS = openai_refusal(400, "A parameter is wrong; it is named", "invalid_value")
_BODY_ERRORS = _PARAMETER_ERRORS | openai_errors(
    _409="The Idempotency-Key was used with another body, or you have as many endpoints as there may be",
    _413="The body is too large",
    _415=NOT_JSON,
)


@dataclass(frozen=True, slots=True)
class Endpoints:
    """What the routes of endpoints work with."""

    store: EndpointStore
    secrets: SigningSecrets
    guard: AddressGuard
    trial: Trial
    types: EventTypes

    async def check(self, tenant_id: str, url: str | None, event_types: list[str] | None) -> None:
        """Raises CallbackRefused, InvalidParameter."""
        for number, event_type in enumerate(event_types or ()):
            self.types.check(f"event_types[{number}]", event_type)
        if url is not None:
            try:
                await self.guard.check(url, tenant_id)
            except CallbackRefused as refusal:
                raise refusal.named("url") from None


def router(endpoints: Endpoints, tenant_of: TenantOf, polling_tenant_of: TenantOf, idempotent: Idempotent) -> APIRouter:
    """`/v1/webhook_endpoints…` and `/v1/webhook_event_types`. `polling_tenant_of` counts no request."""
    routes = APIRouter(prefix="/v1", tags=["openai"], route_class=OpenAIRoute)
    _add_create(routes, endpoints, tenant_of, idempotent)
    _add_reads(routes, endpoints, polling_tenant_of)
    _add_changes(routes, endpoints, tenant_of, idempotent)
    _add_rotate(routes, endpoints, tenant_of, idempotent)
    _add_test(routes, endpoints, tenant_of)
    return routes


def _add_create(routes: APIRouter, endpoints: Endpoints, tenant_of: TenantOf, idempotent: Idempotent) -> None:
    @routes.post(
        "/webhook_endpoints",
        summary="Create a webhook endpoint",
        response_model=EndpointWithSecret,
        responses=OPENAI_KEY_ERRORS | _BODY_ERRORS,
        openapi_extra=_takes(
            NewEndpoint,
            {"name": "shop", "url": "https://example.com/events", "event_types": ["message.completed"]},
        ),
    )
    async def create_webhook_endpoint(request: Request) -> Response:
        """It receives each event of its types from now on, whichever of your keys caused it, in a delivery of its own
        that is tried and resent like a callback. The body is OpenAI's event: `{"id", "object": "event", "type",
        "created_at", "data"}`; the `data` of `message.*` and `review.*` is what the callback URL receives. It is signed
        with the endpoint's own secret, which is shown now and not again."""
        tenant_id = await tenant_of(request)
        asked = await read_body(request, NewEndpoint, endpoints.guard.check_unresolved)
        await endpoints.check(tenant_id, asked.url, asked.event_types)

        async def create() -> Response:
            made = await endpoints.store.create(tenant_id, asked.name, asked.url, asked.event_types)
            return respond(200, endpoint_with_secret(made), NO_STORE)

        return await idempotent(request, tenant_id, asked, create)


def _add_reads(routes: APIRouter, endpoints: Endpoints, tenant_of: TenantOf) -> None:
    @routes.get(
        "/webhook_endpoints",
        summary="List webhook endpoints",
        response_model=EndpointList,
        responses=OPENAI_KEY_ERRORS | _PARAMETER_ERRORS,
    )
    async def list_webhook_endpoints(
        request: Request, after: After = None, limit: Limit = DEFAULT_PAGE_SIZE, order: Order = "desc"
    ) -> Response:
        """The newest first, or with `order=asc` the oldest. A page begins behind its `after` also where that was
        deleted meanwhile. Counts against no rate."""
        tenant_id = await tenant_of(request)
        most = limit or DEFAULT_PAGE_SIZE
        found = await endpoints.store.list(tenant_id, after, most + 1, newest_first=order != "asc")
        return respond(200, endpoint_list(found[:most], has_more=len(found) > most))

    @routes.get(
        "/webhook_endpoints/{webhook_endpoint_id}",
        summary="One webhook endpoint",
        response_model=EndpointBody,
        responses=_ONE_ERRORS,
    )
    async def get_webhook_endpoint(request: Request, webhook_endpoint_id: EndpointId) -> Response:
        """Of its secret only the last characters. Counts against no rate."""
        tenant_id = await tenant_of(request)
        return respond(200, endpoint_body(await endpoints.store.get(tenant_id, webhook_endpoint_id)))

    @routes.get(
        "/webhook_event_types",
        summary="What webhook endpoints may subscribe to",
        response_model=EventTypeList,
        responses=OPENAI_KEY_ERRORS,
    )
    async def list_webhook_event_types(request: Request) -> Response:
        """`response.*` and `batch.*` are OpenAI's, `message.*` are the ends of `POST /webhook`, `review.*` those of
        `POST /v1/reviews`. Of `batch.*` none occurs yet: there are no batches here. Counts against no
        rate."""
        await tenant_of(request)
        return respond(200, EventTypeList(data=endpoints.types.names))


def _add_changes(routes: APIRouter, endpoints: Endpoints, tenant_of: TenantOf, idempotent: Idempotent) -> None:
    @routes.post(
        "/webhook_endpoints/{webhook_endpoint_id}",
        summary="Change a webhook endpoint",
        response_model=EndpointBody,
        responses=_ONE_ERRORS | _BODY_ERRORS,
        openapi_extra=_takes(EndpointChanges, {"event_types": ["message.completed", "message.failed"]}),
    )
    async def update_webhook_endpoint(request: Request, webhook_endpoint_id: EndpointId) -> Response:
        """What is not given stays. Deliveries that are owed already still go to the old URL."""
        tenant_id = await tenant_of(request)
        asked = await read_body(request, EndpointChanges, endpoints.guard.check_unresolved)
        await endpoints.check(tenant_id, asked.url, asked.event_types)

        async def change() -> Response:
            changed = await endpoints.store.change(
                tenant_id, webhook_endpoint_id, asked.name, asked.url, asked.event_types
            )
            return respond(200, endpoint_body(changed))

        return await idempotent(request, tenant_id, asked, change)

    @routes.delete(
        "/webhook_endpoints/{webhook_endpoint_id}",
        summary="Delete a webhook endpoint",
        response_model=EndpointDeleted,
        responses=_ONE_ERRORS,
    )
    async def delete_webhook_endpoint(request: Request, webhook_endpoint_id: EndpointId) -> Response:
        """Its secret goes too; deliveries that it is still owed end as dead."""
        await endpoints.store.delete(await tenant_of(request), webhook_endpoint_id)
        return respond(200, EndpointDeleted(id=webhook_endpoint_id))


def _add_rotate(routes: APIRouter, endpoints: Endpoints, tenant_of: TenantOf, idempotent: Idempotent) -> None:
    @routes.post(
        "/webhook_endpoints/{webhook_endpoint_id}/rotate_secret",
        summary="Replace the secret of a webhook endpoint",
        response_model=EndpointWithSecret,
        responses=_ONE_ERRORS | _BODY_ERRORS,
        openapi_extra=_takes(Rotation, {"keep_old_secret_active_for_24_hours": True}),
    )
    async def rotate_webhook_endpoint_secret(request: Request, webhook_endpoint_id: EndpointId) -> Response:
        """The old secret signs no more, in other processes within five seconds. If it is kept active, both sign for 24
        hours, so that receivers can change over one by one."""
        tenant_id = await tenant_of(request)
        asked = await read_body(request, Rotation) if await request.body() else Rotation()
        overlap = asked.keep_old_secret_active_for_24_hours

        async def rotate() -> Response:
            rotated = await endpoints.store.rotate_secret(tenant_id, webhook_endpoint_id, overlap=overlap)
            endpoints.secrets.replaced(webhook_endpoint_id)
            return respond(200, endpoint_with_secret(rotated), NO_STORE)

        return await idempotent(request, tenant_id, asked, rotate)


def _add_test(routes: APIRouter, endpoints: Endpoints, tenant_of: TenantOf) -> None:
    @routes.post(
        "/webhook_endpoints/{webhook_endpoint_id}/test",
        summary="Send a sample event to a webhook endpoint",
        response_model=EndpointTested,
        responses=_ONE_ERRORS | _PARAMETER_ERRORS | openai_errors(_413="The body is too large", _415=NOT_JSON),
        openapi_extra={"requestBody": body_schema(TestedType, {"event_type": "message.completed"})},
    )
    async def test_webhook_endpoint(request: Request, webhook_endpoint_id: EndpointId) -> Response:
        """Signed like a real one, and sent once. Any type will do, subscribed or not. `status_code` is what the
        endpoint answers with; one that does not answer is a 400, whose message says why."""
        tenant_id = await tenant_of(request)
        event_type = (await read_body(request, TestedType)).event_type
        sample = endpoints.types.sample(event_type)
        endpoint = await endpoints.store.get(tenant_id, webhook_endpoint_id)
        status = await endpoints.trial.event(endpoint, event_type, sample)
        return respond(200, EndpointTested(webhook_endpoint_id=endpoint.id, event_type=event_type, status_code=status))


def _takes(model: type[BaseModel], example: dict[str, Any]) -> dict[str, Any]:
    return {"parameters": [IDEMPOTENCY_KEY], "requestBody": body_schema(model, example)}
