"""Resending deliveries."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path
from pydantic import AfterValidator, BaseModel, Field, StringConstraints
from starlette.requests import Request
from starlette.responses import Response

from answerback.http.bodies import StrictBody, body_schema, read_body
from answerback.http.caller import AskedTenant, AskedTenantOf
from answerback.http.fields import Moment, epoch_ms, no_nul
from answerback.http.idempotent_routes import Idempotent
from answerback.http.openapi_parts import (
    DELIVERY,
    IDEMPOTENCY_KEY,
    KEY_ERRORS,
    NOT_JSON,
    TENANT_ERRORS,
    conflict,
    errors,
    not_found,
)
from answerback.http.responses import respond
from answerback.kernel.log import Log
from answerback.queue.notifier import Notifier, Topic
from answerback.webhooks.bodies import DeliveryBody
from answerback.webhooks.bulk_resend import Resendable, ResendFilter
from answerback.webhooks.deliver import AnswersAgain
from answerback.webhooks.model import DeliveryState, origin_of
from answerback.webhooks.sending.urls import MAX_URL_LENGTH
from answerback.webhooks.store import DeliveryStore

DeliveryId = Annotated[str, Path(description="A delivery's id: the `webhook-id` of its callback.", examples=[DELIVERY])]

RESEND_ERRORS = (
    KEY_ERRORS
    | TENANT_ERRORS
    | not_found(f"there is no delivery '{DELIVERY}'")
    | conflict(
        "An attempt is under way, or the body was erased",
        "an attempt of this delivery is under way; resend it once that has ended",
    )
)
RESEND_ALL_ERRORS = (
    KEY_ERRORS
    | TENANT_ERRORS
    | errors(
        _409="The Idempotency-Key was used with another body, or its first request is still being answered (then with "
        "`Retry-After`)",
        _413="The body is too large",
        _415=NOT_JSON,
        _422="A field is wrong; each is named",
    )
)


class ResendAllBody(StrictBody):
    """Which deliveries are sent again: all that match every field."""

    status: Literal["dead", "pending"] = Field(description="Their state; `pending` ones wait for their next attempt.")
    url: Annotated[str, StringConstraints(max_length=MAX_URL_LENGTH), AfterValidator(no_nul)] | None = Field(
        None, description="What their URL begins with, such as `https://example.com/`."
    )
    since: Moment | None = Field(None, description="Only those owed since then, in RFC 3339.")
    dry_run: bool = Field(default=False, description="True: nothing is resent; the response says how many match.")

    def filter(self, tenant_id: str) -> ResendFilter:
        since = 0 if self.since is None else epoch_ms(self.since)
        state: Resendable = DeliveryState.DEAD if self.status == "dead" else DeliveryState.PENDING
        return ResendFilter(tenant_id, state, self.url or "", since)


class ResentBody(BaseModel):
    """How many deliveries will be sent again."""

    resent: int = Field(examples=[3])


class MatchedBody(BaseModel):
    """How many deliveries would be sent again; nothing was."""

    matched: int = Field(examples=[3])


RESEND_ALL_BODY: dict[str, Any] = {
    "parameters": [IDEMPOTENCY_KEY],
    "requestBody": body_schema(ResendAllBody, {"status": "dead", "url": "https://example.com/"}),
}


def router(
    store: DeliveryStore,
    again: AnswersAgain,
    notifier: Notifier,
    log: Log,
    tenant_of: AskedTenantOf,
    polling_tenant_of: AskedTenantOf,
    idempotent: Idempotent,
) -> APIRouter:
    """`/v1/deliveries…`. `polling_tenant_of` counts no request."""

    def resent(tenant_id: str, origin: str | None) -> None:
        # Who resends has seen the receiver come back, before any probe has.
        again(tenant_id, origin)
        notifier.wake(Topic.DELIVERIES)

    routes = APIRouter(prefix="/v1", tags=["jobs"])
    _add_resend(routes, store, resent, log, tenant_of)
    _add_resend_all(routes, store, resent, log, tenant_of, polling_tenant_of, idempotent)
    return routes


def _add_resend(
    routes: APIRouter, store: DeliveryStore, resent: AnswersAgain, log: Log, tenant_of: AskedTenantOf
) -> None:
    @routes.post("/deliveries/{delivery_id}/replay", status_code=202, include_in_schema=False)
    @routes.post(
        "/deliveries/{delivery_id}/resend",
        status_code=202,
        summary="Send a callback again",
        response_model=DeliveryBody,
        responses=RESEND_ERRORS,
    )
    async def resend_delivery(request: Request, delivery_id: DeliveryId, tenant: AskedTenant = None) -> Response:
        """Owes the same body under the same `webhook-id` once more, with a full schedule of attempts."""
        tenant_id = await tenant_of(request, tenant)
        delivery = await store.resend(tenant_id, delivery_id)
        resent(tenant_id, origin_of(delivery.url))
        log.info("resent", job=delivery.job_id, delivery=delivery_id, tenant=tenant_id)
        return respond(202, DeliveryBody.model_validate(delivery))


def _add_resend_all(
    routes: APIRouter,
    store: DeliveryStore,
    resent: AnswersAgain,
    log: Log,
    tenant_of: AskedTenantOf,
    polling_tenant_of: AskedTenantOf,
    idempotent: Idempotent,
) -> None:
    @routes.post(
        "/deliveries/resend",
        status_code=202,
        summary="Send all callbacks again that match",
        response_model=ResentBody,
        responses={
            200: {"model": MatchedBody, "description": "How many match; with `dry_run`"},
            **RESEND_ALL_ERRORS,
        },
        openapi_extra=RESEND_ALL_BODY,
    )
    async def resend_deliveries(request: Request, tenant: AskedTenant = None) -> Response:
        """As for one callback: the same bodies under the same `webhook-id`s, each with a full schedule of attempts.
        What becomes dead or pending after the request came is left as it is, and so are erased bodies. With `dry_run`
        it does not count against the rate."""
        tenant_id = await polling_tenant_of(request, tenant)
        body = await read_body(request, ResendAllBody)
        if body.dry_run:
            return respond(200, MatchedBody(matched=await store.count_matching(body.filter(tenant_id))))
        await tenant_of(request, tenant)

        async def answer() -> Response:
            count = await store.resend_all(body.filter(tenant_id))
            resent(tenant_id, None)
            log.info("resent_all", count=count, status=body.status, tenant=tenant_id)
            return respond(202, ResentBody(resent=count))

        return await idempotent(request, tenant_id, body.model_dump(mode="json", exclude={"dry_run"}), answer)
