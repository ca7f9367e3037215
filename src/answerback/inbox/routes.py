"""An inbox for callbacks over HTTP."""

import re
from typing import Annotated, Literal

from fastapi import APIRouter, Path, Query
from pydantic import AfterValidator, BaseModel, Field
from starlette.requests import Request
from starlette.responses import Response

from answerback.http.caller import TenantOf
from answerback.http.fields import DIGITS, EMPTY_IS_ABSENT
from answerback.http.known_queries import KNOWN_QUERIES
from answerback.http.openapi import KEYLESS
from answerback.http.openapi_parts import JOB, KEY_ERRORS, QUERY_ERRORS, errors, not_found
from answerback.http.responses import Time, respond
from answerback.inbox.inbox import PATH, Inbox
from answerback.inbox.model import MAX_BODY, MAX_ITEMS, Received, Verdict
from answerback.inbox.store import InboxStore
from answerback.kernel.errors import NotFound

TOKEN_PATH = PATH + "{token}"
ID_PATTERN = re.compile("inb_[0-9a-f]{32}")
DEFAULT_LIMIT = 20
URL = "http://localhost:8080/inbox/qm9ib2R5IGd1ZXNzZXMgdGhpcyBvbmUgZXZlciwgbmV2ZXIZGVmYXVsdA"
ITEM = "inb_01a1fc8454427e0488ed70bfee41f52c"

Limit = Annotated[
    Annotated[int, Field(ge=1, le=MAX_ITEMS), DIGITS] | None, EMPTY_IS_ABSENT, Query(description="How many at most.")
]


def _inbox_id(value: str) -> str:
    if not ID_PATTERN.fullmatch(value):
        raise ValueError("must be the `next` of a page")
    return value


Before = Annotated[
    Annotated[str, AfterValidator(_inbox_id)] | None,
    EMPTY_IS_ABSENT,
    Query(description="Only what came before this one: the `next` of a page."),
]
Token = Annotated[str, Path(description="What the address ends with.", examples=[URL.rpartition("/")[2]])]


class InboxAddress(BaseModel):
    """Where callbacks can go. It is the tenant's, and stays the same."""

    url: str = Field(examples=[URL])


class ReceivedBody(BaseModel):
    """A callback that came. `signature` is `verified` if it is by the tenant's secret, or by that of an endpoint with
    this address. Of a long body the first 64 KiB are stored; `truncated` says so."""

    id: str = Field(examples=[ITEM])
    received_at: Time
    headers: dict[str, str] = Field(examples=[{"content-type": "application/json"}])
    body: str = Field(examples=['{"job_id": "job_01a1fc8454427e0488ed70bfee41f52c", "status": "completed"}'])
    truncated: bool = Field(examples=[False])
    signature: Verdict = Field(examples=["verified"])
    job_id: str | None = Field(description="The job that the body names.", examples=[JOB])


class InboxPage(BaseModel):
    """The newest first; a tenant has 100 at most, and each for a day. A page may have fewer than `limit` where they are
    large."""

    items: list[ReceivedBody]
    next: str | None = Field(description="For `before`. Null on the last page.", examples=[ITEM])


class Taken(BaseModel):
    """It is in the inbox."""

    received: Literal[True]


def router(inbox: Inbox, store: InboxStore, tenant_of: TenantOf, polling_tenant_of: TenantOf) -> APIRouter:
    """`/v1/inbox` and `/inbox/{token}`"""
    routes = APIRouter(tags=["inbox"])
    _add_list(routes, store, polling_tenant_of)
    _add_own(routes, inbox, store, tenant_of)
    _add_receive(routes, inbox)
    return routes


def _add_list(routes: APIRouter, store: InboxStore, polling_tenant_of: TenantOf) -> None:
    @routes.get(
        "/v1/inbox",
        summary="What came to your inbox",
        response_model=InboxPage,
        responses=QUERY_ERRORS,
        dependencies=KNOWN_QUERIES,
    )
    async def list_inbox(request: Request, limit: Limit = DEFAULT_LIMIT, before: Before = None) -> Response:
        """The newest callbacks with their headers and bodies, and whether their signatures are right. It does not count
        against the rate."""
        tenant_id = await polling_tenant_of(request)
        page = await store.list(tenant_id, limit or DEFAULT_LIMIT, before)
        return respond(200, InboxPage(items=list(map(_body, page.items)), next=page.following))


def _add_own(routes: APIRouter, inbox: Inbox, store: InboxStore, tenant_of: TenantOf) -> None:
    @routes.post(
        "/v1/inbox", summary="An address for trying callbacks", response_model=InboxAddress, responses=KEY_ERRORS
    )
    async def open_inbox(request: Request) -> Response:
        """A `callback_url` that needs no receiver: what is sent there is shown by `GET /v1/inbox` for a day. It is the
        one address of its own that the service delivers to. Others may post there, too."""
        tenant_id = await tenant_of(request)
        return respond(200, InboxAddress(url=await inbox.address(tenant_id)))

    @routes.delete(
        "/v1/inbox",
        status_code=204,
        response_description="Empty",
        summary="Empty your inbox",
        responses=KEY_ERRORS,
    )
    async def clear_inbox(request: Request) -> Response:
        """Its address stays."""
        await store.clear(await tenant_of(request))
        return Response(status_code=204)


def _add_receive(routes: APIRouter, inbox: Inbox) -> None:
    @routes.post(
        TOKEN_PATH,
        summary="For senders: put something into an inbox",
        response_model=Taken,
        responses=not_found("there is no such inbox", "There is no such inbox")
        | errors(
            _413="The body is too large",
            _503="The database cannot take it now; send it again",
        ),
        openapi_extra=KEYLESS,
    )
    async def receive(request: Request, token: Token) -> Response:
        """The address of an inbox, as `POST /v1/inbox` gives it. Any body is taken."""
        # Before the body is read, which strangers may send as well.
        if not await inbox.has(token) or not await inbox.receive(token, request.headers, await request.body()):
            raise NotFound("there is no such inbox")
        return respond(200, Taken(received=True))


def _body(came: Received) -> ReceivedBody:
    return ReceivedBody(
        id=came.id,
        received_at=came.received_at,
        headers=dict(came.headers),
        body=came.body.decode(errors="replace"),
        truncated=came.size > MAX_BODY,
        signature=came.signature,
        job_id=came.job_id,
    )
