"""Resending deliveries."""

from typing import Annotated

from fastapi import APIRouter, Path
from starlette.requests import Request
from starlette.responses import Response

from answerback.http.caller import TenantOf
from answerback.http.openapi_parts import DELIVERY, JOB_ERRORS, conflict
from answerback.http.responses import respond
from answerback.kernel.log import Log
from answerback.queue.notifier import Notifier
from answerback.webhooks.bodies import DeliveryBody
from answerback.webhooks.store import DeliveryStore

DeliveryId = Annotated[str, Path(description="A delivery's id: the `webhook-id` of its callback.", examples=[DELIVERY])]

RESEND_ERRORS = JOB_ERRORS | conflict(
    "An attempt is under way, or the body was erased",
    "an attempt of this delivery is under way; resend it once that has ended",
)


def router(store: DeliveryStore, notifier: Notifier, log: Log, tenant_of: TenantOf) -> APIRouter:
    """`/v1/deliveries…`."""
    routes = APIRouter(prefix="/v1", tags=["jobs"])

    @routes.post("/deliveries/{delivery_id}/replay", status_code=202, include_in_schema=False)
    @routes.post(
        "/deliveries/{delivery_id}/resend",
        status_code=202,
        summary="Send a callback again",
        response_model=DeliveryBody,
        responses=RESEND_ERRORS,
    )
    async def resend(request: Request, delivery_id: DeliveryId) -> Response:
        """Owes the same body under the same `webhook-id` once more, with a full schedule of attempts."""
        tenant_id = await tenant_of(request)
        delivery = await store.resend_delivery(tenant_id, delivery_id)
        notifier.delivery_ready()
        log.info("resent", job=delivery.job_id, delivery=delivery_id, tenant=tenant_id)
        return respond(202, DeliveryBody.model_validate(delivery))

    return routes
