"""The bodies of webhook endpoints, as OpenAI's (`/v1/webhook_endpoints`)."""

from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

from answerback.http.bodies import Body
from answerback.http.fields import CallbackUrl, not_blank
from answerback.webhooks.endpoints.operations import Endpoint

ENDPOINT_ID = "whe_01a1fc8454427e0488ed70bfee41f52c"
SHOWN = 4
"""How many characters of a secret anyone may see: of 256 random bits, 24."""

EndpointName = Annotated[str, StringConstraints(max_length=256), AfterValidator(not_blank)]
EventTypes = Annotated[list[str], Field(min_length=1, max_length=64)]


class EndpointBody(BaseModel):
    """A webhook endpoint. Times are in epoch seconds."""

    id: str = Field(examples=[ENDPOINT_ID])
    object: Literal["webhook_endpoint"] = "webhook_endpoint"
    name: str = Field(examples=["shop"])
    url: str = Field(examples=["https://example.com/events"])
    event_types: list[str] = Field(examples=[["message.completed", "message.failed"]])
    created_at: int = Field(examples=[1767225600])
    updated_at: int = Field(description="When it was last changed, its secret included.", examples=[1767225600])
    signing_secret_hint: str = Field(examples=["whsec_...ZXI="])


class EndpointWithSecret(EndpointBody):
    """A webhook endpoint with the secret that signs what it receives, which is shown only here."""

    signing_secret: str = Field(examples=["whsec_bm9ib2R5IGd1ZXNzZXMgdGhpcyBvbmUgZXZlcg=="])


class EndpointList(BaseModel):
    """Webhook endpoints, the newest first."""

    object: Literal["list"] = "list"
    data: list[EndpointBody]
    first_id: str | None = Field(examples=[ENDPOINT_ID])
    last_id: str | None = Field(description="The `after` of the next page.", examples=[ENDPOINT_ID])
    has_more: bool = Field(examples=[False])


class EndpointDeleted(BaseModel):
    id: str = Field(examples=[ENDPOINT_ID])
    object: Literal["webhook_endpoint.deleted"] = "webhook_endpoint.deleted"
    deleted: Literal[True] = True


class EndpointTested(BaseModel):
    """The endpoint answered; `status_code` says how."""

    object: Literal["webhook_endpoint.test"] = "webhook_endpoint.test"
    webhook_endpoint_id: str = Field(examples=[ENDPOINT_ID])
    event_type: str = Field(examples=["message.completed"])
    status_code: int = Field(examples=[200])
    success: Literal[True] = True


class EventTypeList(BaseModel):
    """What endpoints may subscribe to."""

    object: Literal["list"] = "list"
    data: list[str] = Field(examples=[["message.completed", "message.failed"]])


class _Given(Body):
    model_config = ConfigDict(strict=True, frozen=True)


class NewEndpoint(_Given):
    """`event_types` are those of `GET /v1/webhook_event_types`."""

    name: EndpointName
    url: CallbackUrl
    event_types: EventTypes


class EndpointChanges(_Given):
    """What is not given stays; `event_types` replace all that were."""

    name: EndpointName | None = None
    url: CallbackUrl | None = None
    event_types: EventTypes | None = None


class Rotation(_Given):
    """By default the old secret signs nothing from now on."""

    keep_old_secret_active_for_24_hours: bool = False


class TestedType(_Given):
    event_type: str


def endpoint_body(endpoint: Endpoint) -> EndpointBody:
    return EndpointBody(**_fields(endpoint))


def endpoint_with_secret(endpoint: Endpoint) -> EndpointWithSecret:
    return EndpointWithSecret(**_fields(endpoint), signing_secret=endpoint.secret)


def endpoint_list(page: Sequence[Endpoint], *, has_more: bool) -> EndpointList:
    return EndpointList(
        data=[endpoint_body(each) for each in page],
        first_id=page[0].id if page else None,
        last_id=page[-1].id if page else None,
        has_more=has_more,
    )


def _fields(endpoint: Endpoint) -> dict[str, object]:
    return {
        "id": endpoint.id,
        "name": endpoint.name,
        "url": endpoint.url,
        "event_types": list(endpoint.event_types),
        "created_at": endpoint.created_at // 1000,
        "updated_at": endpoint.updated_at // 1000,
        "signing_secret_hint": f"whsec_...{endpoint.secret[-SHOWN:]}",
    }
