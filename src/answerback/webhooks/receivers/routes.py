"""`/v1/receivers`: where callbacks go, and how it answers."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import Request
from starlette.responses import Response

from answerback.http.bodies import StrictBody, body_schema, read_body
from answerback.http.caller import AskedTenant, AskedTenantOf, AskedTenantOrAll
from answerback.http.fields import CallbackUrl
from answerback.http.known_queries import KNOWN_QUERIES
from answerback.http.openapi_parts import KEY_ERRORS, NOT_JSON, TENANT_ERRORS, errors, not_found
from answerback.http.responses import Time, is_none, respond
from answerback.kernel.errors import CallbackRefused
from answerback.kernel.ids import EVERY_TENANT
from answerback.kernel.json import Json
from answerback.webhooks.endpoints.trial import Trial
from answerback.webhooks.receivers.every_receiver import EveryReceiver
from answerback.webhooks.receivers.rows import COUNTED, NEWEST
from answerback.webhooks.receivers.summary import MAX_FAILING, Receiver
from answerback.webhooks.sending.guard import AddressGuard
from answerback.webhooks.store import DeliveryStore


class FailingPathBody(BaseModel):
    """A path whose newest attempt failed, while others may be taken."""

    model_config = ConfigDict(from_attributes=True)

    url: str = Field(description="Where that attempt went.", examples=["https://example.com/crm"])
    error: str = Field(examples=["the receiver answered 503"])


class ReceiverBody(BaseModel):
    """A server that callbacks go to."""

    model_config = ConfigDict(from_attributes=True)

    tenant_id: str | None = Field(
        None,
        description="For operators who ask for all tenants: whose callbacks go there.",
        examples=["tnt_01a1fc8454427e0488ed70bfd1c5a7e4"],
        exclude_if=is_none,
    )
    origin: str = Field(examples=["https://example.com:443"])
    url: str = Field(description="Where one of its newest callbacks goes.", examples=["https://example.com/callback"])
    healthy: bool | None = Field(
        description="Whether it took the last attempt; null before the first.", examples=[False]
    )
    waiting: int = Field(description=f"Callbacks that wait for an attempt, of {COUNTED:,} at most.", examples=[3])
    held: int = Field(description=f"Held behind those, of the newest {NEWEST:,}.", examples=[1])
    sending: int = Field(
        description=f"Sent to it just now and not answered yet, of the newest {NEWEST:,}.", examples=[0]
    )
    dead: int = Field(description=f"Given up and not erased, of the newest {NEWEST:,}.", examples=[0])
    last_error: str | None = Field(description="Why the last attempt failed.", examples=["the receiver answered 503"])
    failing: list[FailingPathBody] = Field(description=f"The newest {MAX_FAILING} of those that were looked at.")
    last_attempt_at: Time | None
    next_attempt_at: Time | None = Field(
        description="By the schedule, or the probe of one that could not be reached, where that comes first."
    )
    delivered_at: Time | None = Field(description="When it last took one of those that were looked at.")


class ReceiverList(BaseModel):
    """Those that are owed most first."""

    items: list[ReceiverBody]


class TestedUrl(StrictBody):
    url: CallbackUrl


class ReceiverTested(BaseModel):
    """The receiver answered; `status_code` says how."""

    object: Literal["receiver.test"] = "receiver.test"
    url: str = Field(examples=["https://example.com/callback"])
    status_code: int = Field(examples=[200])


def _body(receiver: Receiver, tenant_id: str | None = None) -> ReceiverBody:
    body = ReceiverBody.model_validate(receiver)
    return body if tenant_id is None else body.model_copy(update={"tenant_id": tenant_id})


@dataclass(frozen=True, slots=True)
class Receivers:
    """What the routes need. `sample` is the body of a callback that tries a receiver."""

    store: DeliveryStore
    guard: AddressGuard
    trial: Trial
    sample: Mapping[str, Json]


def router(
    receivers: Receivers, everyones: EveryReceiver, polling_tenant_of: AskedTenantOf, tenant_of: AskedTenantOf
) -> APIRouter:
    """`/v1/receivers` and `/v1/receivers/test`. `polling_tenant_of` counts no request."""
    routes = APIRouter(prefix="/v1", tags=["jobs"])

    @routes.get(
        "/receivers",
        summary="Where your callbacks go",
        response_model=ReceiverList,
        responses=KEY_ERRORS | TENANT_ERRORS,
        dependencies=KNOWN_QUERIES,
    )
    async def list_receivers(request: Request, tenant: AskedTenantOrAll = None) -> Response:
        """By server, a hundred at most: those that are owed something, then those that took one of the newest
        callbacks. Those of all tenants are as old as it takes to read them, a hundred times. It does not count against
        the rate."""
        tenant_id = await polling_tenant_of(request, tenant)
        if tenant_id == EVERY_TENANT:
            items = [_body(each.receiver, each.tenant_id) for each in await everyones.get()]
        else:
            items = [_body(each) for each in await receivers.store.receivers(tenant_id)]
        return respond(200, ReceiverList(items=items))

    @routes.post(
        "/receivers/test",
        summary="Send a sample callback to a URL",
        response_model=ReceiverTested,
        responses=KEY_ERRORS
        | TENANT_ERRORS
        | not_found("there is no tenant 'shop'", "There is no such `tenant`")
        | errors(_413="The body is too large", _415=NOT_JSON, _422="The URL may not be called, or did not answer"),
        openapi_extra={"requestBody": body_schema(TestedUrl, {"url": "https://example.com/callback"})},
    )
    async def test_receiver(request: Request, tenant: AskedTenant = None) -> Response:
        """Signed like a real one, and sent once. `status_code` is what the receiver answers with; one that does not
        answer is a 422, whose message says why."""
        tenant_id = await tenant_of(request, tenant)
        url = (await read_body(request, TestedUrl, receivers.guard.check_unresolved)).url
        try:
            await receivers.guard.check(url, tenant_id)
        except CallbackRefused as refusal:
            raise refusal.named("url") from None
        status = await receivers.trial.callback(tenant_id, url, receivers.sample)
        return respond(200, ReceiverTested(url=url, status_code=status))

    return routes
